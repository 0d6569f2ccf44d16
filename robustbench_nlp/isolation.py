"""Asks a model about many items at once, and where that fails finds those that fail alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from robustbench_nlp.errors import OutOfMemory, UsageError, VictimError

__all__ = ["Part", "asked", "isolated"]

Item = TypeVar("Item")
Answer = TypeVar("Answer")
_MEMORY = ("out of memory", "allocate memory", "not enough memory", "failed to allocate", "alloc_failed", "bad_alloc")
"""What the allocators of devices and processors say, in lower case."""


class Part(NamedTuple, Generic[Answer]):
    """The answer to `size` items from number `start` on, or the error of asking about them."""

    start: int
    size: int
    answer: Answer | VictimError


def asked(who: str, call: Callable[[], Answer]) -> Answer:
    """What `call` returns. Raises `UsageError` as it comes, and for anything else `VictimError`: `OutOfMemory` where memory ended."""
    try:
        return call()
    except (VictimError, UsageError):
        raise
    except Exception as problem:
        kind = OutOfMemory if _is_memory(problem) else VictimError
        raise kind(f"{who} raised {type(problem).__name__}: {problem}") from problem


def isolated(
    items: Sequence[Item],
    ask: Callable[[Sequence[Item]], Answer],
    *,
    whole: tuple[type[VictimError], ...] = (),
    raised: tuple[type[VictimError], ...] = (),
    start: int = 0,
) -> list[Part[Answer]]:
    """The parts in order; where asking about several items raises `VictimError`, they are halved until those that fail stand alone.

    An error of a kind in `whole` is that of all items that were asked about; one of a kind in `raised` is raised where they are
    several.
    """
    try:
        return [Part(start, len(items), ask(items))]
    except VictimError as problem:
        if len(items) == 1 or isinstance(problem, whole):
            return [Part(start, len(items), problem)]
        if isinstance(problem, raised):
            raise
    middle = len(items) // 2  # outside of the handler: a traceback keeps what the failed call had in memory
    halves = (items[:middle], start), (items[middle:], start + middle)
    return [part for half, at in halves for part in isolated(half, ask, whole=whole, raised=raised, start=at)]


def _is_memory(problem: Exception) -> bool:
    """Whether memory ended, the machine's or a device's; libraries have errors of their own for that."""
    told = str(problem).lower()
    return (
        isinstance(problem, MemoryError)
        or "OutOfMemory" in type(problem).__name__
        or any(words in told for words in _MEMORY)
    )
