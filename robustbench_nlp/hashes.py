"""What files should be: sizes and SHA-256 sums, of a folder as it was made or as it is known, and what has become of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

__all__ = ["FileFacts", "Files", "combined", "damage", "known", "measured", "stamp"]

STAMP = ".files.json"
"""In a folder that was made once: the facts of its files."""


class FileFacts(NamedTuple):
    """A file's size and its SHA-256 sum in hex."""

    bytes: int
    sha256: str


Files = Mapping[str, FileFacts]
"""By path within a folder, with `/`."""


def measured(folder: Path) -> dict[str, FileFacts]:
    """The facts of every file below the folder, hidden ones left out."""
    paths = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {
        name.as_posix(): _facts(path)
        for name, path in paths.items()
        if not any(part.startswith(".") for part in name.parts)
    }


def _facts(path: Path) -> FileFacts:
    with path.open("rb") as file:
        return FileFacts(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def stamp(folder: Path) -> None:
    """Write down what the folder's files are now."""
    (folder / STAMP).write_text(json.dumps(measured(folder), indent=1) + "\n", "utf-8")


def known(folder: Path) -> dict[str, FileFacts] | None:
    """What the folder's files were when it was made; None where nobody wrote it down."""
    try:
        return {name: FileFacts(*facts) for name, facts in json.loads((folder / STAMP).read_text("utf-8")).items()}
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, AttributeError):
        return {STAMP: FileFacts(-1, "")}  # no file has this size: the folder is damaged


def damage(folder: Path, files: Files, *, whole: bool) -> str:
    """What is wrong with the first file that isn't as it should be, '' if all are; `whole`: by hash, not only by size."""
    for name, facts in files.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if (size := path.stat().st_size) != facts.bytes:
            return f"{name} has {size} bytes instead of {facts.bytes}"
        if whole and (found := _facts(path).sha256) != facts.sha256:
            return f"{name} has the sha256 {found[:12]} instead of {facts.sha256[:12]}"
    return ""


def combined(files: Files) -> str:
    """One file's SHA-256 sum, or that of several names and sums, one a line."""
    if len(files) == 1:
        return next(iter(files.values())).sha256
    lines = "".join(f"{facts.sha256}  {name}\n" for name, facts in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
