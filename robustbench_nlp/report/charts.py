"""What a report plots, as numbers: accuracy against queries, against changed words and against noise, and a heat map."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

import pandas as pd

from robustbench_nlp.curves import Point, accuracy_by_queries, accuracy_by_words, of_fewest_words, stands_alone
from robustbench_nlp.recorded import Cell
from robustbench_nlp.records import Record
from robustbench_nlp.report.noise_curve import noise_curve
from robustbench_nlp.report.shown import headline
from robustbench_nlp.report.table import WORST_CASE

__all__ = [
    "Chart",
    "Heat",
    "Line",
    "floor_of",
    "heat",
    "noise_charts",
    "query_charts",
    "reading",
    "ticks",
    "word_charts",
]


class Line(NamedTuple):
    """A defense's points (x, share of all examples that are right), by rising x."""

    label: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Chart:
    """A line a defense under one attack; `floor` is what a constant answer scores; in steps, a point holds until the next."""

    title: str
    x_label: str
    lines: tuple[Line, ...]
    floor: float | None
    end: float
    log: bool = False
    steps: bool = True

    @property
    def start(self) -> float:
        """The least x: query 1 is the clean prediction."""
        return 1.0 if self.log else 0.0


class Heat(NamedTuple):
    """Robust accuracies by defense and attack (fractions; absent where a cell was not run), and the floor."""

    defenses: tuple[str, ...]
    attacks: tuple[str, ...]
    shares: dict[tuple[str, str], float]
    floor: float | None


def floor_of(frame: pd.DataFrame) -> float | None:
    """What a constant answer scores on the frame's first dataset; None where that is unknown."""
    known: dict[str, float] = frame.attrs.get("floor", {})
    found = known.get(str(frame.iloc[0]["dataset"]))
    return None if found is None or pd.isna(found) else float(found)


def query_charts(frame: pd.DataFrame, cells: Iterable[Cell]) -> list[Chart]:
    """Accuracy against the budget of queries, worst cases first; what spends none has no curve: transferred texts, and noise."""
    searched = [cell for cell in cells if cell.header["mode"] not in ("noise", "transfer")]
    made = _charts(frame, searched, "queries per example", accuracy_by_queries, _queries, log=True)
    return [chart for chart in made if chart.end > 2]


def word_charts(frame: pd.DataFrame, cells: Iterable[Cell]) -> list[Chart]:
    """Accuracy where only successes with so many changed words count (an upper bound), worst cases first; noise has no curve."""
    searched = [of_fewest_words(cell) for cell in cells if cell.header["mode"] != "noise"]
    return _charts(frame, searched, "words changed at most", accuracy_by_words, _words)


def _queries(record: Record) -> int:
    return record.queries


def _words(record: Record) -> int:
    return (record.words_changed or 0) if record.outcome == "success" else 0


def _charts(
    frame: pd.DataFrame,
    cells: Sequence[Cell],
    x_label: str,
    curve: Callable[[Iterable[Record]], list[Point]],
    spent: Callable[[Record], int],
    *,
    log: bool = False,
) -> list[Chart]:
    measured = [cell for cell in cells if cell.measures and stands_alone(cell)]
    attacks = list(dict.fromkeys(cell.name[1] for cell in measured))
    charts = []
    for attack in sorted(attacks, key=lambda name: not name.startswith(WORST_CASE)):
        own = [cell for cell in measured if cell.name[1] == attack]
        end = max((spent(record) for cell in own for record in cell.records.values()), default=0)
        lines = tuple(Line(cell.name[0], tuple(curve(cell.records.values()))) for cell in own)
        charts.append(Chart(headline(attack), x_label, lines, floor_of(frame), float(max(end, 2)), log))
    return charts


def noise_charts(frame: pd.DataFrame) -> list[Chart]:
    """Accuracy against severity, a chart a kind of noise; none where the table has no noise suites."""
    if not ((frame["mode"] == "noise") & frame["attack"].str.match(r"noise\b")).any():
        return []
    curve = noise_curve(frame)
    charts = []
    for kind, part in curve.groupby("kind", sort=False):
        lines = tuple(
            Line(defense, tuple(zip(own["severity"].astype(float), own["accuracy"].astype(float), strict=True)))
            for defense in dict.fromkeys(frame["defense"])
            if len(own := part[part["defense"] == defense])
        )
        charts.append(Chart(str(kind), "severity (0: clean)", lines, floor_of(frame), 5.0, steps=False))
    return charts


def heat(frame: pd.DataFrame) -> Heat:
    """Attacks × defenses of a table, without reductions; the worst cases first."""
    told = frame[frame["robust_accuracy"].notna()]
    attacks = sorted(dict.fromkeys(told["attack"]), key=lambda name: not name.startswith(WORST_CASE))
    shares = {
        (str(row["defense"]), str(row["attack"])): float(row["robust_accuracy"]) for row in told.to_dict("records")
    }
    return Heat(tuple(dict.fromkeys(told["defense"])), tuple(attacks), shares, floor_of(frame))


def reading(line: Line, at: float) -> float | None:
    """The accuracy of a line in steps at `at`; None before its first point."""
    found, nearest = None, -inf
    for x, share in line.points:
        if nearest <= x <= at:
            found, nearest = share, x
    return found


def ticks(made: Chart) -> list[float]:
    """Round numbers along the x axis: powers of ten and their triples, or at most eight whole steps."""
    if made.log:
        known = [factor * 10.0**power for power in range(7) for factor in (1, 3)]
        found = [value for value in known if value <= made.end]
        return found if len(found) < 7 else found[::2]
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 1e4, 1e5, 1e6) if made.end / s <= 8)
    return [step * i for i in range(int(made.end / step) + 1)]
