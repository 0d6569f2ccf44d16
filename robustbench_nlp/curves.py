"""Accuracy against what the attacker may spend, from one run's records: no budget needs a run of its own."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from robustbench_nlp.on_disk import View
from robustbench_nlp.recorded import Cell
from robustbench_nlp.records import Record
from robustbench_nlp.report.table import named, rate

__all__ = ["COLUMNS", "Point", "accuracy_by_queries", "accuracy_by_words", "curves", "of_fewest_words", "stands_alone"]

COLUMNS = (
    *("dataset", "split", "victim", "defense", "attack", "mode", "by", "spent", "n"),
    *("accuracy", "accuracy_low", "accuracy_high", "floor"),
)
"""The columns of curves.csv, in order."""


class Point(NamedTuple):
    """From this spending on, up to the next point's, this share of all examples is right."""

    spent: int
    accuracy: float


def accuracy_by_queries(records: Iterable[Record]) -> list[Point]:
    """The accuracy that is left at each budget of queries, the clean prediction counted as the first.

    Exact for attacks whose path doesn't depend on the budget: budgets nest (a smaller one cuts the same search). Examples
    that an earlier member of a cascade settled are broken from the start.
    """
    return _curve(records, lambda record: record.first_success_query or record.queries)


def accuracy_by_words(records: Iterable[Record]) -> list[Point]:
    """The accuracy that is left where only successes with at most so many changed words count.

    An upper bound: an attack that isn't held to fewer words doesn't look for a success with fewer.
    """
    return _curve(records, lambda record: record.words_changed or 0)


def curves(cells: Iterable[Cell]) -> pd.DataFrame:
    """Both curves of every cell that measures robustness, a row a point, with `COLUMNS`: `by` is queries or words, `accuracy`
    holds from `spent` up to the next point's, with its 95 % Wilson interval; noise and transfer, which search nothing, have none,
    nor has what `stands_alone` leaves out.
    """
    rows = []
    for cell in cells:
        if not cell.measures or cell.header["mode"] in ("noise", "transfer") or not stands_alone(cell):
            continue
        shared = named(cell.header, COLUMNS[:6]) | {"n": len(cell.records), "floor": cell.floor()}
        for by, points in (
            ("queries", accuracy_by_queries(cell.records.values())),
            ("words", accuracy_by_words(of_fewest_words(cell).records.values())),
        ):
            for spent, accuracy in points:
                ends = rate(("accuracy", "accuracy_low", "accuracy_high"), round(accuracy * shared["n"]), shared["n"])
                rows.append(shared | {"by": by, "spent": spent} | ends)
    return pd.DataFrame(rows, columns=[*COLUMNS])


def stands_alone(cell: Cell) -> bool:
    """Whether a cell's spending tells its accuracy: not in a cascade, where others broke most of what its member lacks; its worst
    case tells."""
    return bool(cell.members) or cell.header["mode"] != "cascade"


def of_fewest_words(cell: Cell) -> Cell:
    """A worst case whose successes are, of each example, the member's that changed the fewest words; any other cell as it is.

    A worst case's own record is that of the first member to succeed, and another may have needed fewer words.
    """
    if not cell.members:
        return cell

    def cheapest(identity: str) -> Record:
        found = [member.records[identity] for member in cell.members]
        words = [other.words_changed or 0 for other in found if other.outcome == "success"]
        record = cell.records[identity]
        return replace(record, words_changed=min(words)) if words else record

    return replace(cell, records=View.of(cell.records, cheapest))


def _curve(records: Iterable[Record], price: Callable[[Record], int]) -> list[Point]:
    n = right = 0
    broken = array("q")
    for record in records:
        n += 1
        right += record.outcome in ("failed", "success")
        if record.outcome == "success":
            broken.append(price(record))
    if not n:
        return []
    points = [Point(0, right / n)]
    for number, spent in enumerate(sorted(broken), 1):
        point = Point(spent, (right - number) / n)
        if points[-1].spent == spent:
            points[-1] = point
        else:
            points.append(point)
    return points
