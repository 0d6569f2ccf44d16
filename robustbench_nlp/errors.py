"""The errors a user can mend, each told in one line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

__all__ = ["BudgetSpent", "OutOfMemory", "Unreachable", "UsageError", "VictimError", "apart", "unknown", "writing"]


class UsageError(Exception):
    """Bad use or bad input: the message says in one line what is wrong and how to mend it."""


class BudgetSpent(UsageError):  # noqa: N818
    """The money that the user gave is spent: the run stops, and more money goes on with it."""


class VictimError(Exception):
    """A victim answered one input with an exception, a wrong shape, or something that is no probability."""


class OutOfMemory(VictimError):  # noqa: N818
    """The victim's memory ended: fewer inputs at a time may do."""


class Unreachable(VictimError):  # noqa: N818
    """The victim answers nobody: asking again with fewer inputs is no use."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that does not exist, with the nearest known one and then all of them."""
    names = sorted(known)
    near = get_close_matches(name.replace("-", "_"), names, n=1, cutoff=0.6)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return UsageError(f"no {kind} '{name}'; {hint}known: {', '.join(names) or 'none'}")


def apart(one: object, other: object) -> tuple[str, str]:
    """Two values as a one-line message shows them: from a little before where they differ."""
    texts = str(one), str(other)
    same = next((i for i, (a, b) in enumerate(zip(*texts, strict=False)) if a != b), min(map(len, texts)))
    start = max(same - 30, 0)
    first, second = (("…" if start else "") + text[start : start + 90] for text in texts)
    return first, second


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Around what writes a file while a victim is asked: what the file system refuses then is no fault of the victim. Raises
    `UsageError` for it, which ends the run."""
    try:
        yield
    except OSError as problem:
        raise UsageError(
            f"cannot write {path} ({problem.strerror or problem}); mend that: what was recorded is kept, and the same command goes on "
            "from there"
        ) from problem
