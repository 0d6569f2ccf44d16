"""`review`: a blind sheet for readers, and what the filled ones say."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import Any

import click

from robustbench_nlp.console import columns, say
from robustbench_nlp.errors import UsageError

__all__ = ["TOLD", "command"]

TOLD = (
    "to fill in, row by row, without the key:",
    "  label_kept  yes, no or unclear: does text, read alone, say what label says?",
    "  meaning     1 to 5: do text and other mean the same? 5: entirely",
    "  grammar     1 to 5: is text grammatical and well spelt? 5: entirely",
)
"""What whoever drew a sheet tells its readers."""
SHOWN = (("label_kept", 100, 1), ("meaning", 1, 2), ("grammar", 1, 2))
"""Columns, the unit that they are printed in, and digits."""


@click.command("review")
@click.argument("paths", metavar="RUN | FILLED...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Successes on the sheet.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draw and the order.")
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("review.csv"), show_default=True, help="The sheet's file."
)
@click.option("--read", "reading", is_flag=True, help="Read filled sheets back, a reader each.")
@click.option(
    "--key", type=click.Path(path_type=Path), help="The sheet's key. Default: the only one beside the first sheet."
)
@click.option("--csv", "as_csv", is_flag=True, help="With --read: as CSV, every digit.")
def command(paths: Sequence[Path], reading: bool, key: Path | None, as_csv: bool, **settings: Any) -> None:
    """Draw a blind sheet of a run's successes for human review, or read filled ones.

    The sheet hides attack, defense and which text is the original; a quarter as many rows ask about originals of other examples,
    as controls. Its key lies beside it and is not for the readers. --read prints the shares with intervals, [-] where there are
    too few texts for one, and for two readers or more Krippendorff's α.
    """
    from robustbench_nlp import review

    if not reading:
        if len(paths) != 1:
            raise UsageError("a sheet is drawn from one run; to read filled sheets, add --read")
        drawn(paths[0], **settings)
        return
    key = key or review.key_beside(paths[0])
    judged = review.filled(paths, key)
    found = review.shares(judged, key)
    if as_csv:
        say(found.to_csv(index=False, lineterminator="\n").rstrip("\n"))
        return
    rows = [["", "texts", "label kept % [95 %]", "meaning 1–5", "grammar 1–5"]]
    for row in found.to_dict("records"):
        rates = [
            _interval([row[f"{name}{end}"] * unit for end in ("", "_low", "_high")], digits)
            for name, unit, digits in SHOWN
        ]
        rows.append([str(row["group"]), str(row["rows"]), *rates])
    columns(rows)
    if len(paths) > 1:
        told = ", ".join(f"{name} {_number(alpha)}" for name, alpha in review.agreement(judged).items())
        say(f"Krippendorff's α of {len(paths)} readers: {told} (1: they agree, 0: as by chance)")


def drawn(folder: Path, output: Path, limit: int = 100, seed: int = 0) -> None:
    """Draw and write a sheet, and say what its readers do with it."""
    from robustbench_nlp import review

    sheet = review.draw(folder, limit, seed)
    key = review.write(sheet, output)
    say(f"{output}: {len(sheet.rows)} rows {TOLD[0]}")
    for line in TOLD[1:]:
        say(line)
    controls = sheet.key[sheet.key["kind"] == "control"]["row"].nunique()
    wanted = int(review.CONTROLS * (len(sheet.rows) - controls))
    if controls < wanted:
        say(f"only {controls} controls, not {wanted}: the run has no further examples for them")
    say(f"{key}: the key, which readers must not see; a copy of the sheet for each reader, then")
    say(f"robustbench-nlp review --read FILLED... --key {key}")


def _interval(values: Sequence[float], digits: int) -> str:
    """A number with the ends of its interval, where they are known."""
    middle, low, high = (f"{value:.{digits}f}" for value in values)
    if isnan(values[0]):
        return "-"
    return f"{middle} [-]" if isnan(values[1]) else f"{middle} [{low}–{high}]"


def _number(value: float) -> str:
    return "-" if isnan(value) else f"{value:.2f}"
