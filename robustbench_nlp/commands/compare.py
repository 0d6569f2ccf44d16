"""`compare`: what changed between two runs."""

from __future__ import annotations

import json
from math import isnan
from typing import TYPE_CHECKING

import click

from robustbench_nlp.console import say

if TYPE_CHECKING:
    from robustbench_nlp.comparison import Comparison, Pair

__all__ = ["command"]

ALPHA = 0.05


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
    accuracies is paired: its 95 % interval, McNemar's exact test, and Holm's correction over all pairs. Attack success rates,
    whose denominators differ, are compared by the bootstrap over examples.
    """
    from robustbench_nlp.comparison import compare
    from robustbench_nlp.report.collapse import Answers, no_better_than_constant
    from robustbench_nlp.screen import screen

    found = compare(first, second)
    if as_json:
        say(json.dumps([_row(pair) for pair in found.pairs], indent=1))
        return
    screen().print(_table(found))
    for cell in {
        cell.header["spec"]["victim"]: cell for pair in found.pairs for cell in (pair.first, pair.second)
    }.values():
        if evidence := no_better_than_constant(Answers.of([cell.records.values()])):
            say(f"Warning: {cell.header['victim']}, {cell.name[0]}: {evidence}")
    for alone in found.unpaired:
        say(f"only in one run: {alone}")
    for pair in found.pairs if flips else ():
        for identity in [i for side in pair.flips() for i in side][:flips]:
            for cell in (pair.first, pair.second):
                record = cell.records[identity]
                say(f"{' × '.join(cell.name)}: {record.outcome} {record.adversarial or record.original!r}")


def _row(pair: Pair) -> dict[str, object]:
    lost, won = pair.flips()
    values = {
        "first": pair.first.name,
        "second": pair.second.name,
        "victims": [pair.first.header["victim"], pair.second.header["victim"]],
        "n": len(pair.first.records),
        "floor": pair.first.floor(),
        "clean": [pair.first.clean(), pair.second.clean()],
        "robust": list(pair.accuracies()),
        "difference": list(pair.difference),
        "p": pair.p,
        "p_holm": pair.adjusted,
        "difference_bootstrap": list(pair.resampled.interval),
        "p_bootstrap": pair.resampled.p,
        "success_rate": [pair.first.success_rate(), pair.second.success_rate()],
        "success_rate_difference": list(pair.rates.interval),
        "success_rate_p": pair.rates.p,
        "success_rate_p_holm": pair.rates_adjusted,
        "detectable": pair.detectable(),
        "lost": len(lost),
        "won": len(won),
    }
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: object) -> object:
    """As JSON has it, which knows no NaN."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and isnan(value) else value


def _table(found: Comparison) -> object:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from robustbench_nlp.report.shown import CASCADE

    table = Table(
        box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left", caption_justify="left"
    )
    sides = [[f"{cell.header['victim']}, {cell.name[0]}" for cell in (pair.first, pair.second)] for pair in found.pairs]
    alike = all(side == sides[0] for side in sides)
    if alike:
        table.title = Text(" → ".join(sides[0]))
    heads = [*(() if alike else ("first", "second")), *HEADS]
    for head in heads:
        table.add_column(head, justify="left" if head in ("first", "second", "attack") else "right", overflow="fold")
    for pair, side in zip(found.pairs, sides, strict=True):
        table.add_row(*map(Text, [*(() if alike else side), *_cells(pair)]))
    constants = ", ".join(dict.fromkeys(f"{100 * pair.first.floor():.1f} %" for pair in found.pairs))
    table.caption = (
        f"A constant answer scores {constants}, clean and under attack. Differences of robust accuracy: 95 % by Newcombe's method "
        "10, p by McNemar's exact test; of attack success rates (ASR, successes / attempted): by the bootstrap over examples, "
        "without p where fewer than ten differ. p after Holm's correction over the lines; ≈: not distinguishable at 5 %. −: withstood "
        "by the first alone, +: by the second alone; finds ≥: the difference in points that so many examples find four times in "
        "five, with as many flips."
    )
    if any(pair.first.header["mode"] == "cascade" for pair in found.pairs):
        table.caption += f" {CASCADE}"
    return table


HEADS = (
    *("attack", "n", "clean %", "robust %", "difference", "p", "flips", "finds ≥"),
    *("ASR %", "difference", "p"),
)


def _cells(pair: Pair) -> tuple[str, ...]:
    from robustbench_nlp.report.shown import headline

    lost, won = pair.flips()
    one, two = pair.accuracies()
    return (
        headline(pair.first.name[1]),
        str(len(pair.first.records)),
        _change(pair.first.clean(), pair.second.clean()),
        _change(one, two),
        _difference(two - one, pair.difference),
        _chance(pair.adjusted),
        f"−{len(lost)} +{len(won)}" if lost or won else "none",
        "-" if isnan(least := pair.detectable()) else f"{100 * least:.1f}",
        _change(pair.first.success_rate(), pair.second.success_rate()),
        _difference(pair.rates.difference, pair.rates.interval),
        _chance(pair.rates_adjusted),
    )


def _change(one: float, two: float) -> str:
    return " → ".join("-" if isnan(share) else f"{100 * share:.1f}" for share in (one, two))


def _difference(difference: float, interval: tuple[float, float]) -> str:
    """In points, with its interval."""
    if isnan(difference):
        return "-"
    low, high = interval
    return f"{100 * difference:+.1f}" + ("" if isnan(low) else f" [{100 * low:+.1f}, {100 * high:+.1f}]")


def _chance(p: float) -> str:
    """A p-value, with ≈ where the sides are not distinguishable."""
    return "-" if isnan(p) else f"{p:.2g}" + " ≈" * (p >= ALPHA)
