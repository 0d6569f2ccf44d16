"""`compare`: what changed between two runs."""

from __future__ import annotations

import json
import sys
from math import isnan
from typing import TYPE_CHECKING

import click

from robustbench_nlp.console import PIPED_WIDTH

if TYPE_CHECKING:
    from robustbench_nlp.comparison import Comparison, Pair

__all__ = ["command"]


@click.command("compare")
@click.argument("first", metavar="RUN[::DEFENSE]")
@click.argument("second", metavar="RUN[::DEFENSE]")
@click.option(
    "--flips", type=click.IntRange(min=0), default=0, help="Print up to N texts that only one side withstands."
)
@click.option("--json", "as_json", is_flag=True, help="As a JSON list, for programs.")
def command(first: str, second: str, flips: int, as_json: bool) -> None:
    """Compare two runs on the same examples.

    Cells that differ in more than the victim or the defense are refused, with the setting named. The difference of the robust
    accuracies is paired: its 95 % interval, McNemar's exact test, and Holm's correction over all pairs.
    """
    from rich.console import Console

    from robustbench_nlp.comparison import compare

    found = compare(first, second)
    if as_json:
        click.echo(json.dumps([_row(pair) for pair in found.pairs], indent=1))
        return
    Console(width=None if sys.stdout.isatty() else PIPED_WIDTH).print(_table(found))
    for alone in found.unpaired:
        click.echo(f"only in one run: {alone}")
    for pair in found.pairs if flips else ():
        for identity in [i for side in pair.flips() for i in side][:flips]:
            for cell in (pair.first, pair.second):
                record = cell.records[identity]
                click.echo(f"{' × '.join(cell.name)}: {record.outcome} {record.adversarial or record.original!r}")


def _row(pair: Pair) -> dict[str, object]:
    lost, won = pair.flips()
    one, two = pair.accuracies()
    return {
        "first": pair.first.name,
        "second": pair.second.name,
        "victims": [pair.first.header["victim"], pair.second.header["victim"]],
        "n": len(pair.first.records),
        "clean": [pair.first.clean(), pair.second.clean()],
        "robust": [one, two],
        "difference": list(pair.difference),
        "p": pair.p,
        "p_holm": pair.adjusted,
        "detectable": None if isnan(least := pair.detectable()) else least,
        "lost": len(lost),
        "won": len(won),
    }


def _table(found: Comparison) -> object:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for i, head in enumerate(
        ("first", "second", "attack", "n", "clean %", "robust %", "difference", "p (Holm)", "flips", "finds ≥")
    ):
        table.add_column(head, justify="right" if i > 2 else "left", overflow="fold")
    for pair in found.pairs:
        lost, won = pair.flips()
        one, two = pair.accuracies()
        low, high = pair.difference
        cells = (
            *(f"{cell.header['victim']}, {cell.name[0]}" for cell in (pair.first, pair.second)),
            pair.first.name[1],
            str(len(pair.first.records)),
            f"{pair.first.clean():.1%} → {pair.second.clean():.1%}",
            f"{one:.1%} → {two:.1%}",
            f"{100 * (two - one):+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]" + ("" if pair.adjusted < 0.05 else " ≈"),
            f"{pair.adjusted:.2g}",
            f"−{len(lost)} +{len(won)}" if lost or won else "none",
            "-" if isnan(least := pair.detectable()) else f"{100 * least:.1f}",
        )
        table.add_row(*map(Text, cells))
    table.caption = (
        "≈: not distinguishable at 5 % after Holm's correction; −: withstood by the first alone, +: by the second alone; "
        "finds ≥: the difference in points that so many examples find four times in five, with as many flips"
    )
    table.caption_justify = "left"
    return table
