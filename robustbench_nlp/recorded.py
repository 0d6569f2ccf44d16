"""What a run folder has on record, cell by cell: what tables, comparisons and reports are made from at any later time."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Any

from robustbench_nlp.compact import Compact
from robustbench_nlp.defense import shown
from robustbench_nlp.errors import UsageError
from robustbench_nlp.grid import Benchmark, Grid, grid_of
from robustbench_nlp.records import Record, read
from robustbench_nlp.report.table import REDUCTION, floor
from robustbench_nlp.report.table import WORST_CASE as TITLE
from robustbench_nlp.report.worst_case import worst_case_row
from robustbench_nlp.settings_file import read_settings
from robustbench_nlp.shapes import shape, unfit

__all__ = ["Cell", "no_run", "recorded_cells"]

HEADER = shape(
    {
        **dict.fromkeys(
            ("task", "dataset", "split", "victim", "defense", "attack", "mode", "threat", "fingerprint"), str
        ),
        "seed": int,
        "schema": int,
        "max_queries": int | None,
        "environment": dict[str, Any],
        "packages": dict[str, Any],
    }
)
"""What tables take from a cell's first line."""


@dataclass(frozen=True)
class Cell:
    """One defended victim under one attack: a file's header, and its records by example; of a worst case also the `members`
    that it was put together from."""

    header: Mapping[str, Any]
    records: Mapping[str, Record]
    members: tuple[Cell, ...] = ()

    @property
    def name(self) -> tuple[str, str]:
        """Defense and attack, as tables print them."""
        return self.header["defense"], self.header["attack"]

    @property
    def measures(self) -> bool:
        """Whether it says anything of robustness, as reductions don't."""
        return str(self.header["mode"]) != REDUCTION

    def right(self) -> Mapping[str, bool]:
        """Whether each example is right on the clean text and under the attack."""
        return Compact(((identity, record.outcome == "failed") for identity, record in self.records.items()), kind=bool)

    def floor(self) -> float:
        """What a constant answer scores on these examples."""
        return floor(self.records.values())

    def success_rate(self) -> float:
        """Successes / attempted examples; NaN where none was attempted."""
        outcomes = Counter(record.outcome for record in self.records.values())
        attempted = outcomes["success"] + outcomes["failed"]
        return outcomes["success"] / attempted if attempted else nan

    def clean(self) -> float:
        """The share that is right without an attack."""
        return sum(record.clean_right for record in self.records.values()) / len(self.records)


def recorded_cells(folder: Path, grid: Grid | None = None) -> list[Cell]:
    """The run's cells in the order of its settings, each defense's worst cases last; `grid` is the run's, where it is at hand.
    Raises `UsageError` where there is no run."""
    files = sorted((folder / "records").glob("*.jsonl"))
    if not files or not (folder / "run.yaml").is_file():
        raise no_run(folder, "run.yaml" if files else "records")
    settings = read_settings(folder / "run.yaml")
    if "alpha" in settings:
        raise UsageError(
            f"{folder} holds certificates, no attacks; its table.csv and table.md are what there is of them"
        )
    benchmark = Benchmark.of(settings)
    found = [cell for path in files if (cell := cell_in(path)) is not None]
    grid = grid or _grid(benchmark)
    order = [member.name for member in grid.members] if grid else []
    found.sort(key=lambda cell: order.index(cell.name[1]) if cell.name[1] in order else len(order))
    wanted = [shown(defense) for defense in benchmark.defenses]
    if grid:  # what an earlier, larger benchmark left in the folder isn't the run's
        found = [cell for cell in found if cell.name[0] in wanted and cell.name[1] in order]
    defenses = list(dict.fromkeys(cell.name[0] for cell in found))
    defenses.sort(key=lambda name: wanted.index(name) if name in wanted else len(wanted))
    worst_cases = _worst_cases(folder, grid, list(dict.fromkeys(cell.name[1] for cell in found)))
    made: list[Cell] = []
    for defense in defenses:
        own = {cell.name[1]: cell for cell in found if cell.name[0] == defense}
        made += own.values()
        for name, members in worst_cases.items():
            parts = [own[member] for member in members if member in own]
            if len(parts) == len(members):
                header, records = worst_case_row([(part.header, part.records) for part in parts], name)
                made.append(Cell(header, records, tuple(parts)))
    return made


def no_run(folder: Path, lacks: str, more: str = "") -> UsageError:
    """What to say of a folder without a run; that of shards which nobody gathered yet is told how to."""
    if (folder / "shards").is_dir():
        return UsageError(f"{folder} holds shards of a run; type its command without --shard to gather them")
    return UsageError(f"{folder} is no run folder: it has no {lacks}{more}")


def cell_in(path: Path) -> Cell | None:
    """What a file of records holds; None where it has none yet. Raises `UsageError` for a file that is damaged, or no cell's."""
    file = read(path)
    if file is None or not file.records:
        return None
    told = {"max_queries": None, "environment": {}, **file.header}
    environment = told["environment"] if isinstance(told["environment"], dict) else {}
    if wrong := unfit({**told, "packages": environment.get("packages", {})}, HEADER):
        raise UsageError(f"{path}, line 1: no header of a cell ({wrong})")
    return Cell(file.header, file.records)


def _grid(benchmark: Benchmark) -> Grid | None:
    """The run's grid; None where an attack was a Python object or isn't installed here."""
    try:
        return grid_of(benchmark.attacks, cascade=benchmark.cascade)
    except UsageError:
        return None


def _worst_cases(folder: Path, grid: Grid | None, attacks: Collection[str]) -> Mapping[str, Sequence[str]]:
    """The members of each worst case; without a grid, as far as the names in the run's own table tell them."""
    if grid:
        return grid.worst_cases
    try:
        with (folder / "table.csv").open(encoding="utf-8", newline="") as file:
            told = dict.fromkeys(row["attack"] for row in csv.DictReader(file))
    except (OSError, KeyError):
        return {}
    names = [attack.removeprefix(TITLE) for attack in told if attack.startswith(TITLE)]
    found = {
        name: [attack for attack in attacks if attack.startswith(f"{name}/")] or _members(name, attacks)
        for name in names
    }
    return {name: members for name, members in found.items() if members}


def _members(joined: str, attacks: Collection[str]) -> list[str]:
    """The attacks that `a+b` joins; none where it joins others. Settings may hold a plus too."""
    if joined in attacks:
        return [joined]
    for attack in attacks:
        if joined.startswith(f"{attack}+") and (rest := _members(joined[len(attack) + 1 :], attacks)):
            return [attack, *rest]
    return []
