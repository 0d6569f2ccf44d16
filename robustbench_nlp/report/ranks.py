"""What of a run's order is more than chance: the ranking of its defenses under each attack, and the ties that tables mark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from robustbench_nlp.errors import UsageError
from robustbench_nlp.ranking import ALPHA, standings
from robustbench_nlp.recorded import Cell
from robustbench_nlp.report.collapse import Answers, no_better_than_constant
from robustbench_nlp.report.shown import escaped, headline, percent, warned
from robustbench_nlp.report.table import INCOMPLETE, TIES, UNTOLD, WORST_CASE, named

__all__ = ["COLUMNS", "ranking", "ranking_markdown", "ties"]

COLUMNS = (
    *("dataset", "split", "victim", "attack", "rank", "defense", "n", "errors", "clean_accuracy"),
    *("robust_accuracy", "robust_low", "robust_high", "p_best", "better", "floor", "at_floor"),
)
"""The columns of ranking.csv, in order."""


def ties(cells: Iterable[Cell]) -> dict[str, Any]:
    """For a table's `attrs`: the (defense, attack) that can't be told from the best under the attack; where the extra `stats`
    is missing, how to get it."""
    try:
        found = [
            [standing.name, attack]
            for attack, part in _by_attack(cells)
            for standing in standings({cell.name[0]: cell.right() for cell in part})
            if standing.tied
        ]
    except UsageError as problem:
        return {UNTOLD: str(problem)}
    return {TIES: found}


def ranking(cells: Iterable[Cell]) -> pd.DataFrame:
    """A row a defense and attack, worst cases first, with `COLUMNS`: `better` lists the defenses that are significantly better,
    `p_best` is the p-value against the best by Holm over all pairs under the attack, `floor` what a constant answer scores, `at_floor` whether the
    clean accuracy is not significantly above it.

    Rates are fractions in [0, 1]; an errored example is not right. Raises `UsageError` without the extra `stats`, for more
    than two defenses.
    """
    rows = []
    for attack, part in _by_attack(cells):
        by_defense = {cell.name[0]: cell for cell in part}
        for standing in standings({name: cell.right() for name, cell in by_defense.items()}):
            cell = by_defense[standing.name]
            low, high = standing.interval
            rows.append(
                {
                    **named(cell.header, ("dataset", "split", "victim")),
                    "attack": attack,
                    "rank": standing.rank,
                    "defense": standing.name,
                    "n": standing.n,
                    "errors": sum(record.outcome == "error" for record in cell.records.values()),
                    "clean_accuracy": cell.clean(),
                    "robust_accuracy": standing.accuracy,
                    "robust_low": low,
                    "robust_high": high,
                    "p_best": standing.p_best,
                    "better": ", ".join(standing.better),
                    "floor": cell.floor(),
                    "at_floor": bool(no_better_than_constant(Answers.of([cell.records.values()]))),
                }
            )
    return pd.DataFrame(rows, columns=[*COLUMNS])


def ranking_markdown(frame: pd.DataFrame) -> str:
    """The ranking to read, a table an attack; a constant answer stands in it where it would, without a rank."""
    parts = [
        f"## {escaped(headline(str(attack)))}\n\n{_table(part)}" for attack, part in frame.groupby("attack", sort=False)
    ]
    if frame.empty:
        return "# Ranking\n\nNo attack of this run says anything of robustness.\n"
    first = frame.iloc[0]
    notes = [
        f"{first['victim']} on {first['dataset']}, {first['split']} split.",
        "Rank: 1 + the number of defenses that are right on significantly more of the same examples (McNemar's exact test, Holm over "
        "all pairs under the attack, 5 %); ≈: can't be told from the best; p: against the best, after Holm.",
        "Intervals: 95 % Wilson; robust = right under attack / n; an errored example is not right ((!): more than 1 % of them).",
    ]
    if frame["at_floor"].any():
        notes.append("∅: right without an attack no more often than a constant answer; its rank may be that of one.")
    body = "\n".join(f"- {escaped(note)}" for note in [*warned(frame), *notes])
    return "\n".join(["# Ranking", "", *parts, body, ""])


def _table(part: pd.DataFrame) -> str:
    lines = [
        "| rank | defense | n | clean % | robust % [95 %] | p | significantly better |",
        "| --: | :-- | --: | --: | --: | --: | :-- |",
    ]
    floor, highest = float(part["floor"].iloc[0]), part["robust_accuracy"].max()
    constant = f"| – | *a constant answer* | {part['n'].iloc[0]} | {percent(floor)} | {percent(floor)} | | |"
    for row in part.to_dict("records"):
        if constant and row["robust_accuracy"] < floor:
            lines.append(constant)
            constant = ""
        tied = " ≈" if row["p_best"] >= ALPHA and row["robust_accuracy"] < highest else ""
        constant_like = " ∅" if row["at_floor"] else ""
        wrong = " (!)" if row["errors"] > INCOMPLETE * row["n"] else ""
        lines.append(
            f"| {row['rank']} | {escaped(row['defense'])}{constant_like}{wrong} | {row['n']} | {percent(row['clean_accuracy'])} | "
            f"{percent(row['robust_accuracy'])} [{percent(row['robust_low'])}–{percent(row['robust_high'])}]{tied} | "
            f"{row['p_best']:.2g} | {escaped(row['better'])} |"
        )
    return "\n".join([*lines, *filter(None, [constant]), ""])


def _by_attack(cells: Iterable[Cell]) -> list[tuple[str, Sequence[Cell]]]:
    """The cells that measure robustness, by attack, worst cases first."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.measures:
            found.setdefault(cell.name[1], []).append(cell)
    return sorted(found.items(), key=lambda item: not item[0].startswith(WORST_CASE))
