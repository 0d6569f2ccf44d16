"""Calls what may hang: a function that gives no answer in time is left behind, and one that never answers ends the run."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from robustbench_nlp.errors import UsageError, VictimError

__all__ = ["HUNG", "Late", "Patience"]

HUNG = 3
"""After this many single inputs in a row without an answer in time the victim hangs, and no input is to blame."""

Call = Callable[[], Any]


class Late(Exception):  # noqa: N818
    """No answer in time."""


class Patience:
    """Waits `seconds` for each call of the victim `name`, and as long as it takes where that is None.

    A call that is given up goes on in its thread, as Python has no means to end it; the next one gets a thread of its own.
    """

    def __init__(self, seconds: float | None, name: str) -> None:
        self.seconds = seconds
        self.name = name
        self._calls: SimpleQueue[tuple[Call, SimpleQueue[tuple[bool, Any]]]] | None = None
        self._hung = 0

    def __call__(self, call: Call, inputs: int) -> Any:
        """What `call` returns or raises; raises as `late` does where no answer comes in time."""
        try:
            answer = self.wait(call)
        except Late:
            raise self.late(inputs) from None
        self.answered()
        return answer

    def answered(self) -> None:
        """An answer came: the victim doesn't hang."""
        self._hung = 0

    def late(self, inputs: int) -> VictimError:
        """The error for a call of so many inputs without an answer. Raises `UsageError` at the last of `HUNG` single inputs in a
        row."""
        self._hung += inputs == 1
        if self._hung >= HUNG:
            self._hung = 0
            raise UsageError(
                f"{self.name} hangs: {HUNG} inputs in a row had no answer within {self.seconds:g} s; mend it, or give it more "
                "seconds with --timeout; what was recorded is kept"
            )
        return VictimError(f"{self.name} gave no answer within {self.seconds:g} s")

    def wait(self, call: Call) -> Any:
        """What `call` returns or raises. Raises `Late` where no answer comes in time."""
        if self.seconds is None:
            return call()
        if self._calls is None:
            self._calls = SimpleQueue()
            threading.Thread(target=_work, args=(self._calls,), daemon=True, name=f"asks {self.name}").start()
        answers: SimpleQueue[tuple[bool, Any]] = SimpleQueue()
        context = contextvars.copy_context()
        self._calls.put((lambda: context.run(call), answers))
        try:
            sound, answer = answers.get(timeout=self.seconds)
        except Empty:
            self._calls = None
            raise Late from None
        if sound:
            return answer
        raise answer


def _work(calls: SimpleQueue[tuple[Call, SimpleQueue[tuple[bool, Any]]]]) -> None:
    """One call after the other; a worker that was given up waits for a next one that never comes."""
    while True:
        call, answers = calls.get()
        try:
            answers.put((True, call()))
        except BaseException as problem:
            answers.put((False, problem))
