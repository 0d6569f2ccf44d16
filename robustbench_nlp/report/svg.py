"""Line charts as SVG inside a page: themed by its style sheet, told apart by colour, dashes and markers, readable as a table."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10

from robustbench_nlp.report.charts import Chart, Line, reading, ticks
from robustbench_nlp.report.page import breakable, escaped

__all__ = ["STYLES", "chart", "interval", "legend", "numbers"]

STYLES = 8
"""Looks of lines that page styles know, `s0` to `s7`; further lines begin again."""
_MARKERS = (
    "M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0Z",
    "M-3-3H3V3H-3Z",
    "M0-4L4 3H-4Z",
    "M0-4.5L4.5 0L0 4.5L-4.5 0Z",
    "M0 4L4-3H-4Z",
    "M-4-1.3H-1.3V-4H1.3V-1.3H4V1.3H1.3V4H-1.3V1.3H-4Z",
    "M-4-3L4 3V-3L-4 3Z",
    "M-2-4H2L4 0L2 4H-2L-4 0Z",
)
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 380, 250, 44, 12, 10, 40
_MARKED = 5
"""Markers along a line."""


def chart(made: Chart) -> str:
    """A figure: the plot and its caption."""
    grid = "".join(_grid(made))
    lines = "".join(_line(made, line, number) for number, line in enumerate(made.lines))
    return (
        f'<figure class="chart"><figcaption>{escaped(made.title)}</figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escaped(_heading(made))}. {escaped(_told(made))}">'
        f"{grid}{lines}</svg></figure>"
    )


def numbers(made: Chart) -> str:
    """The chart as a table: a row a tick, or every whole number where the axis isn't logarithmic."""
    rows = []
    for at in dict.fromkeys([*ticks(made), made.end]) if made.log else range(int(made.end) + 1):
        found = [_reading(made, line, at) for line in made.lines]
        if any(share is not None for share in found):
            cells = "".join(f'<td class="number">{"-" if s is None else f"{100 * s:.1f}"}</td>' for s in found)
            rows.append(f'<tr><th scope="row">{at:,.0f}</th>{cells}</tr>')
    heads = "".join(f'<th scope="col" class="number">{breakable(line.label)} %</th>' for line in made.lines)
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="Numbers of {escaped(_heading(made))}"><table>'
        f'<caption>{escaped(made.title)}</caption><thead><tr><th scope="col">{escaped(made.x_label)}</th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def legend(labels: Sequence[str], floor: float | None) -> str:
    """What the lines of several charts stand for."""
    items = [
        f'<li><svg viewBox="0 0 34 12" class="swatch" aria-hidden="true"><path class="line s{i % STYLES}" d="M0 6H34"/>'
        f'<path class="mark s{i % STYLES}" transform="translate(17 6)" d="{_MARKERS[i % STYLES]}"/></svg>{escaped(label)}</li>'
        for i, label in enumerate(labels)
    ]
    if floor is not None:
        items.append(
            '<li><svg viewBox="0 0 34 12" class="swatch" aria-hidden="true"><path class="floor" d="M0 6H34"/></svg>'
            f"a constant answer, {100 * floor:.1f} %</li>"
        )
    return f'<ul class="legend" aria-label="Legend">{"".join(items)}</ul>'


def interval(low: float, share: float, high: float, clean: float, floor: float | None) -> str:
    """A small bar of 0–100 %: the interval and its share as a dot, the clean accuracy as a tick, the floor dotted."""
    marks = "" if floor is None else f'<path class="floor" d="M{100 * floor:.1f} 0V14"/>'
    return (
        f'<svg class="range" viewBox="-4 0 108 14" aria-hidden="true"><path class="axis" d="M0 7H100"/>{marks}'
        f'<path class="tick" d="M{100 * clean:.1f} 2V12"/><path class="reach" d="M{100 * low:.1f} 7H{100 * high:.1f}"/>'
        f'<circle class="dot" cx="{100 * share:.1f}" cy="7" r="3.5"/></svg>'
    )


def _x(made: Chart, value: float) -> float:
    start, end = made.start, made.end
    if made.log:
        value, start, end = (log10(max(number, 1.0)) for number in (value, start, end))
    return _LEFT + (value - start) / (end - start) * (_WIDTH - _LEFT - _RIGHT)


def _y(share: float) -> float:
    return _TOP + (1 - share) * (_HEIGHT - _TOP - _BOTTOM)


def _grid(made: Chart) -> list[str]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = [
        f'<path class="grid" d="M{_LEFT} {_y(share):.1f}H{right}"/>'
        f'<text class="tick-text" x="{_LEFT - 6}" y="{_y(share) + 4:.1f}" text-anchor="end">{round(100 * share)} %</text>'
        for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    parts += [
        f'<path class="grid" d="M{_x(made, value):.1f} {bottom}v5"/>'
        f'<text class="tick-text" x="{_x(made, value):.1f}" y="{bottom + 18}" text-anchor="middle">{value:,.0f}</text>'
        for value in ticks(made)
    ]
    parts.append(
        f'<text class="tick-text" x="{(_LEFT + right) / 2}" y="{_HEIGHT - 5}" text-anchor="middle">{escaped(made.x_label)}</text>'
    )
    if made.floor is not None:
        parts.append(f'<path class="floor" d="M{_LEFT} {_y(made.floor):.1f}H{right}"/>')
    return parts


def _line(made: Chart, line: Line, number: int) -> str:
    look = f"s{number % STYLES}"
    points = _thinned([(_x(made, x), _y(share)) for x, share in line.points])
    if not points:
        return ""
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for x, y in points[1:]:
        path += f"H{x:.1f}V{y:.1f}" if made.steps else f"L{x:.1f} {y:.1f}"
    if made.steps:
        path += f"H{_WIDTH - _RIGHT}"
    marks = [
        f'<path class="mark {look}" transform="translate({x:.1f} {y:.1f})" d="{_MARKERS[number % STYLES]}"/>'
        for x, y in _marked(made, points, number)
    ]
    return f'<g><title>{escaped(line.label)}</title><path class="line {look}" d="{path}"/>{"".join(marks)}</g>'


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The last point of each tenth of a pixel: thousands of examples make no larger picture."""
    return list({round(x, 1): (x, y) for x, y in points}.values())


def _marked(made: Chart, points: Sequence[tuple[float, float]], number: int) -> list[tuple[float, float]]:
    """Where a line has its markers: at its points, or evenly along its steps, a little apart from other lines'."""
    if not made.steps:
        return list(points)
    width = _WIDTH - _LEFT - _RIGHT
    at = [_LEFT + width * (i + 0.3 + 0.08 * (number % STYLES)) / _MARKED for i in range(_MARKED)]
    return [(x, [y for left, y in points if left <= x or left == points[0][0]][-1]) for x in at]


def _told(made: Chart) -> str:
    """The chart in a sentence, for those who don't see it."""
    ends = "; ".join(f"{line.label} ends at {100 * line.points[-1][1]:.1f} %" for line in made.lines if line.points)
    return f"{ends}." + ("" if made.floor is None else f" A constant answer scores {100 * made.floor:.1f} %.")


def _heading(made: Chart) -> str:
    return f"{made.title}: accuracy against {made.x_label}"


def _reading(made: Chart, line: Line, at: float) -> float | None:
    return reading(line, at) if made.steps else dict(line.points).get(at)
