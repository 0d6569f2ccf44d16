"""`seeds`: one table over several seeds."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from robustbench_nlp.console import say

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["command"]

HEADS = ("defense", "attack", "clean %", "± sd", "robust %", "± sd", "ASR %", "± sd", "every seed %", "worth")


@click.command("seeds")
@click.argument("folders", metavar="RUN RUN...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="As a JSON list, for programs.")
@click.option("--csv", "as_csv", is_flag=True, help="As CSV, every digit.")
def command(folders: Sequence[Path], as_json: bool, as_csv: bool) -> None:
    """One table over runs that differ in their seed alone.

    Each rate over all seeds with its standard deviation from seed to seed, and a 95 % interval that knows that the runs share
    their examples. Runs that differ in anything else are refused, with the setting named.
    """
    from robustbench_nlp.screen import screen
    from robustbench_nlp.seeds import over_seeds

    frame = over_seeds(folders)
    if as_json:
        say(frame.to_json(orient="records", indent=1, double_precision=15))
    elif as_csv:
        say(frame.to_csv(index=False, lineterminator="\n").rstrip("\n"))
    else:
        screen().print(_table(frame))


def _table(frame: pd.DataFrame) -> object:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    first = frame.iloc[0]
    table = Table(
        box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left", caption_justify="left"
    )
    table.title = Text(
        f"victim {first['victim']} on {first['dataset']}, {first['split']} split, n = {first['n']}, {first['seeds']} seeds"
    )
    for i, head in enumerate(HEADS):
        table.add_column(head, justify="left" if i < 2 else "right", overflow="fold")
    for row in frame.to_dict("records"):
        table.add_row(*map(Text, _cells(row)))
    caption = (
        f"A constant answer scores {100 * first['floor']:.1f} %, clean and under attack. ±: standard deviation from seed to seed; "
        "in brackets the 95 % interval (Wilson at the effective sample size) for new examples and new seeds; every seed: right "
        "whichever seed the attacker takes, who spends as many budgets; worth: as many independent examples as the robust accuracy is."
    )
    low = ", ".join(dict.fromkeys(frame["defense"][~frame["above_floor"]]))
    if low:
        caption += f" Clean accuracy not significantly above a constant answer's: {low}."
    table.caption = Text(caption)
    return table


def _cells(row: Mapping[Hashable, Any]) -> tuple[str, ...]:
    from robustbench_nlp.report.shown import headline

    rates = []
    for name in ("clean_accuracy", "robust_accuracy", "attack_success_rate"):
        rate, sd, low, high = (row[f"{name}{part}"] for part in ("", "_sd", "_low", "_high"))
        rates += ["-", "-"] if isnan(rate) else [f"{_percent(rate)} [{_percent(low)}–{_percent(high)}]", _percent(sd)]
    every = _percent(row["robust_every_seed"])
    return str(row["defense"]), headline(str(row["attack"])), *rates, every, f"{row['effective_n']:.0f}"


def _percent(share: float) -> str:
    return "-" if isnan(share) else f"{100 * share:.1f}"
