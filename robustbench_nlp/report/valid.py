"""Valid successes to read: a column a limit, how many successes keep it, the accuracy that those leave, and their means."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from robustbench_nlp.report import page
from robustbench_nlp.report.shown import escaped, headline, percent, warned

__all__ = ["valid_markdown", "valid_tables"]

Row = Mapping[Hashable, Any]


class _Part(NamedTuple):
    """A table: its title, the column of `rechecked` that tells whether a cell is known and sorts it, what such a cell says, and
    what stands beside that."""

    title: str
    key: str
    said: Callable[[Row], str]
    beside: Callable[[Row], str]

    def told(self, row: Row) -> tuple[str, str]:
        return ("-", "") if pd.isna(row[self.key]) else (self.said(row), self.beside(row))


def _number(row: Row) -> str:
    return f"({row['valid']})"


_PARTS = (
    _Part(
        "Valid successes in % of the attempted examples (their number)",
        "valid_rate",
        lambda row: percent(row["valid_rate"]),
        _number,
    ),
    _Part(
        "Robust accuracy in % that only valid successes leave",
        "robust_accuracy",
        lambda row: percent(row["robust_accuracy"]),
        lambda row: f"[{percent(row['robust_low'])}–{percent(row['robust_high'])}]",
    ),
    _Part(
        "Means over the valid successes: similarity, share of words changed (their number)",
        "words_share_mean",
        lambda row: f"{_similarity(row['similarity_mean'])}, {percent(row['words_share_mean'])} %",
        _number,
    ),
)


def valid_markdown(frame: pd.DataFrame) -> str:
    """The frame of `rechecked`, to read."""
    if frame.empty:
        return "# Valid successes\n\nNo attack of this run says anything of robustness.\n"
    parts = ["# Valid successes"]
    for part in _PARTS:
        parts += [f"## {part.title}", _table(frame, part)]
    parts.append("\n".join(f"- {escaped(note)}" for note in [*warned(frame), *_notes(frame)]))
    return "\n\n".join(parts) + "\n"


def valid_tables(frame: pd.DataFrame) -> str:
    """The same as HTML for a page that tells the run's warnings elsewhere: tables that sort, the later ones folded."""
    first, *further = (
        page.table(part.key.replace("_", "-"), part.title, _columns(frame), _rows(frame, part)) for part in _PARTS
    )
    folded = "".join(
        f"<details><summary>{page.escaped(part.title.partition(':')[0])}</summary>{made}</details>"
        for part, made in zip(_PARTS[1:], further, strict=True)
    )
    notes = "".join(f"<li>{page.escaped(note)}</li>" for note in _notes(frame))
    return f'{first}{folded}<ul class="notes">{notes}</ul>'


def _notes(frame: pd.DataFrame) -> list[str]:
    """What a reader needs to know beside the numbers."""
    first = frame.iloc[0]
    notes = [
        f"{first['victim']} on {first['dataset']}, {first['split']} split, n = {first['n']}; a constant answer scores "
        f"{percent(first['floor'])} %, clean and under attack.",
        "Words and edits are counted again from the two texts; similarity is the cosine that the run recorded, - where it recorded none. "
        "One word may always change, be it more than the share: of a text of three words it is a third.",
        "No attack ran again: one that wasn't held to a limit didn't look for a success within it. Accuracies are upper bounds, rates lower "
        "ones.",
        "Intervals: 95 % Wilson.",
    ]
    if (frame["mode"] == "cascade").any():
        notes.append(
            "Cascade: what one attack broke, valid or not, the attacks after it never met; what it broke invalidly counts as right."
        )
    if (frame["unknown"] > 0).any():
        notes.append("Successes without a recorded similarity count as invalid under limits of similarity.")
    return notes


def _limits(frame: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(frame["limit"]))


def _table(frame: pd.DataFrame, part: _Part) -> str:
    """A line a defense and attack, a column a limit."""
    limits = _limits(frame)
    lines = [
        f"| defense | attack | {' | '.join(map(escaped, limits))} |",
        f"| :-- | :-- |{' --: |' * len(limits)}",
    ]
    for (defense, attack), own in frame.groupby(["defense", "attack"], sort=False):
        cells = [" ".join(filter(None, part.told(row))) for row in own.to_dict("records")]
        lines.append(f"| {escaped(str(defense))} | {escaped(headline(str(attack)))} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _columns(frame: pd.DataFrame) -> list[page.Column]:
    return [
        page.Column("defense"),
        page.Column("attack"),
        *(page.Column(limit, number=True) for limit in _limits(frame)),
    ]


def _rows(frame: pd.DataFrame, part: _Part) -> list[page.Row]:
    """As `_table`'s, what stands beside a number below it."""
    rows = []
    for (defense, attack), own in frame.groupby(["defense", "attack"], sort=False):
        values = [page.Value("", markup=page.breakable(name)) for name in (str(defense), headline(str(attack)))]
        for row in own.to_dict("records"):
            said, beside = part.told(row)
            markup = f'{said}<br><span class="muted small">{beside}</span>' if beside else said
            values.append(page.Value(said, float(row[part.key]), markup))
        rows.append(page.Row(values))
    return rows


def _similarity(mean: float) -> str:
    return "-" if pd.isna(mean) else f"{mean:.2f}"
