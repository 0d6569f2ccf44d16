"""What the records of one defended victim under one published ensemble say: made once for `submit` and again for `verify`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.resources import files
from math import isnan
from typing import Any

from robustbench_nlp import ensembles
from robustbench_nlp.data.example import content_hash
from robustbench_nlp.defense import compose, knows
from robustbench_nlp.differing import differing
from robustbench_nlp.ensembles import load_ensemble
from robustbench_nlp.errors import UsageError
from robustbench_nlp.grid import Member
from robustbench_nlp.on_disk import listed
from robustbench_nlp.recorded import Cell
from robustbench_nlp.report.flags import Evidence, flags
from robustbench_nlp.report.table import COLUMNS, is_incomplete, row, table
from robustbench_nlp.report.worst_case import worst_case_row
from robustbench_nlp.threat import KNOWLEDGE

__all__ = ["SMALL", "changed", "described", "ensemble_digest", "summarised"]

SMALL = 100
"""Entries over fewer examples are flagged."""
VALUES = (*COLUMNS[COLUMNS.index("n") : COLUMNS.index("seconds")], "floor")
COMPARED = ("dataset", "examples", "attack", "task", "seed", "dtype", "learned from")
"""The settings that entries of one ranking share: not the victim, the defense, the order of the members, the draws and the helper
models, which each machine trains by their recipe."""


def summarised(cells: Sequence[Cell], members: Sequence[Member], ensemble: str, selector: str) -> dict[str, Any]:
    """The parts of an entry that its records give: `measured`, `members`, `mode`, `comparable`, `flags` and `warnings`.

    `cells` are the members' in order, `selector` is the defense's. Raises `UsageError` for records that are none of a worst case,
    and for more than one error in a hundred examples.
    """
    header, worst = worst_case_row([(cell.header, cell.records) for cell in cells], ensemble)
    measured = row(header, worst.values())
    frame = table([measured])
    if is_incomplete(frame).any():
        raise UsageError(
            f"{measured['errors']} of {measured['n']} examples ended in an error; the run's command tries them again"
        )
    defense = compose(selector)
    rows = [row(cell.header, cell.records.values()) for cell in cells]
    evidence = Evidence(table(rows), {cell.name: listed(cell.records) for cell in cells})
    warnings = [f"{flag.name}: {flag.evidence}" for flag in flags(evidence)]
    return {
        "mode": header["mode"],
        "comparable": content_hash([[cell.header["spec"].get(name) for name in COMPARED] for cell in cells])[:16],
        "measured": _values(measured) | {"fingerprint": header["fingerprint"]},
        "members": [
            {
                "attack": cell.header["attack"],
                "version": cell.header["spec"]["attack"][2],
                "threat": cell.header["threat"],
                "max_queries": cell.header["max_queries"],
                "known": knows(defense, member.name, member.attack),
                **_values(values),
                "fingerprint": cell.header["fingerprint"],
            }
            for cell, member, values in zip(cells, members, rows, strict=True)
        ],
        "flags": ["small"] * (measured["n"] < SMALL) + ["unreliable"] * bool(warnings),
        "warnings": warnings,
    }


def _values(made: Mapping[str, Any]) -> dict[str, Any]:
    """Plain numbers, None for NaN."""
    return {name: None if isinstance(v := made[name], float) and isnan(v) else v for name in VALUES}


def changed(cell: Cell, member: Member) -> str:
    """How a recorded member differs from the one that the ensemble has here, in a phrase; empty where it doesn't."""
    spec = cell.header["spec"]
    budget = member.attack.threat.max_queries
    threat = replace(member.attack.threat, max_queries=None if budget is None else budget * spec["draws"])
    here = {
        "attack": [member.name, repr(member.attack), getattr(member.attack, "version", 1)],
        "threat": json.loads(json.dumps(asdict(threat))),
    }
    for name, mine, recorded in differing(here, {name: spec[name] for name in here}):
        return f"the {name} is {mine} here and {recorded} on record"
    return ""


def ensemble_digest(name: str) -> str:
    """The SHA-256 sum of the published file."""
    return hashlib.sha256((files(ensembles.__name__) / f"{name}.yaml").read_bytes()).hexdigest()


def described(name: str, members: Sequence[Member]) -> dict[str, str]:
    """An entry's part `ensemble`; `knowledge` is what the attackers see, the most of any member."""
    known = {member.attack.threat.knowledge for member in members}
    return {
        "name": name,
        "sha256": ensemble_digest(name),
        "knowledge": max(known, key=KNOWLEDGE.index),
        "description": load_ensemble(name).description,
    }
