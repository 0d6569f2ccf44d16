"""The table of certificates: certified accuracy by defense and radius, as CSV, Markdown and on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from robustbench_nlp.records import write_whole
from robustbench_nlp.report.shown import escaped, warned
from robustbench_nlp.report.table import named
from robustbench_nlp.stats import wilson

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["COLUMNS", "RADII", "caption", "render", "rows", "table", "write"]

COLUMNS = (
    *("dataset", "split", "victim", "defense", "mode", "edits", "radius", "n", "errors", "abstained"),
    *("clean_accuracy", "clean_low", "clean_high", "certified_accuracy", "certified_low", "certified_high"),
    *("alpha", "n0", "draws", "forwards", "seconds", "seed", "schema", "fingerprint"),
)
"""The columns of a certified table.csv, in order."""
RADII = 6
"""The most radii, from 0, that are shown side by side; the CSV has them all."""


class _Certificate(Protocol):
    """What the table reads of a record."""

    @property
    def label(self) -> int: ...
    @property
    def majority(self) -> int | None: ...
    @property
    def prediction(self) -> int | None: ...
    @property
    def error(self) -> str | None: ...
    @property
    def right_up_to(self) -> int: ...
    @property
    def votes(self) -> Sequence[int]: ...
    @property
    def seconds(self) -> float: ...


def rows(header: Mapping[str, Any], records: Sequence[_Certificate]) -> list[dict[str, Any]]:
    """One row a radius, from 0 to the first at which nothing is certified; abstentions and errors count as wrong.

    Rates are fractions in [0, 1] with 95 % Wilson intervals; `clean_accuracy` is the share of right majorities, certified or not; `draws` is 0 where
    certificates are exact.
    """
    n = len(records)
    clean = sum(record.error is None and record.majority == record.label for record in records)
    clean_ends = wilson(clean, n)
    shared = {
        **named(header, [name for name in COLUMNS if name in header and name != "n"]),
        "mode": "certified",
        "n": n,
        "draws": header["n"] if any(record.votes for record in records) or not records else 0,
        "errors": sum(record.error is not None for record in records),
        "abstained": sum(record.error is None and record.prediction is None for record in records),
        "clean_accuracy": clean / n if n else float("nan"),
        "clean_low": clean_ends.low,
        "clean_high": clean_ends.high,
        "seconds": round(sum(record.seconds for record in records), 3),
    }
    made = []
    for radius in range(max((record.right_up_to for record in records), default=-1) + 2):
        right = sum(record.right_up_to >= radius for record in records)
        low, high = wilson(right, n)
        share = right / n if n else float("nan")
        made.append(
            {**shared, "radius": radius, "certified_accuracy": share, "certified_low": low, "certified_high": high}
        )
    return made


def table(found: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The rows as a table with `COLUMNS`."""
    return pd.DataFrame(list(found), columns=list(COLUMNS))


def write(frame: pd.DataFrame, folder: Path) -> None:
    """Write table.csv (every digit) and table.md (percent, for reading) into the run folder."""
    write_whole(folder / "table.csv", frame.to_csv(index=False, lineterminator="\n"))
    heads, lines = _wide(frame)
    marks = [":--", *["--:"] * (len(heads) - 1)]
    heads, *lines = ([escaped(cell) for cell in line] for line in (heads, *lines))
    body = "\n".join(f"| {' | '.join(cells)} |" for cells in [heads, marks, *lines])
    notes = "\n".join(f"- {escaped(line)}" for line in caption(frame))
    write_whole(folder / "table.md", f"{body}\n\n{notes}\n")


def render(frame: pd.DataFrame) -> Table:
    """The table for the terminal."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    heads, lines = _wide(frame)
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    shown.caption, shown.caption_justify = Text("\n".join(caption(frame))), "left"
    for i, head in enumerate(heads):
        shown.add_column(head, justify="right" if i else "left", overflow="fold")
    for cells in lines:
        shown.add_row(*map(Text, cells))
    return shown


def caption(frame: pd.DataFrame) -> list[str]:
    """What a reader needs to know beside the numbers."""
    first = frame.iloc[0]
    edits = frame.drop_duplicates("defense")
    drawn, exact = edits[edits["draws"] > 0], edits[edits["draws"] == 0]
    lines = [
        f"Certified accuracy of {first['victim']} on {first['dataset']}, {first['split']} split, n = {first['n']}, seed "
        f"{first['seed']}: right, and certified to stay so within that many edits; abstentions are wrong.",
        f"Edits: {'; '.join(f'{defense}, {edit}' for defense, edit in zip(edits['defense'], edits['edits'], strict=True))}.",
    ]
    if len(drawn):
        lines.append(
            f"Each certificate by {', '.join(drawn['defense'])} is wrong with a chance of at most {first['alpha']} "
            f"(Clopper-Pearson, {drawn.iloc[0]['draws']} draws after {first['n0']}) and speaks of the vote over all possible copies."
        )
    if len(exact):
        lines.append(
            f"Certificates by {', '.join(exact['defense'])} are exact: every text that the edits lead to was predicted."
        )
    return [*lines, "Intervals: 95 % Wilson.", *warned(frame)]


def _wide(frame: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Headings, and a line a defense with the radii side by side."""
    most = min(int(frame["radius"].max()) + 1, RADII)
    lines = []
    for defense, part in frame.groupby("defense", sort=False):
        first = part.iloc[0]
        at = part.set_index("radius")
        cells = [
            _interval(at.loc[r, "certified_accuracy"], at.loc[r, "certified_low"], at.loc[r, "certified_high"])
            if r in at.index
            else "0.0"
            for r in range(most)
        ]
        lines.append(
            [
                str(defense),
                _percent(first["clean_accuracy"]),
                _percent(first["abstained"] / first["n"]),
                str(first["errors"]),
                *cells,
            ]
        )
    heads = ["defense", "clean %", "abstained %", "errors", *(f"radius {r} %" for r in range(most))]
    return heads, lines


def _interval(share: Any, low: Any, high: Any) -> str:
    return f"{_percent(share)} [{_percent(low)}–{_percent(high)}]"


def _percent(share: Any) -> str:
    return f"{100 * share:.1f}"
