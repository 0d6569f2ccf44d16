"""Experiment trackers: what a finished run tells them, in one form for all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import yaml

from robustbench_nlp import plugins
from robustbench_nlp.errors import UsageError
from robustbench_nlp.recorded import Cell
from robustbench_nlp.report.charts import query_charts
from robustbench_nlp.report.files import tabled
from robustbench_nlp.report.shown import headline, markdown

__all__ = ["Told", "Tracker", "told", "tracker"]

FILES = ("run.yaml", "manifest.json", "table.csv", "table.md", "table.tex", "valid.md", "report.html")
_RATES = ("robust_accuracy", "robust_low", "robust_high", "attack_success_rate", "queries_mean", "words_changed_mean")
_UNUSUAL = re.compile(r"[^\w./-]+", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Told:
    """A run as trackers take it.

    Names of metrics and curves are slash-separated, of ASCII letters, digits, `_`, `-` and `.`: `robust_accuracy/spell/pwws`. Rates are
    fractions in [0, 1]; a curve is accuracy by queries spent; `table` is Markdown; `files` are those of the run folder that exist.
    """

    name: str
    settings: Mapping[str, str]
    metrics: Mapping[str, float]
    curves: Mapping[str, Sequence[tuple[int, float]]]
    table: str
    files: Sequence[Path]


class Tracker(Protocol):
    """What a plug-in of the group `robustbench_nlp.trackers` makes of its argument."""

    def log(self, run: Told) -> str:
        """Log a run; how to see it, in a phrase. Raises `UsageError` for what a user can mend."""


def tracker(selector: str) -> Tracker:
    """The tracker of `NAME:WHERE`. Raises `UsageError` for an unknown one, and where nothing says where to."""
    name, where, settings = plugins.parse(selector)
    make = plugins.factory("tracker", name)
    if not where or settings:
        raise UsageError(f"'{selector}' doesn't say where to log; write {name}:WHERE")
    made: Tracker = make(where)
    return made


def told(folder: Path) -> Told:
    """What a run folder's records tell. Raises `UsageError` where there is no run."""
    frame, cells = tabled(folder)
    settings = yaml.safe_load((folder / "run.yaml").read_text("utf-8"))
    return Told(
        name=folder.resolve().name,
        settings={
            **{name: _flat(value) for name, value in settings.items() if value not in (None, [], {})},
            "versions": str(frame.attrs.get("versions", "")),
            "fingerprints": " ".join(dict.fromkeys(str(cell.header.get("fingerprint", "")) for cell in cells)),
        },
        metrics=dict(_metrics(frame)),
        curves=dict(_curves(frame, cells)),
        table=markdown(frame),
        files=[folder / name for name in FILES if (folder / name).is_file()],
    )


def _metrics(frame: pd.DataFrame) -> Iterator[tuple[str, float]]:
    for dataset, floor in frame.attrs.get("floor", {}).items():
        yield _name("constant_answer", dataset), float(floor)
    for row in frame.to_dict("records"):
        cell = (str(row["defense"]), headline(str(row["attack"])))
        values = {_name("clean_accuracy", cell[0]): row["clean_accuracy"]}
        values |= {_name(rate, *cell): row[rate] for rate in _RATES}
        yield from ((name, float(value)) for name, value in values.items() if not pd.isna(value) and isfinite(value))


def _curves(frame: pd.DataFrame, cells: Sequence[Cell]) -> Iterator[tuple[str, list[tuple[int, float]]]]:
    for chart in query_charts(frame, cells):
        for line in chart.lines:
            yield _name("accuracy_by_queries", line.label, chart.title), [(round(x), share) for x, share in line.points]


def _name(*parts: str) -> str:
    return "/".join(_UNUSUAL.sub("_", part).replace("/", "_").strip("_") for part in parts)


def _flat(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
