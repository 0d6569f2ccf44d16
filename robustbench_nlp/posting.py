"""Posts JSON to a server: some requests at a time, paced, tried again with growing waits, paid for, and cut off when late."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from random import Random
from typing import Any

from robustbench_nlp.background import Background
from robustbench_nlp.data.example import Input
from robustbench_nlp.errors import Unreachable, UsageError, VictimError
from robustbench_nlp.pace import Pace, backoff, retry_after
from robustbench_nlp.patience import Late
from robustbench_nlp.shapes import fits
from robustbench_nlp.spending import Spending

__all__ = ["LONGEST_PAUSE", "Manners", "Poster"]

MOST_BYTES = 16 * 2**20
"""The largest answer that is read: far more than 64 inputs' probabilities."""
MOST_TOKENS = 10**9
"""What no answer costs."""
LONGEST_PAUSE, LONGEST_WAIT = 120.0, 30.0
"""Seconds that a server may make a request wait by throttling it, in all and at a time; where it takes more the run stops."""
BUSY = {408, 425, 429, 500, 502, 503, 504}
CLOSED = {401, 402, 403, 404, 405, 410}
"""Statuses that no other input would change."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Manners:
    """How a server is asked: `concurrency` requests at a time of at most `batch` inputs each, `rate` requests a second (None: as
    many as there are); what fails because the server is busy is tried `retries` times more, after `backoff` seconds that
    double each time. A throttled request (status 429) is tried again until it was made to wait for `LONGEST_PAUSE`."""

    concurrency: int = 1
    batch: int = 64
    rate: float | None = None
    retries: int = 4
    backoff: float = 0.5

    def __post_init__(self) -> None:
        """Raises `UsageError` for what nobody can do."""
        for name, least in (("concurrency", 1), ("batch", 1), ("retries", 0)):
            value = getattr(self, name)
            if not fits(value, int) or value < least:
                raise UsageError(f"{name} is {value!r}; give a whole number of at least {least}")
        if self.rate is not None and not (fits(self.rate, float) and 0 < self.rate < float("inf")):
            raise UsageError(f"rate is {self.rate!r}; give requests a second, more than 0")
        if not (fits(self.backoff, float) and 0 <= self.backoff < float("inf")):
            raise UsageError(f"backoff is {self.backoff!r}; give seconds, 0 or more")


class _Again(Exception):  # noqa: N818
    """A request that may be tried again; `pause` is how many seconds the server asks for, `free` whether nobody bills it,
    `throttled` whether it came too soon and nothing is wrong with it."""

    def __init__(self, problem: str, *, pause: float = 0.0, free: bool = True, throttled: bool = False) -> None:
        super().__init__(problem)
        self.pause = pause
        self.free = free
        self.throttled = throttled


class _Throttle:
    """How long nobody asks a server that one request found throttling, or that asks for a pause."""

    def __init__(self, name: str, first: float) -> None:
        self._name = name
        self._first = first
        self._times = 0
        self._waited = 0.0

    def pause(self, told: _Again, rng: Random) -> float:
        """Seconds; doubled each time where the server doesn't say. Raises `UsageError` for more than `LONGEST_PAUSE` in all."""
        pause = told.pause
        if told.throttled:
            self._times += 1
            pause = max(pause, min(backoff(self._first, self._times, rng), LONGEST_WAIT))
        self._waited += pause
        if self._waited > LONGEST_PAUSE:
            asks = f"asks for a pause of {told.pause:.0f} s" if told.pause > LONGEST_PAUSE else "throttles without end"
            raise UsageError(
                f"{self._name} {asks} ({told}); what was recorded is kept, and the same command goes on from there later, or "
                "with a lower rate="
            )
        return pause


class Poster:
    """Sends `{"inputs": […]}` to `url` and gives the decoded answers. `name` is how messages call the server, and what the
    jitter of its waits is seeded with; `timeout` is in seconds and of a whole request."""

    def __init__(
        self, url: str, name: str, headers: Mapping[str, str], *, timeout: float, manners: Manners, spending: Spending
    ) -> None:
        import httpx

        self.process = os.getpid()
        self._url = url
        self._name = name
        self._timeout = timeout
        self._manners = manners
        self._spending = spending
        self._rng = Random(name)
        self._pace = Pace(manners.rate)
        self._slots = asyncio.Semaphore(manners.concurrency)
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(None, connect=0.9 * timeout),  # a whole request's is kept in `_answer`
            limits=httpx.Limits(max_connections=manners.concurrency),
        )
        self._background = Background(f"asks {name}", self._client.aclose)

    def submit(self, inputs: Sequence[Input]) -> Future[Any]:
        """Ask as soon as it may be. The future raises `Late` where two tries had no answer in time, `Unreachable`, `VictimError`,
        `BudgetSpent`, and `UsageError` where the server wants too long a pause."""
        return self._background.submit(self._answer(inputs))

    async def _answer(self, inputs: Sequence[Input]) -> Any:
        body = json.dumps({"inputs": list(inputs)}).encode()  # ASCII: any string survives
        problem, late, tries = "", 0, 0
        throttle = _Throttle(self._name, self._manners.backoff)
        async with self._slots:
            while tries <= self._manners.retries and late < 2:
                if tries:
                    await asyncio.sleep(backoff(self._manners.backoff, tries, self._rng))
                await self._pace.turn()
                self._spending.charge(inputs)
                try:
                    async with asyncio.timeout(self._timeout):
                        answer = await self._post(body)
                        if (tokens := _tokens_told(answer)) is not None:
                            self._spending.correct(inputs, tokens)
                        return answer
                except TimeoutError:
                    late += 1
                except _Again as told:
                    problem = str(told)
                    if told.free:
                        self._spending.refund(inputs)
                    self._pace.hold(throttle.pause(told, self._rng))
                    if told.throttled:
                        continue
                except _Refused as told:
                    self._spending.refund(inputs)
                    raise told.error from None
                tries += 1
        if late:
            raise Late
        kind = Unreachable if problem.startswith("Connect") else VictimError  # ConnectError, ConnectTimeout
        raise kind(f"{self._name} failed {tries} times, at last with: {problem}")

    async def _post(self, body: bytes) -> Any:
        """One request's decoded answer. Raises `_Again`, `_Refused` and `VictimError`."""
        import httpx

        content = bytearray()
        try:
            async with self._client.stream("POST", self._url, content=body) as response:
                if response.status_code in BUSY:
                    pause = retry_after(response.headers.get("Retry-After"), time.time())
                    raise _Again(f"status {response.status_code}", pause=pause, throttled=response.status_code == 429)
                if response.status_code != 200:
                    raise _Refused(self._name, response.status_code)
                async for part in response.aiter_bytes():
                    content += part
                    if len(content) > MOST_BYTES:
                        raise VictimError(f"{self._name} answered with more than {MOST_BYTES >> 20} MB")
        except (httpx.TransportError, httpx.DecodingError) as problem:
            unsent = isinstance(problem, httpx.ConnectError | httpx.ConnectTimeout)
            raise _Again(f"{type(problem).__name__}: {problem}", free=unsent) from problem
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as problem:
            raise VictimError(f"{self._name} answered with something that is no JSON") from problem


def _tokens_told(answer: Any) -> int | None:
    """What an answer says of the tokens that it cost: `{"usage": {"total_tokens": 57}}`."""
    usage = answer.get("usage") if isinstance(answer, dict) else None
    tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
    return tokens if type(tokens) is int and 0 <= tokens <= MOST_TOKENS else None


class _Refused(Exception):  # noqa: N818
    """A status that says no, and that nobody bills."""

    def __init__(self, name: str, status: int) -> None:
        super().__init__(status)
        kind = Unreachable if status in CLOSED else VictimError
        self.error = kind(f"{name} answered with status {status}")
