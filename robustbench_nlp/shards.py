"""One run on several machines: shard i of n is a folder inside the run's, and the run without a shard takes in what they found.

Nothing is coordinated: an example's shard follows from its hash, so machines that a scheduler starts need not know each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from robustbench_nlp.compact import Compact
from robustbench_nlp.errors import UsageError
from robustbench_nlp.records import RecordFile, read, same_cell

__all__ = ["Shard", "beside", "parsed", "take_in"]


class Shard(NamedTuple):
    """The `number`th of so many, from 1."""

    number: int
    of: int

    def holds(self, identity: str) -> bool:
        """Whether the example of this id belongs to it; by its hash, whatever else is attacked."""
        return int(identity[:8], 16) % self.of == self.number - 1

    def folder(self, run: Path) -> Path:
        """Its own run folder, inside that of the run."""
        return run / "shards" / f"{self.number}-of-{self.of}"


def parsed(text: str) -> Shard:
    """A shard as users write it, such as `2/8`. Raises `UsageError` for anything else."""
    match = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", text.strip())
    if match is None or int(match[1]) > int(match[2]):
        raise UsageError(f"no shard '{text}'; write 1/4, 2/4, 3/4 and 4/4 for the four shards of a run")
    return Shard(int(match[1]), int(match[2]))


def beside(run: Path) -> list[Path]:
    """The folders whose records go into one table: the run's own, and its shards'."""
    return [run, *sorted(run.glob("shards/*"))]


def take_in(file: RecordFile, header: Mapping[str, Any], run: Path) -> None:
    """Append the shards' records of a cell that its own file lacks; errors are left to be tried again.

    Raises `UsageError` for a shard that was run with other settings.
    """
    for path in sorted(run.glob(f"shards/*/records/{file.path.name}")):
        found = read(path)
        if found is None:
            continue
        same_cell(path, found.header, header)
        settled = Compact(((i, True) for i, record in file.records.items() if record.outcome != "error"), kind=bool)
        for identity, record in found.records.items():
            if record.outcome != "error" and identity not in settled:
                file.append(record)
