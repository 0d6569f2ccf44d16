"""What a run folder has on record, cell by cell: what tables, comparisons and reports are made from at any later time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Any

from robustbench_nlp.defense import shown
from robustbench_nlp.errors import UsageError
from robustbench_nlp.grid import WORST_CASE, Benchmark, Grid, grid_of
from robustbench_nlp.records import Record, read
from robustbench_nlp.report.table import REDUCTION, floor
from robustbench_nlp.report.worst_case import worst_case_row
from robustbench_nlp.settings_file import read_settings
from robustbench_nlp.shapes import unfit

__all__ = ["Cell", "recorded_cells"]

HEADER: dict[str, Any] = {
    **dict.fromkeys(("task", "dataset", "split", "victim", "defense", "attack", "mode", "threat", "fingerprint"), str),
    "seed": int,
    "schema": int,
    "max_queries": int | None,
    "environment": dict[str, Any],
    "packages": dict[str, Any],
}
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

    def right(self) -> dict[str, bool]:
        """Whether each example is right on the clean text and under the attack."""
        return {identity: record.outcome == "failed" for identity, record in self.records.items()}

    def floor(self) -> float:
        """What a constant answer scores on these examples."""
        return floor(self.records.values())

    def success_rate(self) -> float:
        """Successes / attempted examples; NaN where none was attempted."""
        outcomes = [record.outcome for record in self.records.values()]
        attempted = outcomes.count("success") + outcomes.count("failed")
        return outcomes.count("success") / attempted if attempted else nan

    def clean(self) -> float:
        """The share that is right without an attack."""
        return sum(record.clean_prediction == record.label for record in self.records.values()) / len(self.records)


def recorded_cells(folder: Path, grid: Grid | None = None) -> list[Cell]:
    """The run's cells in the order of its settings, each defense's worst cases last; `grid` is the run's, where it is at hand.
    Raises `UsageError` where there is no run."""
    files = sorted((folder / "records").glob("*.jsonl"))
    if not files or not (folder / "run.yaml").is_file():
        raise UsageError(f"{folder} is no run folder: it has no {'records' if not files else 'run.yaml'}")
    benchmark = Benchmark.of(read_settings(folder / "run.yaml"))
    found = [cell for path in files if (cell := cell_in(path)) is not None]
    grid = grid or _grid(benchmark)
    order = [member.name for member in grid.members] if grid else []
    found.sort(key=lambda cell: order.index(cell.name[1]) if cell.name[1] in order else len(order))
    wanted = [shown(defense) for defense in benchmark.defenses]
    if grid:  # what an earlier, larger benchmark left in the folder isn't the run's
        found = [cell for cell in found if cell.name[0] in wanted and cell.name[1] in order]
    defenses = list(dict.fromkeys(cell.name[0] for cell in found))
    defenses.sort(key=lambda name: wanted.index(name) if name in wanted else len(wanted))
    made: list[Cell] = []
    for defense in defenses:
        own = {cell.name[1]: cell for cell in found if cell.name[0] == defense}
        made += own.values()
        for name, members in grid.worst_cases.items() if grid else ():
            parts = [own[member] for member in members if member in own]
            if len(parts) == len(members):
                header, records = worst_case_row([(part.header, list(part.records.values())) for part in parts], name)
                made.append(Cell(header, {record.example_id: record for record in records}, tuple(parts)))
    return made


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
    """The run's grid; None where attacks were Python objects, whose worst cases have no names here."""
    try:
        return grid_of(benchmark.attacks, cascade=benchmark.cascade)
    except UsageError:
        if any(attack.replace("-", "_").startswith(WORST_CASE) for attack in benchmark.attacks):
            raise
        return None
