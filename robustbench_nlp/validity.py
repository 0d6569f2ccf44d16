"""Which successes are valid under stricter limits, rechecked from the recorded texts alone, and the accuracy that those leave.

A reader may not accept every text that a threat allows (Morris et al., 2020, "Reevaluating Adversarial Examples in Natural
Language": most successes of published attacks fall with human-derived limits). Nothing is attacked again: an attack that
wasn't held to a limit didn't look for a success within it, so that the accuracy left is an upper bound and the rate of valid
successes a lower one.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_nlp.data.example import Input
from robustbench_nlp.errors import UsageError
from robustbench_nlp.on_disk import key_of
from robustbench_nlp.recorded import Cell, recorded_cells
from robustbench_nlp.records import Outcome, Record
from robustbench_nlp.report.table import average, floor, named, rate
from robustbench_nlp.threat import Changes, Threat, measure

__all__ = ["COLUMNS", "LIMITS", "Limit", "changes", "recheck", "rechecked"]

COLUMNS = (
    *("dataset", "split", "victim", "defense", "attack", "mode", "limit", "n", "floor"),
    *("attempted", "successes", "unknown", "valid"),
    *("valid_rate", "valid_low", "valid_high", "robust_accuracy", "robust_low", "robust_high"),
    *("similarity_mean", "words_share_mean", "edits_chars_mean"),
)
"""The columns of valid.csv, in order; means are over the `valid` successes."""
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
SUCCESS, FAILED, SETTLED, ERROR, SKIPPED = map(OUTCOMES.index, ("success", "failed", "settled", "error", "skipped"))
YES, NO, UNKNOWN = 1, 0, -1
Verdicts = NDArray[np.int8]
"""Whether a success keeps a limit: YES, NO or UNKNOWN."""


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

    def verdicts(self, successes: _Successes) -> Verdicts:
        """What is known of each success: UNKNOWN without a text, and where its similarity isn't on record and the words alone don't
        break the limit."""
        found = np.full(len(successes.places), YES, np.int8)
        if self.min_similarity is not None:
            found[successes.similarity < self.min_similarity] = NO
            found[np.isnan(successes.similarity)] = UNKNOWN
        if self.max_words_share is not None:
            threat = Threat(name="", max_words_share=self.max_words_share)
            totals, which = np.unique(successes.words_total, return_inverse=True)
            most = np.array([threat.most_words(int(total)) for total in totals], np.int64)
            found[successes.words_changed > most[which]] = NO
        found[successes.words_total < 0] = UNKNOWN
        return found


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
    looked = {cell.name: _looked_at(cell) for cell in found if not cell.members}
    rows = []
    for cell in found:
        parts = [looked.get(member.name) or _looked_at(member) for member in cell.members] or [looked[cell.name]]
        rows += [_row(cell, limit, parts, looked) for limit in limits]
    return pd.DataFrame(rows, columns=[*COLUMNS])


def changes(original: Input, adversarial: Input) -> Changes:
    """How far a text lies from its original, summed over the fields that changed."""
    if isinstance(original, str) or isinstance(adversarial, str):
        return measure(str(original), str(adversarial))
    moved = [measure(a, b) for a, b in zip(original, adversarial, strict=True) if a != b]
    return Changes(*map(sum, zip(*moved, strict=True))) if moved else Changes(0, 0, 0)


@dataclass(frozen=True, slots=True)
class _Successes:
    """A cell's successes: their places in it, similarities (NaN: not on record), and changes, with a total of -1 without a text."""

    places: NDArray[np.int64]
    similarity: NDArray[np.float64]
    words_changed: NDArray[np.int32]
    words_total: NDArray[np.int32]
    edits_chars: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class _Looked:
    """All that limits ask of a cell: its examples by key, rising, the outcome of each (a place in `OUTCOMES`), which examples each
    earlier member had broken, the floor, and the successes."""

    keys: NDArray[np.uint64]
    outcomes: NDArray[np.int8]
    broken_by: Mapping[str, NDArray[np.uint64]]
    floor: float
    successes: _Successes

    def verdicts(self, limit: Limit) -> Verdicts:
        """Of each example; NO where it is no success."""
        found = np.full(len(self.keys), NO, np.int8)
        found[self.successes.places] = limit.verdicts(self.successes)
        return found


def _looked_at(cell: Cell) -> _Looked:
    """One pass over the records, which may lie on a disk; 9 bytes an example and 28 a success stay in memory."""
    keys, outcomes = array("Q"), array("b")
    places, similarity, moved = array("q"), array("d"), array("i")
    broken_by: dict[str, array[int]] = {}

    def passed() -> Iterator[Record]:
        for record in cell.records.values():
            if record.outcome == "success":
                places.append(len(keys))
                similarity.append(nan if record.similarity is None else record.similarity)
                text = record.adversarial
                moved.extend((0, -1, 0) if text is None else changes(record.original, text))
            key = key_of(record.example_id)
            if record.outcome == "settled":
                broken_by.setdefault(record.winner or "", array("Q")).append(key)
            keys.append(key)
            outcomes.append(OUTCOMES.index(record.outcome))
            yield record

    share = floor(passed())
    order = np.argsort(np.array(keys, np.uint64))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    changed, total, edits = np.array(moved, np.int32).reshape(-1, 3).T
    return _Looked(
        np.array(keys, np.uint64)[order],
        np.array(outcomes, np.int8)[order],
        {name: np.array(broken, np.uint64) for name, broken in broken_by.items()},
        share,
        _Successes(rank[np.array(places, np.int64)], np.array(similarity), changed, total, edits),
    )


def _row(
    cell: Cell, limit: Limit, parts: Sequence[_Looked], looked: Mapping[tuple[str, str], _Looked]
) -> dict[str, Any]:
    """`parts` are the cell alone, or a worst case's members: an example is broken if any of them broke it validly, the first first."""
    outcomes = np.stack([part.outcomes for part in parts])
    verdicts = np.stack([part.verdicts(limit) for part in parts])
    settled = (outcomes == SETTLED).all(axis=0)
    if cell.members and settled.any():
        raise UsageError(f"{cell.name[1]} has a settled example that no member met; a cascade has one worst case")
    raw, valid = outcomes == SUCCESS, verdicts == YES
    successes, broken = raw.any(axis=0), valid.any(axis=0)
    unknown = int((verdicts[raw.argmax(axis=0), np.arange(len(broken))] == UNKNOWN)[successes].sum())
    left = int((~broken & ~np.isin(outcomes, (ERROR, SKIPPED)).any(axis=0) & ~settled).sum())
    spared = sum(_spared(cell, name, keys, limit, looked) for name, keys in parts[0].broken_by.items())
    first = valid.argmax(axis=0)
    deciding = [valid[i, part.successes.places] & (first[part.successes.places] == i) for i, part in enumerate(parts)]
    similarity, changed, total, edits = (
        np.concatenate([getattr(part.successes, name)[own] for part, own in zip(parts, deciding, strict=True)])
        for name in ("similarity", "words_changed", "words_total", "edits_chars")
    )
    n, count = len(broken), int(broken.sum())
    told = bool(unknown < successes.sum() or not successes.any())
    return {
        **named(cell.header, COLUMNS[:6]),
        "limit": str(limit),
        "n": n,
        "floor": parts[0].floor,
        "attempted": left + count,
        "successes": int(successes.sum()),
        "unknown": unknown,
        "valid": count,
        **rate(("valid_rate", "valid_low", "valid_high"), count, left + count if told else 0),
        **rate(("robust_accuracy", "robust_low", "robust_high"), left + spared, n if told else 0),
        "similarity_mean": average(similarity),
        "words_share_mean": average(changed[total > 0] / total[total > 0]),
        "edits_chars_mean": average(edits),
    }


def _spared(
    cell: Cell, breaker: str, keys: NDArray[np.uint64], limit: Limit, looked: Mapping[tuple[str, str], _Looked]
) -> int:
    """How many examples that an earlier member of the cascade broke are right after all, since that success isn't valid."""
    other = looked.get((cell.name[0], breaker))
    if other is None:
        return 0
    places = np.searchsorted(other.keys, keys)
    there = places < len(other.keys)
    there[there] = other.keys[places[there]] == keys[there]
    return int((other.verdicts(limit)[places[there]] != YES).sum())
