"""What each member adds to an ensemble, computed from the records of members that ran in full."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import nan
from statistics import mean
from typing import Any, NamedTuple

import pandas as pd

from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.records import Record

__all__ = ["CONTRIBUTIONS", "contributions"]

CONTRIBUTIONS = (
    *("defense", "attack", "n", "clean_accuracy", "robust_accuracy", "adds", "breaks_alone", "queries_mean"),
    *("rank", "robust_so_far"),
)
"""The columns of `contributions`, in order."""


class _Member(NamedTuple):
    """One member's standing: the examples that it left right, those it broke, its mean queries over attempted ones."""

    attack: str
    left: frozenset[str]
    broke: frozenset[str]
    queries: float


def contributions(
    records: Mapping[tuple[str, str], Sequence[Record]], members: Collection[str] | None = None
) -> pd.DataFrame:
    """One row per defense and member, from `Run.records`; `members` names those to count (None: all attacks).

    `adds` is the robust accuracy of the worst case without the member minus that with it, a fraction of all n examples;
    `breaks_alone` counts the examples that no other member breaks; `queries_mean` is over attempted examples. The rows
    of a defense stand in greedy order: at each `rank` the member that lowers robust accuracy most beside those before it
    (among equals the cheaper one, then the one named first), `robust_so_far` what they leave together. An errored example
    is neither right nor broken. Raises `UsageError` for records of a cascade or a reduction and where the members' examples differ.
    """
    known = {attack for _, attack in records}
    for member in members or ():
        if member not in known:
            raise unknown("attack on record", member, known)
    cells: dict[str, dict[str, Sequence[Record]]] = {}
    for (defense, attack), found in records.items():
        if members is None or attack in members:
            cells.setdefault(defense, {})[attack] = found
    rows = [row for defense, attacks in cells.items() for row in _rows(defense, attacks)]
    return pd.DataFrame(rows, columns=[*CONTRIBUTIONS])


def _rows(defense: str, attacks: Mapping[str, Sequence[Record]]) -> list[dict[str, Any]]:
    _comparable(attacks)
    n = len(next(iter(attacks.values())))
    clean = frozenset(record.example_id for found in attacks.values() for record in found if record.clean_right)
    members = [_member(attack, found) for attack, found in attacks.items()]
    rows = []
    for rank, (member, so_far) in enumerate(_greedy(members, clean), 1):
        others = [other for other in members if other is not member]
        without = clean.intersection(*(other.left for other in others))
        rows.append(
            {
                "defense": defense,
                "attack": member.attack,
                "n": n,
                "clean_accuracy": _share(clean, n),
                "robust_accuracy": _share(member.left, n),
                "adds": _share(without - member.left, n),
                "breaks_alone": len(member.broke.difference(*(other.broke for other in others))),
                "queries_mean": member.queries,
                "rank": rank,
                "robust_so_far": _share(so_far, n),
            }
        )
    return rows


def _greedy(members: Sequence[_Member], clean: frozenset[str]) -> list[tuple[_Member, frozenset[str]]]:
    """The members in greedy order, each with the examples that it and those before it leave right."""
    waiting, left = list(members), clean
    order = []
    while waiting:
        best = min(waiting, key=lambda member: (len(left & member.left), member.queries))
        waiting.remove(best)
        left &= best.left
        order.append((best, left))
    return order


def _member(attack: str, records: Sequence[Record]) -> _Member:
    queries = [record.queries for record in records if record.outcome in ("success", "failed")]
    return _Member(
        attack,
        frozenset(record.example_id for record in records if record.outcome == "failed"),
        frozenset(record.example_id for record in records if record.outcome == "success"),
        float(mean(queries)) if queries else nan,
    )


def _comparable(attacks: Mapping[str, Sequence[Record]]) -> None:
    first, *_ = attacks.values()
    wanted = {record.example_id for record in first}
    for attack, found in attacks.items():
        if any(record.outcome == "settled" for record in found):
            raise UsageError(f"{attack} ran in a cascade and met only what others left; run the members in full")
        if any(record.outcome == "success" and record.adversarial_prediction == record.label for record in found):
            raise UsageError(f"{attack} keeps the prediction instead of fooling it; name the members without it")
        if {record.example_id for record in found} != wanted:
            raise UsageError(f"{attack} has other examples than the members before it; finish the run first")


def _share(examples: Collection[str], n: int) -> float:
    return len(examples) / n if n else nan
