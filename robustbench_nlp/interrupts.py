"""Ctrl-C in a long run: the first one lets the batch end that is with the victim, the second quits at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from robustbench_nlp import progress

__all__ = ["Held", "batch_ended", "held"]


class Held:
    """Whether an interrupt waits for the end of a batch."""

    asked = False

    def raise_if_asked(self) -> None:
        """Raises `KeyboardInterrupt` for an interrupt that waited."""
        if self.asked:
            raise KeyboardInterrupt


_current = Held()


@contextmanager
def held() -> Iterator[Held]:
    """Hold the first SIGINT back while the block runs; the caller raises it once what the block found is written.

    In threads, and where the process handles SIGINT in a way of its own, everything stays as it is.
    """
    global _current  # noqa: PLW0603 (a process has one SIGINT)
    mine = Held()
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield mine
        return

    def note(number: int, frame: Any) -> None:
        mine.asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        progress.note("interrupted: the batch that is being predicted ends first; Ctrl-C again quits at once")

    _current = mine
    signal.signal(signal.SIGINT, note)
    try:
        yield mine
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _current = Held()


def batch_ended() -> None:
    """Between two batches of predictions: an interrupt that waits need wait no longer. Raises `KeyboardInterrupt`."""
    _current.raise_if_asked()
