"""`compare`: what changed between two runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
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
    "--flips",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    help="Also show, of each line, N examples that only one side withstands.",
)
@click.option("--json", "as_json", is_flag=True, help="As a JSON list, for programs.")
def command(first: str, second: str, flips: int, as_json: bool) -> None:
    """Compare two runs on the same examples.

    Cells that differ in more than the victim or the defense are refused, with the setting named. The difference of the robust
    accuracies is paired: its 95 % interval, McNemar's exact test, and Holm's correction over all pairs. Attack success rates,
    whose denominators differ, are compared by the bootstrap over examples. The table has Newcombe's closed form; --json also has the
    paired bootstrap interval of the difference.
    """
    from robustbench_nlp.comparison import compare

    found = compare(first, second)
    if as_json:
        say(json.dumps([_row(pair, flips) for pair in found.pairs], indent=1))
        return
    folders = (first.partition("::")[0], second.partition("::")[0])
    _show(found, folders)
    for pair in found.pairs:
        for line in _flips(pair, _sides(pair, folders), flips):
            say(line)


def _show(found: Comparison, folders: tuple[str, str]) -> None:
    """A table for each two sides, what they need to be read, and what no line is about."""
    from rich.text import Text

    from robustbench_nlp.report.collapse import Answers, no_better_than_constant
    from robustbench_nlp.report.stacked import stacked
    from robustbench_nlp.screen import screen

    console = screen()
    parts: dict[tuple[str, str], list[Pair]] = {}
    for pair in found.pairs:
        parts.setdefault(_sides(pair, folders), []).append(pair)
    for sides, pairs in parts.items():
        n = ", ".join(dict.fromkeys(str(len(pair.first.records)) for pair in pairs))
        console.print(Text(f"{' → '.join(sides)}, n = {n}", "table.title"))
        for table in stacked(console, ("attack",), HEADS, [_cells(pair) for pair in pairs]):
            console.print(table)
    console.print(Text(_caption(found), "table.caption"))
    for cell in {
        cell.header["spec"]["victim"]: cell for pair in found.pairs for cell in (pair.first, pair.second)
    }.values():
        if evidence := no_better_than_constant(Answers.of([cell.records.values()])):
            say(f"Warning: {cell.header['victim']}, {cell.name[0]}: {evidence}")
    for alone in found.unpaired:
        say(f"only in one run: {alone}")


def _sides(pair: Pair, folders: tuple[str, str]) -> tuple[str, str]:
    """Victim and defense of either side, with the run's folder where these are the same."""
    one, two = (f"{cell.header['victim']}, {cell.name[0]}" for cell in (pair.first, pair.second))
    return (f"{folders[0]}: {one}", f"{folders[1]}: {two}") if one == two else (one, two)


def _flips(pair: Pair, sides: tuple[str, str], most: int) -> Iterator[str]:
    """Lines about the first so many examples that only one side withstands: what the other side made of them."""
    from robustbench_nlp.report.flips import flip
    from robustbench_nlp.report.shown import headline

    attack = pair.first.name[1]
    for identity, withstood in _flipped(pair, most):
        record = (pair.second, pair.first)[withstood].records[identity]
        by = f" by {record.winner}" if pair.first.members and record.winner else ""
        yield f"{headline(attack)}{by}, example {identity}: withstood by {sides[withstood]} alone"
        yield from flip(record, pair.first.header["label_names"])


def _flipped(pair: Pair, most: int) -> list[tuple[str, int]]:
    """The first so many examples that only one side withstands, and which: 0 for the first, 1 for the second."""
    return [(identity, side) for side, found in enumerate(pair.flips()) for identity in found][:most]


def _row(pair: Pair, flips: int) -> dict[str, object]:
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
        "flips": [_flip(pair, identity, withstood) for identity, withstood in _flipped(pair, flips)],
    }
    return {name: _plain(value) for name, value in values.items()}


def _flip(pair: Pair, identity: str, withstood: int) -> dict[str, object]:
    """What the side that doesn't withstand an example made of it; labels by their numbers."""
    record = (pair.second, pair.first)[withstood].records[identity]
    shown = (
        *("example_id", "label", "outcome", "winner", "clean_prediction", "adversarial_prediction"),
        *("original", "adversarial"),
    )
    return {"withstood_by": ("first", "second")[withstood], **{name: getattr(record, name) for name in shown}}


def _plain(value: object) -> object:
    """As JSON has it, which knows no NaN."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and isnan(value) else value


HEADS = (
    ("clean %",),
    ("robust %", "difference", "p"),
    ("flips", "finds ≥"),
    ("ASR %", "difference", "p"),
)


def _caption(found: Comparison) -> str:
    from robustbench_nlp.report.shown import CASCADE

    constants = ", ".join(dict.fromkeys(f"{100 * pair.first.floor():.1f} %" for pair in found.pairs))
    caption = (
        f"A constant answer scores {constants}, clean and under attack. Differences of robust accuracy: 95 % by Newcombe's method "
        "10, p by McNemar's exact test; of attack success rates (ASR, successes / attempted): by the bootstrap over examples, "
        "without p where fewer than ten differ. p after Holm's correction over the lines; ≈: not distinguishable at 5 %. −: withstood "
        "by the first alone, +: by the second alone; finds ≥: the difference in points that so many examples find four times in "
        "five, with as many flips."
    )
    cascade = any(pair.first.header["mode"] == "cascade" for pair in found.pairs)
    return f"{caption} {CASCADE}" if cascade else caption


def _cells(pair: Pair) -> tuple[str, ...]:
    from robustbench_nlp.report.shown import headline

    lost, won = pair.flips()
    one, two = pair.accuracies()
    return (
        headline(pair.first.name[1]),
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
