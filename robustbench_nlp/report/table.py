"""The results table: one row per cell, computed from its records."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import fsum, isnan, nan
from statistics import mean
from typing import Any

import numpy as np
import pandas as pd

from robustbench_nlp.records import Record
from robustbench_nlp.stats import wilson

__all__ = [
    "BESIDE",
    "CLAIMS",
    "COLUMNS",
    "INCOMPLETE",
    "REDUCTION",
    "TIES",
    "UNTOLD",
    "WORST_CASE",
    "average",
    "floor",
    "incomplete",
    "is_incomplete",
    "named",
    "rate",
    "robust_if_errors_right",
    "row",
    "table",
]

_COUNTS = ("max_queries", "n", "skipped", "attempted", "successes", "errors", "seed", "schema")
COLUMNS = (
    *("task", "dataset", "split", "victim", "defense", "attack", "mode", "threat", "max_queries"),
    *("n", "skipped", "attempted", "successes", "errors"),
    *("clean_accuracy", "clean_low", "clean_high", "robust_accuracy", "robust_low", "robust_high"),
    *("attack_success_rate", "asr_low", "asr_high"),
    *("queries_mean", "queries_median", "forwards_mean", "words_changed_mean", "similarity_mean"),
    *("seconds", "seed", "schema", "fingerprint"),
)
"""The columns of table.csv, in order."""
INCOMPLETE = 0.01
"""The share of errors above which a row is incomplete."""
REDUCTION = "reduction"
"""The mode of attacks whose goal is to keep the prediction."""
WORST_CASE = "worst_case:"
"""How the names of worst cases begin; their members or the ensemble follow."""
TIES, UNTOLD = "ties", "untold"
"""For the marks, in the frame's `attrs`: the [defense, attack] that can't be told from the best under the attack; or why no one knows."""
BESIDE = ("floor", "note")
"""For the caption, by dataset in the frame's `attrs`: what a constant answer would score, and the dataset's note."""
CLAIMS = "claims"
"""For the caption, in the frame's `attrs`: by precision of the search, of those lower than the referee's, [rejected, all] successes
that searches claimed."""


def row(cell: Mapping[str, Any], records: Iterable[Record]) -> dict[str, Any]:
    """One row of the table from a cell's header and records.

    Rates are fractions in [0, 1] with 95 % Wilson intervals; NaN where there is nothing to count. In a cascade
    `robust_accuracy` is the share still right after this member. A reduction says nothing of robustness: its rates are NaN,
    its successes are the texts that could be reduced, its words changed those that were left out; `words_left_mean` is over
    attempted examples, of which those that could not be reduced keep all their words.
    """
    outcomes, labels = Counter[str](), Counter[int]()
    clean_right = rejected = 0
    queries, seconds, forwards, words_changed, similarities, words_left = array("q"), *(array("d") for _ in range(5))
    for record in records:
        outcomes[record.outcome] += 1
        labels[record.label] += 1
        clean_right += record.clean_right
        rejected += record.rejected_successes
        seconds.append(record.seconds)
        if record.outcome in ("success", "failed"):
            queries.append(record.queries)
            forwards.append(record.forwards)
            words_left.append(_known(_words_left(record)))
        if record.outcome == "success":
            words_changed.append(_known(record.words_changed))
            similarities.append(_known(record.similarity))
    n, attempted, successes = outcomes.total(), len(queries), outcomes["success"]
    values = {
        **named(cell, COLUMNS[:9]),
        "n": n,
        "skipped": outcomes["skipped"],
        "attempted": attempted,
        "successes": successes,
        "errors": outcomes["error"],
        **rate(("clean_accuracy", "clean_low", "clean_high"), clean_right, n),
        **rate(("robust_accuracy", "robust_low", "robust_high"), outcomes["failed"], n),
        **rate(("attack_success_rate", "asr_low", "asr_high"), successes, attempted),
        "queries_mean": average(queries),
        "queries_median": float(np.median(queries)) if attempted else nan,
        "forwards_mean": average(forwards),
        "words_changed_mean": average(words_changed),
        "similarity_mean": average(similarities),
        "seconds": fsum(seconds),
        **named(cell, COLUMNS[-3:]),
    }
    if cell.get("mode") == REDUCTION:
        told = ("robust_accuracy", "robust_low", "robust_high", "attack_success_rate", "asr_low", "asr_high")
        values |= dict.fromkeys(told, nan) | {"words_left_mean": average(words_left)}
    dtype = str(named(cell.get("spec", {}), ["dtype"])["dtype"] or "float32")
    claims = {} if dtype == "float32" else {dtype: [rejected, rejected + successes]}
    return values | {"floor": _largest(labels), "note": named(cell, ["note"])["note"] or "", CLAIMS: claims}


def floor(records: Iterable[Record]) -> float:
    """What a constant answer scores, clean and under every attack: the largest class's share of the examples, in [0, 1]."""
    return _largest(Counter(record.label for record in records))


def _largest(labels: Counter[int]) -> float:
    return max(labels.values()) / labels.total() if labels else nan


def rate(names: tuple[str, str, str], successes: int, n: int) -> dict[str, float]:
    """A share of n and the ends of its 95 % Wilson interval, under the names given; NaN where n is 0."""
    return dict(zip(names, (successes / n if n else nan, *wilson(successes, n)), strict=True))


def named(header: Mapping[str, Any], columns: Iterable[str]) -> dict[str, Any]:
    """What a cell's header says under these columns, as tables can hold it: halves of characters, which a file's name may have,
    written out."""
    found = {name: header.get(name) for name in columns}
    return {
        name: value.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(value, str) else value
        for name, value in found.items()
    }


def _words_left(reduced: Record) -> int | None:
    if reduced.words_total is None or reduced.words_changed is None:
        return None
    return reduced.words_total - reduced.words_changed * (reduced.outcome == "success")


def average(numbers: Iterable[float | None]) -> float:
    """The mean of those that are known, neither None nor NaN; NaN where none is."""
    known = array("d", (number for number in numbers if number is not None and not isnan(number)))
    return mean(known) if known else nan


def _known(number: float | None) -> float:
    return nan if number is None else number


def table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The rows as a frame with `COLUMNS`, then whatever metrics the rows add."""
    beside = (*BESIDE, CLAIMS)
    extra = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in (*COLUMNS, *beside)]
    names = [*COLUMNS, *extra]
    frame = pd.DataFrame([[row.get(name) for name in names] for row in rows], columns=names)
    frame = frame.astype(dict.fromkeys(_COUNTS, "Int64"))
    for name in BESIDE:
        frame.attrs[name] = {row["dataset"]: row[name] for row in rows if name in row}
    frame.attrs[CLAIMS] = {}
    for row in rows:
        if not str(row["attack"]).startswith(WORST_CASE):  # its members' claims again
            for dtype, counts in row.get(CLAIMS, {}).items():
                before = frame.attrs[CLAIMS].get(dtype, [0, 0])
                frame.attrs[CLAIMS][dtype] = [one + other for one, other in zip(before, counts, strict=True)]
    return frame


def robust_if_errors_right(frame: pd.DataFrame) -> pd.Series[float]:
    """The robust accuracy that each row would have, had every errored example stayed right."""
    return frame["robust_accuracy"] + frame["errors"].astype(float) / frame["n"].astype(float)


def incomplete(frame: pd.DataFrame) -> list[str]:
    """The rows in which more than `INCOMPLETE` of the examples ended in an error, each in a phrase."""
    return [
        f"{row['defense']} × {row['attack']}: {row['errors']} of {row['n']} examples ended in an error"
        for row in frame[is_incomplete(frame)].to_dict("records")
    ]


def is_incomplete(frame: pd.DataFrame) -> pd.Series[bool]:
    """Whether more than `INCOMPLETE` of a row's examples ended in an error."""
    return frame["errors"] > INCOMPLETE * frame["n"]
