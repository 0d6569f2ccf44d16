"""Which successes are valid under stricter limits, rechecked from the recorded texts alone, and the accuracy that those leave.

A reader may not accept every text that a threat allows (Morris et al., 2020, "Reevaluating Adversarial Examples in Natural
Language": most successes of published attacks fall with human-derived limits). Nothing is attacked again: an attack that
wasn't held to a limit didn't look for a success within it, so that the accuracy left is an upper bound and the rate of valid
successes a lower one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from robustbench_nlp.data.example import Input
from robustbench_nlp.on_disk import View
from robustbench_nlp.recorded import Cell, recorded_cells
from robustbench_nlp.records import Record
from robustbench_nlp.report.table import average, rate
from robustbench_nlp.report.worst_case import worst_case_row
from robustbench_nlp.threat import Changes, Threat, measure

__all__ = ["COLUMNS", "LIMITS", "Limit", "changes", "recheck", "rechecked"]

COLUMNS = (
    *("dataset", "split", "victim", "defense", "attack", "mode", "limit", "n", "floor"),
    *("attempted", "successes", "unknown", "valid"),
    *("valid_rate", "valid_low", "valid_high", "robust_accuracy", "robust_low", "robust_high"),
    *("similarity_mean", "words_share_mean", "edits_chars_mean"),
)
"""The columns of valid.csv, in order; means are over the `valid` successes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """What a success must keep to be valid: a least similarity of the whole texts (the recorded cosine, in [-1, 1]) and a
    largest share of changed words, in [0, 1], of which, as in a `Threat`, at least one may change."""

    min_similarity: float | None = None
    max_words_share: float | None = None

    def __str__(self) -> str:
        parts = [] if self.min_similarity is None else [f"similarity ≥ {self.min_similarity:g}"]
        parts += [] if self.max_words_share is None else [f"words ≤ {100 * self.max_words_share:g} % or one word"]
        return ", ".join(parts) or "raw"

    def allows(self, record: Record) -> bool | None:
        """Whether a success keeps it; None where its similarity isn't on record and the words alone don't break it."""
        if record.adversarial is None:
            return None
        if self.max_words_share is not None:
            moved = changes(record.original, record.adversarial)
            most = Threat(name="", max_words_share=self.max_words_share).most_words(moved.words_total)
            if most is not None and moved.words_changed > most:
                return False
        if self.min_similarity is None:
            return True
        return None if record.similarity is None else record.similarity >= self.min_similarity


LIMITS = (
    Limit(),
    *(Limit(min_similarity=least) for least in (0.6, 0.7, 0.8, 0.9)),
    *(Limit(max_words_share=most) for most in (0.4, 0.2, 0.1)),
    Limit(min_similarity=0.9, max_words_share=0.1),
)
"""Raw, then ever stricter in one of the two, then strict in both."""


def recheck(folder: str | Path, limits: Sequence[Limit] = LIMITS) -> pd.DataFrame:
    """A row a cell and limit of a run folder, with `COLUMNS`; see `rechecked`. Raises `UsageError` where there is no run."""
    return rechecked(recorded_cells(Path(folder)), limits)


def rechecked(cells: Iterable[Cell], limits: Sequence[Limit] = LIMITS) -> pd.DataFrame:
    """A row a cell and limit, with `COLUMNS`: `valid` of the `successes` keep the limit, `unknown` are those whose similarity
    isn't on record, which count as invalid.

    `valid_rate` is valid / attempted, `robust_accuracy` what is right if only valid successes count, each with its 95 %
    Wilson interval; the three rates of a limit that nothing is known of are NaN. A worst case is put together anew from
    what is valid of each member; in a cascade, what an earlier member broke by an invalid success counts as right.
    """
    found = [cell for cell in cells if cell.measures]
    known = {cell.name: cell for cell in found}
    rows = [_row(cell, limit, known) for cell in found for limit in limits]
    return pd.DataFrame(rows, columns=[*COLUMNS])


def changes(original: Input, adversarial: Input) -> Changes:
    """How far a text lies from its original, summed over the fields that changed."""
    if isinstance(original, str) or isinstance(adversarial, str):
        return measure(str(original), str(adversarial))
    moved = [measure(a, b) for a, b in zip(original, adversarial, strict=True) if a != b]
    return Changes(*map(sum, zip(*moved, strict=True))) if moved else Changes(0, 0, 0)


def _row(cell: Cell, limit: Limit, known: Mapping[tuple[str, str], Cell]) -> dict[str, Any]:
    raw = [record for record in cell.records.values() if record.outcome == "success"]
    unknown = sum(limit.allows(record) is None for record in raw)
    left, spared, valid = 0, 0, []
    for record in _held(cell, limit).values():  # once: each is read, and held to the limit, as it is looked at
        left += record.outcome == "failed"
        spared += record.outcome == "settled" and _spared(cell, record, limit, known)
        if record.outcome == "success":
            valid.append(record)
    n, attempted = len(cell.records), left + len(valid)
    told = bool(unknown < len(raw) or not raw)
    moved = [changes(r.original, r.adversarial) for r in valid if r.adversarial is not None]
    return {
        **{name: cell.header[name] for name in COLUMNS[:6]},
        "limit": str(limit),
        "n": n,
        "floor": cell.floor(),
        "attempted": attempted,
        "successes": len(raw),
        "unknown": unknown,
        "valid": len(valid),
        **rate(("valid_rate", "valid_low", "valid_high"), len(valid), attempted if told else 0),
        **rate(("robust_accuracy", "robust_low", "robust_high"), left + spared, n if told else 0),
        "similarity_mean": average(r.similarity for r in valid),
        "words_share_mean": average(m.words_changed / m.words_total for m in moved if m.words_total),
        "edits_chars_mean": average(m.edits_chars for m in moved),
    }


def _spared(cell: Cell, record: Record, limit: Limit, known: Mapping[tuple[str, str], Cell]) -> bool:
    """Whether an example that an earlier member of the cascade broke is right after all, since that success isn't valid."""
    breaker = known.get((cell.name[0], record.winner or ""))
    broken = breaker.records.get(record.example_id) if breaker else None
    return broken is not None and not limit.allows(broken)


def _held(cell: Cell, limit: Limit) -> Mapping[str, Record]:
    """The records as they would be were an invalid success a failure; a worst case from its members' such records."""
    if cell.members:
        return worst_case_row([(member.header, _held(member, limit)) for member in cell.members])[1]

    def held(identity: str) -> Record:
        record = cell.records[identity]
        return replace(record, outcome="failed") if record.outcome == "success" and not limit.allows(record) else record

    return View.of(cell.records, held)
