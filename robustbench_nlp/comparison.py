"""`compare`: two runs, cell by cell on the same examples, and only where nothing but the victim or the defense differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from robustbench_nlp.errors import UsageError, apart
from robustbench_nlp.grid import WORST_CASE, Benchmark, grid_of
from robustbench_nlp.records import Record, read
from robustbench_nlp.report.table import REDUCTION
from robustbench_nlp.report.worst_case import worst_case_row
from robustbench_nlp.stats import Interval, holm, mcnemar, paired_difference

__all__ = ["Cell", "Comparison", "Pair", "compare"]

MAY_DIFFER = ("victim", "defense")
"""What two cells are compared for; the records of cells that differ in anything else say nothing of each other."""


@dataclass(frozen=True)
class Cell:
    """One defended victim under one attack: a file's header, and its records by example."""

    header: Mapping[str, Any]
    records: Mapping[str, Record]

    @property
    def name(self) -> tuple[str, str]:
        """Defense and attack, as tables print them."""
        return self.header["defense"], self.header["attack"]

    def right(self) -> dict[str, bool]:
        """Whether each example is right on the clean text and under the attack."""
        return {identity: record.outcome == "failed" for identity, record in self.records.items()}

    def clean(self) -> float:
        """The share that is right without an attack."""
        return sum(record.clean_prediction == record.label for record in self.records.values()) / len(self.records)


@dataclass(frozen=True)
class Pair:
    """Two cells on the same examples. `difference` is the 95 % interval of the second's robust accuracy less the first's, `p`
    McNemar's exact p-value, `adjusted` the same by Holm over all pairs of the comparison."""

    first: Cell
    second: Cell
    difference: Interval
    p: float
    adjusted: float

    def accuracies(self) -> tuple[float, float]:
        """The robust accuracies, in [0, 1]."""
        first, second = (list(cell.right().values()) for cell in (self.first, self.second))
        return sum(first) / len(first), sum(second) / len(second)

    def flips(self) -> tuple[list[str], list[str]]:
        """The examples that only the first withstands, and those that only the second does."""
        first, second = self.first.right(), self.second.right()
        return [i for i in first if first[i] and not second[i]], [i for i in first if second[i] and not first[i]]


@dataclass(frozen=True)
class Comparison:
    """`pairs` in the order of the first run; `unpaired` are cells that the other run lacks."""

    pairs: tuple[Pair, ...]
    unpaired: tuple[str, ...]


def compare(first: str, second: str) -> Comparison:
    """Compare two runs, each `RUN` or `RUN::DEFENSE`; with a defense on both sides these two are compared, else each defense with
    its like.

    Raises `UsageError` for runs without a common cell, and for cells that differ in anything but victim and defense.
    """
    (one, one_defense), (two, two_defense) = _parsed(first), _parsed(second)
    across = one_defense is not None and two_defense is not None
    mine, theirs = _cells(one, one_defense), _cells(two, two_defense)
    partners = {(cell.name[1] if across else cell.name): cell for cell in theirs}
    made: list[tuple[Cell, Cell]] = []
    for cell in mine:
        partner = partners.pop(cell.name[1] if across else cell.name, None)
        if partner is not None:
            _refuse_others(cell, partner)
            made.append((cell, partner))
    if not made:
        raise UsageError(f"{first} and {second} have no cell in common; name the defenses: {one}::none {two}::spell")
    paired = {cell.name for cell, _ in made}
    unpaired = [*(cell.name for cell in mine if cell.name not in paired), *(cell.name for cell in partners.values())]
    return Comparison(tuple(_pairs(made)), tuple(f"{defense} × {attack}" for defense, attack in unpaired))


def _pairs(cells: list[tuple[Cell, Cell]]) -> list[Pair]:
    sides = []
    for first, second in cells:
        one, two = first.right(), second.right()
        sides.append(([one[i] for i in one], [two[i] for i in one]))
    chances = [mcnemar(one, two) for one, two in sides]
    return [
        Pair(*both, paired_difference(two, one), p, adjusted)
        for both, (one, two), p, adjusted in zip(cells, sides, chances, holm(chances), strict=True)
    ]


def _parsed(selector: str) -> tuple[Path, str | None]:
    folder, _, defense = selector.partition("::")
    return Path(folder), defense.replace("-", "_") or None


def _cells(folder: Path, defense: str | None) -> list[Cell]:
    """The run's cells that say something of robustness, worst cases last."""
    files = sorted((folder / "records").glob("*.jsonl"))
    if not files or not (folder / "run.yaml").is_file():
        raise UsageError(f"{folder} is no run folder: it has no {'records' if not files else 'run.yaml'}")
    found = [file for file in map(read, files) if file is not None]
    cells = [Cell(file.header, file.records) for file in found if file.header["mode"] != REDUCTION and file.records]
    cells = [cell for cell in cells if defense in (None, cell.name[0])]
    if not cells:
        names = dict.fromkeys(file.header["defense"] for file in found)
        raise UsageError(f"{folder} has no defense '{defense}'; it has {', '.join(names)}")
    return cells + _worst_cases(folder, cells)


def _worst_cases(folder: Path, cells: list[Cell]) -> list[Cell]:
    benchmark = Benchmark.of(yaml.safe_load((folder / "run.yaml").read_text("utf-8")))
    views = [attack for attack in benchmark.attacks if attack.replace("-", "_").startswith(WORST_CASE)]
    named = {cell.name: cell for cell in cells}
    made = []
    for name, members in grid_of(benchmark.attacks, cascade=benchmark.cascade).worst_cases.items() if views else ():
        for defense in dict.fromkeys(cell.name[0] for cell in cells):
            parts = [named[defense, member] for member in members if (defense, member) in named]
            if len(parts) == len(members):
                header, records = worst_case_row([(part.header, list(part.records.values())) for part in parts], name)
                made.append(Cell(header, {record.example_id: record for record in records}))
    return made


def _refuse_others(first: Cell, second: Cell) -> None:
    one, two = first.header["spec"], second.header["spec"]
    differs = [key for key in sorted({*one, *two}) if key not in MAY_DIFFER and one.get(key) != two.get(key)]
    if first.records.keys() != second.records.keys() and not differs:
        differs = ["examples on record"]
    if differs:
        shown = "; ".join(f"{key}: {' and '.join(apart(one.get(key), two.get(key)))}" for key in differs)
        raise UsageError(f"{' × '.join(first.name)}: the cells can't be compared, they differ in {shown}")
