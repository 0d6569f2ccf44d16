"""Accuracy against what the attacker may spend, from one run's records: no budget needs a run of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from robustbench_nlp.records import Record

__all__ = ["Point", "accuracy_by_queries", "accuracy_by_words"]


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


def _curve(records: Iterable[Record], price: Callable[[Record], int]) -> list[Point]:
    known = list(records)
    if not known:
        return []
    broken = sorted(price(record) for record in known if record.outcome == "success")
    right = sum(record.outcome in ("failed", "success") for record in known)
    points = [Point(0, right / len(known))]
    for number, spent in enumerate(broken, 1):
        point = Point(spent, (right - number) / len(known))
        if points[-1].spent == spent:
            points[-1] = point
        else:
            points.append(point)
    return points
