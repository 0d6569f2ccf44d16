"""One process a run folder: the claim is a lock of the operating system's, so it ends with the process, however that ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from robustbench_nlp.errors import UsageError

__all__ = ["LOCK", "claimed"]

LOCK = ".lock"
"""The file in a run folder; it stays there and says which process had the folder last."""


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Make the folder, and keep other processes from writing into it while the block runs. Raises `UsageError` where one
    does already, and where no folder can be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise UsageError(
            f"cannot make the run folder {folder} ({problem.strerror}); choose another --output"
        ) from problem
    path = folder / LOCK
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(
            f"{folder} is in use by {_owner(path)}; wait until it ends, or choose another --output"
        ) from None
    try:
        path.write_text(str(os.getpid()), "ascii")
        yield
    finally:
        lock.release()


def _owner(path: Path) -> str:
    with suppress(OSError, ValueError):
        return f"process {int(path.read_text('ascii'))}"
    return "another process"
