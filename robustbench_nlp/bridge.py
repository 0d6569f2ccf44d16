"""Lets a library that calls its victim and waits for the answer be an attack: its calls become yielded requests."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from queue import SimpleQueue
from random import Random
from threading import Thread
from typing import Any, NamedTuple

import numpy as np

from robustbench_nlp.attack import Request, Steps
from robustbench_nlp.text import Text

__all__ = ["Ask", "GlobalGenerators", "blocking"]

Ask = Callable[[Request], Any]
"""Asks the engine and blocks until its answer is there."""


class GlobalGenerators:
    """The states of the process-wide generators (random, numpy, torch where it is loaded) of one example, seeded by `rng`.

    Within `with generators.installed():` they are the process's; the caller's come back when the block ends.
    """

    def __init__(self, rng: Random) -> None:
        seed = rng.getrandbits(32)
        outer = _states()
        random.seed(seed)
        np.random.seed(seed)
        if torch := sys.modules.get("torch"):
            torch.random.default_generator.manual_seed(seed)
        self._inner = _states()
        _set(outer)

    @contextmanager
    def installed(self) -> Iterator[None]:
        outer = _states()
        _set(self._inner)
        try:
            yield
        finally:
            self._inner = _states()
            _set(outer)


def blocking(function: Callable[[Ask], Text | None], rng: Random) -> Steps:
    """Run `function(ask)` in a thread and yield what it asks; returns what it returns and raises what it raises.

    Only one side runs at a time. The function sees the global generators seeded by `rng` and a copy of the context
    variables. When the steps are closed (the budget ended) its pending `ask` raises, and any later one too, so that the
    thread ends.
    """
    exchange = _Exchange(function)
    generators = GlobalGenerators(rng)
    try:
        with generators.installed():
            event = exchange.start()
        while not isinstance(event, _End):
            answer = yield event
            with generators.installed():
                event = exchange.answer(answer)
        if event.problem is not None:
            raise event.problem
        return event.text
    finally:
        with generators.installed():
            exchange.close()


class _Closed(BaseException):
    """Unwinds the function's thread; no `Exception`, so that libraries let it pass."""


class _End(NamedTuple):
    """What the function came to."""

    text: Text | None = None
    problem: BaseException | None = None


class _Exchange:
    """Two queues between the steps and the function's thread; whoever waits on one has handed the turn over."""

    def __init__(self, function: Callable[[Ask], Text | None]) -> None:
        self._function = function
        self._events: SimpleQueue[Request | _End] = SimpleQueue()
        self._answers: SimpleQueue[Any] = SimpleQueue()
        self._closed = False
        self._thread = Thread(target=copy_context().run, args=(self._work,), name="blocking", daemon=True)

    def start(self) -> Request | _End:
        self._thread.start()
        return self._events.get()

    def answer(self, answer: Any) -> Request | _End:
        self._answers.put(answer)
        return self._events.get()

    def close(self) -> None:
        self._closed = True
        self._answers.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    def _work(self) -> None:
        try:
            end = _End(self._function(self._ask))
        except BaseException as problem:
            end = _End(problem=problem)
        self._events.put(end)

    def _ask(self, request: Request) -> Any:
        if not self._closed:
            self._events.put(request)
            answer = self._answers.get()
        if self._closed:
            raise _Closed
        return answer


class _States(NamedTuple):
    python: Any
    numpy: Any
    torch: Any


def _states() -> _States:
    torch = sys.modules.get("torch")
    return _States(random.getstate(), np.random.get_state(), torch.get_rng_state() if torch else None)


def _set(states: _States) -> None:
    random.setstate(states.python)
    np.random.set_state(states.numpy)
    if states.torch is not None:
        sys.modules["torch"].set_rng_state(states.torch)
