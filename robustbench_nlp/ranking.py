"""Ranks that a second sample of examples would not overturn: an entry is behind only those that are significantly better.

A rank is 1 + the number of entries that are right on significantly more of the same examples, by McNemar's exact test with
Holm's correction over all pairs of entries, at 5 %; entries that can't be told apart share a rank.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from robustbench_nlp.errors import UsageError
from robustbench_nlp.stats import Interval, crossed_mcnemar, holm, wilson

__all__ = ["ALPHA", "Standing", "rank", "standings"]

ALPHA = 0.05


@dataclass(frozen=True)
class Standing:
    """One entry's place: right on `right` of `n` examples, `better` the entries that are significantly better, and
    `p_best` the chance, by Holm over all pairs, of a difference as large as that to the best entry; 1.0 for the best."""

    name: str
    right: int
    n: int
    better: tuple[str, ...]
    p_best: float

    @property
    def rank(self) -> int:
        """1 + the number of entries that are significantly better."""
        return 1 + len(self.better)

    @property
    def accuracy(self) -> float:
        """In [0, 1]."""
        return self.right / self.n

    @property
    def interval(self) -> Interval:
        """Its 95 % Wilson interval."""
        return wilson(self.right, self.n)

    @property
    def tied(self) -> bool:
        """Whether it can't be told from the best entry, as the best itself can't."""
        return self.p_best >= ALPHA


def rank(sides: Mapping[str, Mapping[str, bool]]) -> dict[str, int]:
    """Each entry's rank, in the order given. `sides` says of each entry by example id whether it is right there, such as
    right on the clean text and under every attack.

    Raises `UsageError` where the entries' examples differ, and for more than two entries without the extra `stats`.
    """
    places = {standing.name: standing.rank for standing in standings(sides)}
    return {name: places[name] for name in sides}


def standings(sides: Mapping[str, Mapping[str, bool]]) -> list[Standing]:
    """The entries by accuracy, then by rank; `rank` says of what and what it raises."""
    if not sides:
        return []
    first, examples = next(iter(sides.items()))
    for name, side in sides.items():
        if side is not examples and side.keys() != examples.keys():
            raise UsageError(f"{first} and {name} have other examples; only entries on the same examples can be ranked")
    if not examples:
        raise UsageError("there are no examples to rank entries on")
    right, chances = _tested(sides, examples)
    best = max(sides, key=lambda name: right[name])
    found = [
        Standing(
            name,
            right[name],
            len(examples),
            tuple(o for o in sides if right[o] > right[name] and chances[o, name] < ALPHA),
            chances.get((best, name), 1.0),
        )
        for name in sides
    ]
    return sorted(found, key=lambda standing: (-standing.right, standing.rank))


def _tested(
    sides: Mapping[str, Mapping[str, bool]], examples: Collection[str]
) -> tuple[dict[str, int], dict[tuple[str, str], float]]:
    """How often each entry is right, and the corrected p-value of each pair, in both orders."""
    right = [np.fromiter((side[example] for example in examples), bool, len(examples)) for side in sides.values()]
    pairs = list(combinations(range(len(sides)), 2))
    chances = holm(
        [crossed_mcnemar(int((right[i] & ~right[j]).sum()), int((right[j] & ~right[i]).sum())) for i, j in pairs]
    )
    names = list(sides)
    found = {(names[i], names[j]): p for (i, j), p in zip(pairs, chances, strict=True)}
    return dict(zip(names, (int(side.sum()) for side in right), strict=True)), found | {
        (b, a): p for (a, b), p in found.items()
    }
