"""When a server may be asked: so many requests a second, pauses that it wants, and longer waits after each failure."""

from __future__ import annotations

import asyncio
import re
import time
from email.utils import parsedate_to_datetime
from random import Random

__all__ = ["Pace", "backoff", "retry_after"]

JITTER = 0.5
"""A wait is longer or shorter by up to this share, so that requests that failed together don't come back together."""


class Pace:
    """At most `rate` requests a second (None: as many as there are), evenly: a token bucket that holds one token. For one event
    loop; the clock is the monotonic one."""

    def __init__(self, rate: float | None = None) -> None:
        self._gap = 1 / rate if rate else 0.0
        self._next = 0.0
        self._held = 0.0

    async def turn(self) -> None:
        """Wait until a request may be sent."""
        while (left := max(self._next, self._held) - time.monotonic()) > 0:
            await asyncio.sleep(left)
        self._next = time.monotonic() + self._gap

    def hold(self, seconds: float) -> None:
        """Let no request begin for so long."""
        self._held = max(self._held, time.monotonic() + seconds)


def backoff(first: float, attempt: int, rng: Random) -> float:
    """Seconds to wait before the attempt (from 1): `first`, doubled with each one after, give or take `JITTER`."""
    return first * float(2 ** (attempt - 1)) * rng.uniform(1 - JITTER, 1 + JITTER)


def retry_after(header: str | None, now: float) -> float:
    """The seconds that a `Retry-After` header asks for, as a number or as an HTTP date beside `now` (seconds since 1970); 0
    without one, and for one that can't be read."""
    if header is None:
        return 0.0
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", header.strip(), flags=re.ASCII):
        return float(header)
    try:
        return max(parsedate_to_datetime(header).timestamp() - now, 0.0)
    except (ValueError, OverflowError):
        return 0.0
