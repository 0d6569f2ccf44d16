"""The table over several seeds as it is read: its cells and its caption, as Markdown and for a paper."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from robustbench_nlp.report.latex import PREAMBLE, floated
from robustbench_nlp.report.shown import escaped, headline, percent, piped

__all__ = ["GROUPS", "NAMES", "caption", "cells", "latex", "markdown", "title"]

NAMES = ("defense", "attack")
GROUPS = (("clean %", "± sd"), ("robust %", "± sd"), ("ASR %", "± sd"), ("every seed %", "worth"))
"""Headings of a table, those that belong together side by side."""
RATES = ("clean_accuracy", "robust_accuracy", "attack_success_rate")

Row = Mapping[Hashable, Any]


def title(frame: pd.DataFrame) -> str:
    """What all rows share."""
    first = frame.iloc[0]
    return f"Victim {first['victim']} on {first['dataset']}, {first['split']} split, n = {first['n']}, {first['seeds']} seeds"


def caption(frame: pd.DataFrame) -> list[str]:
    """What a reader needs to know beside the numbers, a sentence or two a line."""
    lines = [
        f"A constant answer scores {percent(frame.iloc[0]['floor'])} %, clean and under attack.",
        "±: standard deviation from seed to seed; in brackets the 95 % interval (Wilson at the effective sample size) for new "
        "examples and new seeds.",
        "Every seed: right whichever seed the attacker takes, who spends as many budgets; worth: as many independent examples as the "
        "robust accuracy is.",
    ]
    return lines + _low(frame)


def _low(frame: pd.DataFrame) -> list[str]:
    low = ", ".join(dict.fromkeys(frame["defense"][~frame["above_floor"]]))
    return [f"Clean accuracy not significantly above a constant answer's: {low}."] if low else []


def cells(row: Row) -> list[str]:
    """A row's `NAMES`, then its numbers in the order of `GROUPS`."""
    rates = []
    for name in RATES:
        rate, sd, low, high = (row[f"{name}{part}"] for part in ("", "_sd", "_low", "_high"))
        rates += ["-", "-"] if pd.isna(rate) else [f"{percent(rate)} [{percent(low)}–{percent(high)}]", percent(sd)]
    every = percent(row["robust_every_seed"])
    return [str(row["defense"]), headline(str(row["attack"])), *rates, every, f"{row['effective_n']:.0f}"]


def markdown(frame: pd.DataFrame) -> str:
    """A row an attack, the caption's lines below."""
    heads = [*NAMES, *(head for group in GROUPS for head in group)]
    body = piped(heads, [[escaped(cell) for cell in cells(row)] for row in frame.to_dict("records")], len(NAMES))
    notes = "\n".join(f"- {escaped(line)}" for line in [f"{title(frame)}.", *caption(frame)])
    return f"{body}\n\n{notes}\n"


def latex(frame: pd.DataFrame) -> str:
    """A floating table: a line a defense, a column an attack, robust accuracies in percent ± their standard deviation."""
    first = frame.iloc[0]
    attacks = list(dict.fromkeys(frame["attack"]))
    by_name = {(row["defense"], row["attack"]): row for row in frame.to_dict("records")}
    rows = []
    for defense, part in frame.groupby("defense", sort=False):
        robust = [_spread(by_name.get((defense, attack)), "robust_accuracy") for attack in attacks]
        rows.append([str(defense), _spread(part.to_dict("records")[0], "clean_accuracy"), *robust])
    victim, dataset = str(first["victim"]), str(first["dataset"])
    told = [
        f"Robust accuracy of {victim} on {dataset} in percent.",
        f"{title(frame)}; ±: standard deviation from seed to seed.",
        f"A constant answer scores {percent(first['floor'])} %, clean and under attack.",
        *_low(frame),
    ]
    return f"{PREAMBLE}\n\n{floated(('seeds', victim, dataset), told, attacks, rows, column='r')}\n"


def _spread(row: Row | None, rate: str) -> str:
    return "--" if row is None else f"{percent(row[rate])} $\\pm$ {percent(row[f'{rate}_sd'])}"
