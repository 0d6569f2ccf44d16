"""The page of valid successes: a column a limit, first how many successes keep it, then the accuracy that those leave."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import pandas as pd

from robustbench_nlp.report.shown import escaped, headline, percent, warned

__all__ = ["valid_markdown"]

Row = Mapping[Hashable, Any]


def valid_markdown(frame: pd.DataFrame) -> str:
    """The frame of `rechecked`, to read."""
    if frame.empty:
        return "# Valid successes\n\nNo attack of this run says anything of robustness.\n"
    first = frame.iloc[0]
    notes = [
        f"{first['victim']} on {first['dataset']}, {first['split']} split, n = {first['n']}; a constant answer scores "
        f"{percent(first['floor'])} %, clean and under attack.",
        "Words and edits are counted again from the two texts; similarity is the cosine that the run recorded, - where it recorded none. "
        "One word may always change, be it more than the share.",
        "No attack ran again: one that wasn't held to a limit didn't look for a success within it. Accuracies are upper bounds, rates lower "
        "ones.",
        "Means are over the successes in brackets beside the rate. Intervals: 95 % Wilson.",
    ]
    if (frame["mode"] == "cascade").any():
        notes.append(
            "Cascade: what one attack broke, valid or not, the attacks after it never met; what it broke invalidly counts as right."
        )
    if (frame["unknown"] > 0).any():
        notes.append("Successes without a recorded similarity count as invalid under limits of similarity.")
    parts = [
        "# Valid successes",
        "## Valid successes in % of the attempted examples (their number)",
        _table(frame, lambda row: _known(row["valid_rate"], f"{percent(row['valid_rate'])} ({row['valid']})")),
        "## Robust accuracy in % that only valid successes leave",
        _table(frame, _robust),
        "## Means over the valid successes: similarity, share of words changed in %",
        _table(frame, _means),
        "\n".join(f"- {escaped(note)}" for note in [*warned(frame), *notes]),
    ]
    return "\n\n".join(parts) + "\n"


def _table(frame: pd.DataFrame, cell: Callable[[Row], str]) -> str:
    """A line a defense and attack, a column a limit."""
    limits = list(dict.fromkeys(frame["limit"]))
    lines = [
        f"| defense | attack | {' | '.join(map(escaped, limits))} |",
        f"| :-- | :-- |{' --: |' * len(limits)}",
    ]
    for (defense, attack), part in frame.groupby(["defense", "attack"], sort=False):
        cells = [cell(row) for row in part.to_dict("records")]
        lines.append(f"| {escaped(str(defense))} | {escaped(headline(str(attack)))} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _robust(row: Row) -> str:
    ends = f"[{percent(row['robust_low'])}–{percent(row['robust_high'])}]"
    return _known(row["robust_accuracy"], f"{percent(row['robust_accuracy'])} {ends}")


def _means(row: Row) -> str:
    similarity = _known(row["similarity_mean"], f"{row['similarity_mean']:.2f}")
    return f"{similarity}, {percent(row['words_share_mean'])}"


def _known(value: float, shown: str) -> str:
    return "-" if pd.isna(value) else shown
