"""Fixed bounds: the least accuracy under attack, and the most that an attack may take, on the examples at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from robustbench_nlp.errors import UsageError

if TYPE_CHECKING:
    from robustbench_nlp.api import Run

__all__ = ["Bounds", "broken", "incomplete_lines", "taken_bounds"]

ROUNDING = 1e-9
"""For shares that are equal but for their last bit."""


class Bounds(NamedTuple):
    """Shares in [0, 1]; None where there is no such bound."""

    min_accuracy: float | None
    max_drop: float | None


def taken_bounds(settings: dict[str, Any]) -> Bounds:
    """Take the bounds out of the settings. Raises `UsageError` where one is no share."""
    bounds = Bounds(settings.pop("min_accuracy", None), settings.pop("max_drop", None))
    for name, value in bounds._asdict().items():
        if value is not None and not (isinstance(value, int | float) and 0 <= value <= 1):
            raise UsageError(f"{name} is {value!r}; give a share between 0 and 1")
    return bounds


def incomplete_lines(run: Run) -> list[str]:
    """Why a run can't be judged, with its first error: too many errors, or an attack that measures no robustness."""
    from robustbench_nlp.report.table import REDUCTION, incomplete

    rows = incomplete(run.table)
    errors = [record.error for records in run.records.values() for record in records if record.outcome == "error"]
    lines = [f"the run is incomplete: {row}" for row in rows] + [
        f"  first error: {error}" for error in errors[:1] if rows
    ]
    return lines + [
        f"{row['attack']} keeps the prediction and measures no robustness; a gate needs another attack"
        for row in run.table.to_dict("records")
        if row["mode"] == REDUCTION
    ]


def broken(row: dict[str, Any], bounds: Bounds) -> list[str]:
    """The bounds that a row of the table breaks, a line each; the intervals are for the reader."""
    from robustbench_nlp.stats import paired_difference

    lines = []
    n, clean, robust = row["n"], row["clean_accuracy"], row["robust_accuracy"]
    where = f"under {row['attack']} with defense {row['defense']} on {n} examples"
    if bounds.min_accuracy is not None and robust < bounds.min_accuracy - ROUNDING:
        interval = f"[{row['robust_low']:.1%}, {row['robust_high']:.1%}]"
        lines.append(f"accuracy {where} is {robust:.1%} {interval}; at least {bounds.min_accuracy:.1%} is required")
    if bounds.max_drop is not None and clean - robust > bounds.max_drop + ROUNDING:
        before_attack, after_attack = ([i < round(share * n) for i in range(n)] for share in (clean, robust))
        low, high = paired_difference(before_attack, after_attack)  # what is right under attack was right before
        drop = f"{clean - robust:.1%} [{low:.1%}, {high:.1%}], from {clean:.1%} to {robust:.1%}"
        lines.append(f"accuracy {where} drops by {drop}; at most {bounds.max_drop:.1%} is allowed")
    return lines
