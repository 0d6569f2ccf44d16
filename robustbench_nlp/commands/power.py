"""`power`: how large a difference so many examples can show."""

from __future__ import annotations

from math import inf, isnan

import click

from robustbench_nlp.console import say
from robustbench_nlp.errors import UsageError

__all__ = ["command", "table"]

EXAMPLES = "50,100,200,500,1000,2000"
DISCORDANT = "5,10,20,30,40"


@click.command("power")
@click.option(
    "--examples", metavar="N,N", default=EXAMPLES, show_default=True, help="Numbers of examples, a line each."
)
@click.option(
    "--discordant",
    metavar="%,%",
    default=DISCORDANT,
    show_default=True,
    help="Percentages of the examples on which one side alone is right, a column each.",
)
@click.option("--difference", type=float, help="In points: how many examples it takes to find this one, instead.")
@click.option(
    "--alpha", type=float, default=0.05, show_default=True, help="Of the test; with k tests, at worst 0.05 / k."
)
@click.option(
    "--power", "chance", type=float, default=0.8, show_default=True, help="The chance to find the difference."
)
def command(examples: str, discordant: str, **settings: float | None) -> None:
    """How large a difference of two accuracies can so many examples show?

    A Markdown table, in points, for two victims or defenses on the same examples (McNemar's test). `compare` says of each pair on
    how many examples its sides differ.
    """
    shares = [value / 100 for value in _numbers(discordant, "discordant")]
    counts = [round(value) for value in _numbers(examples, "examples")]
    difference, alpha, chance = (settings[name] for name in ("difference", "alpha", "chance"))
    if not (alpha and chance and 0 < alpha < 1 and 0 < chance < 1):
        raise UsageError("alpha and power are chances; give numbers between 0 and 1")
    if max(shares) > 1:
        raise UsageError("discordant is more than 100 %; give percentages")
    if difference is None:
        say(table(counts, shares, alpha, chance))
        return
    if difference <= 0:
        raise UsageError(f"difference is {difference:g} points; give a positive number")
    say(_needed(difference / 100, shares, alpha, chance))


def table(counts: list[int], shares: list[float], alpha: float = 0.05, chance: float = 0.8) -> str:
    """Markdown: a line a number of examples, a column a share of them on which the sides differ; points."""
    from robustbench_nlp.power import detectable

    lines = [_line("n", [f"{100 * share:g} % differ" for share in shares]), _line("--:", ["--:"] * len(shares))]
    for n in counts:
        found = [detectable(n, share, alpha=alpha, power=chance) for share in shares]
        lines.append(_line(str(n), ["-" if isnan(least) else f"{100 * least:.1f}" for least in found]))
    return "\n".join(lines)


def _needed(difference: float, shares: list[float], alpha: float, chance: float) -> str:
    from robustbench_nlp.power import needed

    counts = [
        str(needed(difference, share, alpha=alpha, power=chance)) if difference <= share else "-" for share in shares
    ]
    return "\n".join(
        [
            _line("difference", [f"{100 * share:g} % differ" for share in shares]),
            _line("--:", ["--:"] * len(shares)),
            _line(f"{100 * difference:g}", counts),
        ]
    )


def _line(first: str, cells: list[str]) -> str:
    return f"| {' | '.join([first, *cells])} |"


def _numbers(text: str, name: str) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if not values or not all(0 < value < inf for value in values):
        raise UsageError(
            f"{name} is '{text}'; give positive numbers, such as {EXAMPLES if name == 'examples' else DISCORDANT}"
        )
    return values
