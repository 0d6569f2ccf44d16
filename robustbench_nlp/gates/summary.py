"""What stands at the end of a test run: a line for every gate that isn't well, and how many there are of each kind.

Everything comes from the reports' properties, so that gates of xdist's workers are counted like all others.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

__all__ = ["Told", "properties", "summary", "told"]

OUTCOME, LINE, NEEDED, WRITTEN = "robust_gate", "robust_gate_line", "robust_gate_needed", "robust_baseline"
ORDER = ("pass", "inconclusive", "fail")


class Told(NamedTuple):
    """One check of a test: its outcome, a line about it, the n it needs (None: no matter), what became of its baseline."""

    test: str
    outcome: str
    line: str
    needed: int | None
    written: str


def properties(check: int, outcome: str, line: str, needed: int | None, written: str) -> list[tuple[str, object]]:
    """A check as properties of its test, numbered from the second on; what is empty is left out."""
    place = f"[{check}]" if check > 1 else ""
    values = {OUTCOME: outcome, LINE: line, NEEDED: needed, WRITTEN: written}
    return [(name + place, value) for name, value in values.items() if value]


def told(test: str, found: Iterable[tuple[str, Any]]) -> list[Told]:
    """The checks among a test's properties."""
    known = dict(found)
    places = [name.removeprefix(OUTCOME) for name in known if re.fullmatch(rf"{OUTCOME}(\[\d+\])?", name)]
    return [
        Told(
            test,
            known[OUTCOME + place],
            known.get(LINE + place, ""),
            known.get(NEEDED + place),
            known.get(WRITTEN + place, ""),
        )
        for place in places
    ]


def summary(gates: Sequence[Told], unused: Sequence[str] = ()) -> list[str]:
    """The lines of the section, the last of baselines that are `unused`; none without gates."""
    if not gates:
        return []
    lines = [f"{gate.outcome}: {gate.test}: {gate.line}" for gate in gates if gate.outcome != "pass"]
    counts = Counter(gate.outcome for gate in gates)
    parts = [f"{counts[outcome]} {outcome}" for outcome in ORDER if counts[outcome]]
    needed = max((gate.needed for gate in gates if gate.needed), default=None)
    if needed:
        parts = [f"{part} (needs n ≥ {needed})" if part.endswith("inconclusive") else part for part in parts]
    lines.append(f"{len(gates)} gate{'s' * (len(gates) > 1)}: {', '.join(parts)}")
    files = Counter(gate.written for gate in gates if gate.written)
    if files:
        lines.append(
            "baselines: " + ", ".join(f"{number} {word}" for word, number in sorted(files.items(), reverse=True))
        )
    if unused:
        lines.append(f"baselines that no test uses any more: {', '.join(unused)}")
    return lines
