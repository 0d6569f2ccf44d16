"""The results table: one row per cell, computed from its records; written as CSV and Markdown, shown on the terminal."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING, Any

import pandas as pd

from robustbench_nlp.records import Record
from robustbench_nlp.stats import wilson

if TYPE_CHECKING:
    from rich.table import Table

__all__ = [
    "COLUMNS",
    "INCOMPLETE",
    "caption",
    "incomplete",
    "render",
    "robust_if_errors_right",
    "row",
    "summary",
    "table",
    "write",
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
WORST_CASE = "worst_case:"
_BESIDE = ("floor", "note")
"""For the caption, by dataset in the frame's `attrs`: what a constant answer would score, and the dataset's note."""


def row(cell: Mapping[str, Any], records: Sequence[Record]) -> dict[str, Any]:
    """One row of the table from a cell's header and records.

    Rates are fractions in [0, 1] with 95 % Wilson intervals; NaN where there is nothing to count. In a cascade
    `robust_accuracy` is the share still right after this member.
    """
    n = len(records)
    outcomes = Counter(record.outcome for record in records)
    attempted = [record for record in records if record.outcome in ("success", "failed")]
    successes = [record for record in attempted if record.outcome == "success"]
    clean_right = sum(
        record.clean_prediction == record.label if record.outcome == "error" else record.outcome != "skipped"
        for record in records
    )
    values = {
        **{name: cell.get(name) for name in COLUMNS[:9]},
        "n": n,
        "skipped": outcomes["skipped"],
        "attempted": len(attempted),
        "successes": len(successes),
        "errors": outcomes["error"],
        **_rate(("clean_accuracy", "clean_low", "clean_high"), clean_right, n),
        **_rate(("robust_accuracy", "robust_low", "robust_high"), outcomes["failed"], n),
        **_rate(("attack_success_rate", "asr_low", "asr_high"), len(successes), len(attempted)),
        "queries_mean": _mean(record.queries for record in attempted),
        "queries_median": float(median(record.queries for record in attempted)) if attempted else nan,
        "forwards_mean": _mean(record.forwards for record in attempted),
        "words_changed_mean": _mean(record.words_changed for record in successes),
        "similarity_mean": _mean(record.similarity for record in successes),
        "seconds": sum(record.seconds for record in records),
        **{name: cell.get(name) for name in COLUMNS[-3:]},
    }
    largest = max(Counter(record.label for record in records).values(), default=0)
    return values | {"floor": largest / n if n else nan, "note": cell.get("note") or ""}


def _rate(names: tuple[str, str, str], successes: int, n: int) -> dict[str, float]:
    return dict(zip(names, (successes / n if n else nan, *wilson(successes, n)), strict=True))


def _mean(numbers: Iterable[float | None]) -> float:
    known = [float(number) for number in numbers if number is not None]
    return mean(known) if known else nan


def table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The rows as a frame with `COLUMNS`, then whatever metrics the rows add."""
    extra = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in (*COLUMNS, *_BESIDE)]
    names = [*COLUMNS, *extra]
    frame = pd.DataFrame([[row.get(name) for name in names] for row in rows], columns=names)
    frame = frame.astype(dict.fromkeys(_COUNTS, "Int64"))
    for name in _BESIDE:
        frame.attrs[name] = {row["dataset"]: row[name] for row in rows if name in row}
    return frame


def robust_if_errors_right(frame: pd.DataFrame) -> pd.Series[float]:
    """The robust accuracy that each row would have, had every errored example stayed right."""
    return frame["robust_accuracy"] + frame["errors"].astype(float) / frame["n"].astype(float)


def incomplete(frame: pd.DataFrame) -> list[str]:
    """The rows in which more than `INCOMPLETE` of the examples ended in an error, each in a phrase."""
    return [
        f"{row['defense']} × {row['attack']}: {row['errors']} of {row['n']} examples ended in an error"
        for row in frame[_incomplete(frame)].to_dict("records")
    ]


def _incomplete(frame: pd.DataFrame) -> pd.Series[bool]:
    return frame["errors"] > INCOMPLETE * frame["n"]


def write(frame: pd.DataFrame, folder: Path) -> None:
    """Write table.csv (every digit) and table.md (percent, for reading) into the run folder, each whole or not at all."""
    _replace(folder / "table.csv", frame.to_csv(index=False, lineterminator="\n"))
    _replace(folder / "table.md", _markdown(frame))


def caption(frame: pd.DataFrame) -> list[str]:
    """What a reader needs to know beside the numbers, a sentence or two a line."""
    from importlib.metadata import version

    lines: list[str] = []
    for (dataset, split), part in frame.groupby(["dataset", "split"], sort=False):
        floor, note = (frame.attrs.get(name, {}).get(dataset) for name in _BESIDE)
        constant = "" if floor is None else f"; a constant answer scores {_percent(floor)} %, clean and under attack"
        lines.append(f"{dataset}, {split} split, n = {_listed(part['n'])}, seed {_listed(part['seed'])}{constant}.")
        if note:
            lines.append(f"{note.rstrip('.')}.")
    attacks = frame[~frame["attack"].str.startswith(WORST_CASE)].drop_duplicates(["attack", "threat", "max_queries"])
    threats = [
        f"{row['attack']} {row['threat']}" + ("" if pd.isna(row["max_queries"]) else f", {row['max_queries']} queries")
        for row in attacks.to_dict("records")
    ]
    if threats:
        lines.append(f"Threats: {'; '.join(threats)}.")
    ensembles = dict.fromkeys(frame["attack"][frame["attack"].str.startswith(WORST_CASE)])
    lines += [
        f"Worst case: right under every one of {name.removeprefix(WORST_CASE).replace('+', ', ')}."
        for name in ensembles
    ]
    if (frame["mode"] == "cascade").any():
        lines.append("Cascade: each attack met only what the ones before it left; robust = still right after it.")
    lines += [f"Incomplete (!): {line}." for line in incomplete(frame)]
    lines.append(
        "Intervals: 95 % Wilson; robust = right under attack / n; ASR = successes / attempted. "
        f"robustbench-nlp {version('robustbench-nlp')}, records schema {_listed(frame['schema'])}."
    )
    return lines


def _listed(values: pd.Series[Any]) -> str:
    return ", ".join(str(value) for value in values.dropna().unique()) or "-"


@dataclass(frozen=True)
class _Line:
    """One row as it is read; `best` tells of its robust accuracy, `headline` of a worst case."""

    group: tuple[str, str, str]
    cells: list[str]
    best: bool
    headline: bool


_HEADS = ("victim", "defense", "attack", "n", "clean\n%", "robust %\n[95 %]", "ASR\n%", "queries", "words\nchanged")
_ATTACK, _ROBUST = 2, 5


def _lines(frame: pd.DataFrame) -> tuple[list[str], list[_Line]]:
    """The headings and the lines in reading order: worst cases end each defense's block."""
    by_attack = frame.groupby(["dataset", "victim", "attack"])["robust_accuracy"]
    highest, lowest = by_attack.transform("max"), by_attack.transform("min")
    frame = frame.assign(
        best=(frame["robust_accuracy"] == highest) & (highest > lowest),
        incomplete=_incomplete(frame),
        robust_if_errors_right=robust_if_errors_right(frame),
    )
    with_errors = bool((frame["errors"] > 0).any())
    lines = [_line(row, with_errors) for row in frame.to_dict("records")]
    order = {group: i for i, group in enumerate(dict.fromkeys(line.group for line in lines))}
    heads = [*_HEADS, "errors", "robust %\nif errors\nright"] if with_errors else [*_HEADS]
    return heads, sorted(lines, key=lambda line: (order[line.group], line.headline))


def _line(row: Mapping[Hashable, Any], with_errors: bool = False) -> _Line:
    attack = str(row["attack"])
    headline = attack.startswith(WORST_CASE)
    cells = [
        str(row["victim"]),
        str(row["defense"]),
        "worst case" if headline else attack,
        str(row["n"]),
        _percent(row["clean_accuracy"]),
        f"{_percent(row['robust_accuracy'])} [{_percent(row['robust_low'])}–{_percent(row['robust_high'])}]",
        _percent(row["attack_success_rate"]),
        _number(row["queries_mean"]),
        _number(row["words_changed_mean"]),
    ]
    if with_errors:
        cells += [
            f"{row['errors']}{' (!)' if row['incomplete'] else ''}",
            _percent(row["robust_if_errors_right"]),
        ]
    return _Line((row["dataset"], row["victim"], row["defense"]), cells, bool(row["best"]), headline)


def _percent(share: float) -> str:
    return "-" if pd.isna(share) else f"{100 * share:.1f}"


def _number(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.1f}"


def summary(frame: pd.DataFrame) -> list[str]:
    """One short line a row, for a terminal that waits for the whole table."""
    lines = [line.cells for line in map(_line, frame.assign(best=False, incomplete=False).to_dict("records"))]
    return [
        f"{defense} × {attack}: clean {clean} %, robust {robust} %, ASR {asr} %"
        for _, defense, attack, _, clean, robust, asr, *_ in lines
    ]


def render(frame: pd.DataFrame) -> Table:
    """The table for the terminal: the best robust accuracy under each attack is bold, worst cases are the headline."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    heads, lines = _lines(frame)
    victims = frame["victim"].unique()
    first = int(len(victims) == 1)  # one victim stands in the title: 80 columns are few
    shown = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, header_style="bold", caption_justify="left")
    shown.title = Text(f"victim {victims[0]}") if first else None
    shown.caption = Text("\n".join(caption(frame)))
    for i, head in enumerate(heads[first:], first):
        left = i <= _ATTACK
        shown.add_column(
            head, justify="left" if left else "right", no_wrap=i >= _ATTACK, overflow="fold", min_width=9 * left
        )
    for i, line in enumerate(lines):
        if i and line.group != lines[i - 1].group:
            shown.add_section()
        cells = [Text(cell, "bold" if line.best and j == _ROBUST else "") for j, cell in enumerate(line.cells)]
        shown.add_row(*cells[first:], style="cyan" if line.headline else "")
    return shown


def _markdown(frame: pd.DataFrame) -> str:
    heads, lines = _lines(frame)
    rows = []
    for line in lines:
        cells = [_escaped(cell) for cell in line.cells]
        if line.headline:
            cells[_ATTACK] = f"*{cells[_ATTACK]}*"
        if line.best:
            cells[_ROBUST] = f"**{cells[_ROBUST]}**"
        rows.append(cells)
    marks = [":--" if i <= _ATTACK else "--:" for i in range(len(heads))]
    flat = [head.replace("\n", " ") for head in heads]
    body = "\n".join(f"| {' | '.join(cells)} |" for cells in [flat, marks, *rows])
    notes = "\n".join(f"- {_escaped(line)}" for line in caption(frame))
    return f"{body}\n\n{notes}\n"


def _escaped(text: str) -> str:
    for mark in "\\|*_<`":
        text = text.replace(mark, "\\" + mark)
    return text


def _replace(path: Path, content: str) -> None:
    scratch = path.with_name(f".{path.name}.part")
    scratch.write_bytes(content.encode("utf-8", "backslashreplace"))
    os.replace(scratch, path)
