"""The worst case over several attacks: not an attack but a view, computed per example from the members' records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Any

from robustbench_nlp.data.example import content_hash
from robustbench_nlp.errors import UsageError
from robustbench_nlp.on_disk import View
from robustbench_nlp.records import Outcome, Record
from robustbench_nlp.report.table import REDUCTION

__all__ = ["Cell", "worst_case_row"]

Cell = tuple[Mapping[str, Any], Mapping[str, Record]]
"""A cell's header, and its records by example id."""


def worst_case_row(cells: Sequence[Cell], name: str = "") -> tuple[dict[str, Any], Mapping[str, Record]]:
    """The header and records of the worst case over `cells`: one defended victim's members in order, full or cascade.

    It is called `worst_case:NAME`, without a name after its members.
    An example is a success if any member succeeded (the first one wins), else an error if any errored, else as it was.
    Queries, forwards and seconds are sums over the members. Raises `UsageError` where the members' examples differ
    and for a reduction, whose successes fool nobody.
    """
    if not cells:
        raise UsageError("a worst case needs at least one attack")
    headers = [header for header, _ in cells]
    members = [records for _, records in cells]
    names = "+".join(str(header["attack"]) for header in headers)
    for header in headers:
        if header["mode"] == REDUCTION:
            raise UsageError(
                f"{header['attack']} keeps the prediction instead of fooling it; leave it out of a worst case"
            )
    for header, records in zip(headers[1:], members[1:], strict=True):
        if records.keys() != members[0].keys():
            raise UsageError(
                f"the worst case of {names} needs the same examples from every member, and {header['attack']} has others; "
                "finish the run first"
            )
    modes = {str(header["mode"]) for header in headers}
    searching = modes - {"noise"} or modes
    budgets = {header["max_queries"] for header in headers}
    merged = {
        **headers[0],
        "attack": f"worst_case:{name or names}",
        "mode": "cascade" if "cascade" in modes else min(searching),
        "threat": "+".join(dict.fromkeys(str(header["threat"]) for header in headers)),
        "max_queries": budgets.pop() if len(budgets) == 1 else None,
        "fingerprint": content_hash("worst_case", name or names, [header["fingerprint"] for header in headers])[:16],
    }
    return merged, View.of(members[0], lambda identity: _worst(headers, [records[identity] for records in members]))


def _worst(headers: Sequence[Mapping[str, Any]], records: Sequence[Record]) -> Record:
    """One example's record: that of the member that decided it, with the costs of all."""
    if all(record.outcome == "settled" for record in records):
        raise UsageError(f"{records[0].winner} settled an example that no member met; a cascade has one worst case")
    outcome: Outcome = next(
        (name for name in ("success", "error", "skipped") if any(record.outcome == name for record in records)),
        "failed",
    )
    decided = [i for i, record in enumerate(records) if record.outcome == outcome]
    first = min(decided, key=lambda i: _margin(records[i])) if outcome == "failed" else decided[0]
    chosen = records[first]
    spent = sum(record.queries for record in records[:first])
    return replace(
        chosen,
        winner=str(headers[first]["attack"]) if outcome == "success" else None,
        queries=sum(record.queries for record in records),
        forwards=sum(record.forwards for record in records),
        helper_calls=sum(record.helper_calls for record in records),
        first_success_query=None if chosen.first_success_query is None else spent + chosen.first_success_query,
        rejected_successes=sum(record.rejected_successes for record in records),
        seconds=sum(record.seconds for record in records),
    )


def _margin(record: Record) -> float:
    return inf if record.margin is None else record.margin
