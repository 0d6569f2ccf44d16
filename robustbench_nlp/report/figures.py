"""Figures for papers by matplotlib: the same numbers as the web report's, in vector files that are alike byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.recorded import Cell
from robustbench_nlp.report.charts import Chart, Heat, floor_of, heat, noise_charts, query_charts, ticks, word_charts
from robustbench_nlp.report.shown import headline
from robustbench_nlp.report.table import WORST_CASE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FORMATS", "figures", "saved"]

FORMATS = ("pdf", "svg", "png")
WIDTH = 5.5
"""Inches: the text width of most papers."""
_COLOURS = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8c7a00", "#56b4e9", "#6b7280")
"""After Okabe & Ito (2008), the yellow darkened for thin lines."""
_DASHES = ("-", (0, (5, 1.5)), (0, (2, 1)), (0, (6, 1.5, 1.5, 1.5)), (0, (1, 1)), (0, (8, 2)), (0, (4, 1, 1, 1)), "-")
_MARKERS = "os^Dv*Ph"
_CLEAN = "hollow: without an attack"
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.titlesize": 7.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.1,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "svg.hashsalt": "robustbench-nlp",
    "text.parse_math": False,
    "savefig.dpi": 300,
}
_DATES: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "ModDate": None},
    "svg": {"Date": None},
    "png": {},
}


def figures(frame: pd.DataFrame, cells: Sequence[Cell]) -> dict[str, Figure]:
    """The figures by name, as far as the run has their numbers: `accuracy` (clean beside robust, with intervals), `queries`,
    `words`, `noise`, `heat`. Raises `UsageError` where matplotlib is missing, and for a run that measures no robustness."""
    try:
        from matplotlib import rc_context
    except ImportError as problem:
        raise UsageError("figures are drawn by matplotlib; pip install 'robustbench-nlp[plots]'") from problem
    shown = heat(frame)
    if not shown.attacks:
        raise UsageError(
            "the run measures no robustness (all its attacks keep the prediction), so there is nothing to draw"
        )
    with rc_context(_STYLE):
        made = {"accuracy": _accuracy(frame), "heat": _heat(shown)}
        charts = {
            "queries": query_charts(frame, cells),
            "words": word_charts(frame, cells),
            "noise": noise_charts(frame),
        }
        return made | {name: _grid(drawn) for name, drawn in charts.items() if drawn}


def saved(made: dict[str, Figure], folder: Path, formats: Sequence[str] = ("pdf",)) -> list[Path]:
    """Write each figure in each format into the folder; their paths. No file holds a date, fonts are embedded (in SVG as paths)."""
    from matplotlib import rc_context

    for name in formats:
        if name not in FORMATS:
            raise unknown("format", name, FORMATS)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with rc_context(_STYLE):
        for name, figure in made.items():
            for kind in formats:
                paths.append(folder / f"{name}.{kind}")
                figure.savefig(paths[-1], format=kind, metadata=_DATES[kind], bbox_inches="tight", pad_inches=0.02)
    return paths


def _panels(number: int, across: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels with one y axis of 0–100 %."""
    from matplotlib.figure import Figure

    columns = min(number, across)
    rows = -(-number // columns)
    figure = Figure(figsize=(WIDTH * min(1.0, columns / across + 0.1), height * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    flat = list(panels.flat)
    for panel in flat[number:]:
        panel.remove()
    for panel in flat[:number]:
        panel.set_ylim(0, 100)
        panel.set_yticks(range(0, 101, 25))
        panel.grid(axis="y", linewidth=0.4, color="#d0d0d0")
        panel.set_axisbelow(True)
    for row in panels:
        row[0].set_ylabel("accuracy (%)")
    return figure, flat[:number]


def _look(number: int) -> dict[str, Any]:
    at = number % len(_COLOURS)
    return {"color": _COLOURS[at], "linestyle": _DASHES[at], "marker": _MARKERS[at], "markersize": 3.2}


def _floor(panel: Axes, floor: float | None) -> None:
    if floor is not None:
        panel.axhline(
            100 * floor, color="#555555", linewidth=0.9, linestyle=(0, (1, 2)), label="constant answer", zorder=1
        )


def _legend(figure: Figure, panels: Sequence[Axes]) -> None:
    """One legend below all panels, each name once."""
    known: dict[str, Any] = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            known.setdefault(label, handle)
    known = {label: handle for label, handle in known.items() if label and not label.startswith("_")}
    across = max(1, min(len(known), 85 // (max(map(len, known)) + 6)))
    figure.set_figheight(
        figure.get_figheight() + 0.17 * (-(-len(known) // across) - 1)
    )  # its lines take no panel's place
    figure.legend(list(known.values()), list(known), loc="outside lower center", ncols=across)


def _grid(charts: Sequence[Chart]) -> Figure:
    figure, panels = _panels(len(charts), 3, 1.55)
    numbers = {label: i for i, label in enumerate(dict.fromkeys(line.label for c in charts for line in c.lines))}
    for panel, chart in zip(panels, charts, strict=True):
        for line in chart.lines:
            x, y = np.array(line.points, float).reshape(-1, 2).T
            if chart.steps:  # a step holds until the end
                x, y = np.append(np.maximum(x, chart.start), chart.end), np.append(y, y[-1])
            look = _look(numbers[line.label]) | ({"drawstyle": "steps-post", "markevery": 0.2} if chart.steps else {})
            panel.plot(x, 100 * y, label=line.label, **look)
        _floor(panel, chart.floor)
        if chart.log:
            panel.set_xscale("log")
            panel.minorticks_off()
        panel.set_xticks(found := ticks(chart), [f"{value:,.0f}" for value in found])
        panel.set_xlim(chart.start, chart.end)
        panel.set_title(chart.title)
    for panel in panels[-min(len(charts), 3) :]:
        panel.set_xlabel(charts[0].x_label)
    _legend(figure, panels)
    return figure


def _accuracy(frame: pd.DataFrame) -> Figure:
    """Clean (hollow) beside robust (filled, with its interval), by attack, the worst cases first."""
    told = frame[frame["robust_accuracy"].notna()]
    attacks = sorted(dict.fromkeys(told["attack"]), key=lambda name: not name.startswith(WORST_CASE))
    defenses = list(dict.fromkeys(told["defense"]))
    figure, (panel,) = _panels(1, 1, 2.7)
    step = 0.8 / len(defenses)
    for number, defense in enumerate(defenses):
        own = told[told["defense"] == defense].drop_duplicates("attack")
        look = _look(number) | {"linestyle": "none"}
        x = np.array([attacks.index(attack) for attack in own["attack"]]) + step * (number - (len(defenses) - 1) / 2)
        share, low, high, clean = (
            100 * own[name].to_numpy(float)
            for name in ("robust_accuracy", "robust_low", "robust_high", "clean_accuracy")
        )
        panel.plot(
            x, clean, **look | {"markerfacecolor": "white", "markeredgewidth": 0.7}, label=_CLEAN * (number == 0)
        )
        reach = np.maximum([share - low, high - share], 0)
        panel.errorbar(x, share, yerr=reach, **look, elinewidth=0.8, capsize=1.5, clip_on=False, label=defense)
    _floor(panel, floor_of(frame))
    panel.set_xticks(range(len(attacks)), [headline(attack) for attack in attacks], rotation=30, ha="right")
    _legend(figure, [panel])
    return figure


def _heat(shown: Heat) -> Figure:
    from matplotlib.figure import Figure

    shares = np.array([[shown.shares.get((d, a), np.nan) for a in shown.attacks] for d in shown.defenses])
    figure = Figure(figsize=(WIDTH, 1.3 + 0.26 * len(shown.defenses)), layout="constrained")
    panel = figure.subplots()
    image = panel.imshow(100 * shares, cmap="cividis", vmin=0, vmax=100, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        if np.isnan(share):
            panel.text(column, row, "-", ha="center", va="center")
            continue
        below = "▾" if shown.floor is not None and share <= shown.floor else ""
        colour = "black" if share > 0.46 else "white"
        panel.text(column, row, f"{below}{100 * share:.1f}", ha="center", va="center", color=colour)
    panel.set_xticks(range(len(shown.attacks)), [headline(a) for a in shown.attacks], rotation=30, ha="right")
    panel.set_yticks(range(len(shown.defenses)), shown.defenses)
    panel.spines[:].set_visible(False)
    panel.tick_params(length=0)
    label = "robust accuracy (%)" + ("" if shown.floor is None else f"\n▾ ≤ constant, {100 * shown.floor:.1f}")
    figure.colorbar(image, ax=panel, label=label, fraction=0.05, pad=0.02)
    return figure
