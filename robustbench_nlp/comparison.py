"""`compare`: two runs, cell by cell on the same examples, and only where nothing but the victim or the defense differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isnan, nan
from pathlib import Path
from typing import Any

from robustbench_nlp.differing import differing
from robustbench_nlp.errors import UsageError
from robustbench_nlp.power import detectable
from robustbench_nlp.recorded import Cell, recorded_cells
from robustbench_nlp.resampling import Resampled, bootstrap_difference, success_rate_difference
from robustbench_nlp.stats import Interval, holm, mcnemar, paired_difference

__all__ = ["Comparison", "Pair", "compare", "refuse_others"]

MAY_DIFFER = ("victim", "defense")
"""What two cells are compared for; the records of cells that differ in anything else say nothing of each other."""


@dataclass(frozen=True)
class Pair:
    """Two cells on the same examples. `difference` is the 95 % interval of the second's robust accuracy less the first's, `p`
    McNemar's exact p-value, `adjusted` the same by Holm over all tests of the comparison; `rates` is the second's attack success
    rate less the first's by the bootstrap, `rates_adjusted` its p by Holm over the pairs that have one, NaN for others."""

    first: Cell
    second: Cell
    difference: Interval
    p: float
    adjusted: float
    rates: Resampled
    rates_adjusted: float

    @cached_property
    def resampled(self) -> Resampled:
        """What `difference` and `p` are by the bootstrap: a check of the closed form, which leads."""
        first, second = self.first.right(), self.second.right()
        return bootstrap_difference([second[i] for i in first], [first[i] for i in first])

    def accuracies(self) -> tuple[float, float]:
        """The robust accuracies, in [0, 1]."""
        first, second = (list(cell.right().values()) for cell in (self.first, self.second))
        return sum(first) / len(first), sum(second) / len(second)

    def detectable(self) -> float:
        """The smallest difference that so many examples find with a power of 80 %, by as many flips as there are; NaN without."""
        lost, won = self.flips()
        n = len(self.first.records)
        return detectable(n, (len(lost) + len(won)) / n)

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
            refuse_others(cell, partner, MAY_DIFFER)
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
    test_of = [_test(i, cells) for i in range(len(cells))]
    tests = list(dict.fromkeys(test_of))
    chances = [mcnemar(one, two) for one, two in sides]
    corrected = dict(zip(tests, holm([chances[i] for i in tests]), strict=True))
    rates = [_success_rates(first, second) for first, second in cells]
    known = [rate.p for rate in rates if not isnan(rate.p)]
    adjusted = iter(holm(known))
    return [
        Pair(
            *both,
            paired_difference(two, one),
            chances[i],
            corrected[test_of[i]],
            rates[i],
            nan if isnan(rates[i].p) else next(adjusted),
        )
        for i, (both, (one, two)) in enumerate(zip(cells, sides, strict=True))
    ]


def _success_rates(first: Cell, second: Cell) -> Resampled:
    """The second's attack success rate less the first's; NaN for a cascade's later members, which met other examples on either side."""
    if first.header["spec"].get("members before") and not first.members:
        return Resampled(nan, Interval(nan, nan), nan)
    return success_rate_difference(second.records, first.records)


def _test(i: int, cells: list[tuple[Cell, Cell]]) -> int:
    """The pair whose test this pair's is: its own, but of a cascade's last member, which leaves what the worst case does, that one's;
    so that one test counts once."""
    own = [cell.right() for cell in cells[i]]
    for j, pair in enumerate(cells):
        worst = pair[0]
        last = worst.members[-1].name if worst.members and worst.header["mode"] == "cascade" else None
        if last == cells[i][0].name and own == [cell.right() for cell in pair]:
            return j
    return i


def _parsed(selector: str) -> tuple[Path, str | None]:
    folder, _, defense = selector.partition("::")
    return Path(folder), defense.replace("-", "_") or None


def _cells(folder: Path, defense: str | None) -> list[Cell]:
    """The run's cells that say something of robustness, of one defense or of all."""
    cells = [cell for cell in recorded_cells(folder) if cell.measures]
    chosen = [cell for cell in cells if defense in (None, cell.name[0])]
    if not chosen:
        names = dict.fromkeys(cell.name[0] for cell in cells)
        raise UsageError(f"{folder} has no defense '{defense}'; it has {', '.join(names)}")
    return chosen


def _per_draw(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings without the number of draws, the budget divided by it."""
    draws, threat = settings["draws"], settings["threat"]
    most = threat["max_queries"]
    budget = {} if most is None else {"max_queries per draw": most / draws}
    return {**settings, "draws": None, "threat": threat | {"max_queries": None}, **budget}


def refuse_others(first: Cell, second: Cell, may_differ: Sequence[str]) -> None:
    """Raises `UsageError` where two cells differ in a setting that they may not differ in, or in their examples. A random victim,
    each of whose draws is a query, stands beside one that isn't by the budget per draw."""
    one, two = ({"n": len(cell.records), **cell.header["spec"]} for cell in (first, second))
    rules = [spec.pop("judged", 1 if spec["draws"] > 1 else None) for spec in (one, two)]
    if None not in rules:  # both are random
        one["judged"], two["judged"] = rules
    if one["draws"] != two["draws"] and 1 in (one["draws"], two["draws"]):
        one, two = map(_per_draw, (one, two))
    found = [f"{name}: {mine} and {other}" for name, mine, other in differing(one, two, may_differ)]
    if first.records.keys() != second.records.keys() and not found:
        found = ["examples on record"]
    if found:
        raise UsageError(f"{' × '.join(first.name)}: the cells can't be compared, they differ in {'; '.join(found)}")
