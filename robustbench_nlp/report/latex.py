"""The results table for a paper: booktabs and siunitx, the best defense under each attack bold, its ties marked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pandas as pd

from robustbench_nlp.recorded import Cell
from robustbench_nlp.report.shown import caption, headline
from robustbench_nlp.report.table import WORST_CASE
from robustbench_nlp.stats import holm, mcnemar

__all__ = ["latex"]

PREAMBLE = "% \\usepackage{booktabs, graphicx, siunitx}"
TIE = "$^{=}$"
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    "≥": r"$\geq$",
    "×": r"$\times$",
    "†": r"$\dagger$",
    "–": "--",
    "−": "$-$",
}
_MARK = re.compile("|".join(map(re.escape, _SPECIAL)))


def latex(frame: pd.DataFrame, cells: Sequence[Cell]) -> str:
    """A floating table for each victim and data set: a line a defense, a column an attack, robust accuracies in percent.

    `cells` are those that the frame was computed from: of the defenses that are not the best under an attack, those that
    McNemar's test on the same examples (Holm over the column) doesn't tell from the best at 5 % are ties.
    """
    named = {cell.name: cell for cell in cells}
    parts = [
        _table(part, named)
        for _, part in frame[frame["robust_accuracy"].notna()].groupby(["dataset", "victim"], sort=False)
    ]
    return "\n\n".join([PREAMBLE, *parts]) + "\n"


def _table(part: pd.DataFrame, cells: Mapping[tuple[str, str], Cell]) -> str:
    attacks, defenses = (list(dict.fromkeys(part[name])) for name in ("attack", "defense"))
    robust = {(row["defense"], row["attack"]): float(row["robust_accuracy"]) for row in part.to_dict("records")}
    clean = part.groupby("defense")["clean_accuracy"].first().to_dict()
    marks = {
        attack: _marks([d for d in defenses if (d, attack) in robust], attack, robust, cells) for attack in attacks
    }
    rows = []
    for defense in defenses:
        numbers = [_number(clean[defense], "")]
        numbers += [_number(robust.get((defense, attack)), marks[attack].get(defense, "")) for attack in attacks]
        rows.append(" & ".join([_escaped(defense), *numbers]) + r" \\")
    heads = " & ".join(["defense", "clean", *(f"\\rotatebox{{60}}{{{_escaped(_head(attack))}}}" for attack in attacks)])
    ties = (
        ""
        if len(defenses) < 2
        else " Bold: the best under an attack; =: not distinguishable from it (McNemar, Holm, 5\\,\\%)."
    )
    first = part.iloc[0]
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            f"  \\caption{{Robust accuracy of {_escaped(str(first['victim']))} in percent. {_escaped(' '.join(caption(part)))}{ties}}}",
            f"  \\begin{{tabular}}{{l{'r' * (len(attacks) + 1)}}}",
            r"    \toprule",
            f"    {heads} \\\\",
            r"    \midrule",
            *(f"    {row}" for row in rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
        ]
    )


def _head(attack: str) -> str:
    return headline(attack) if attack.startswith(WORST_CASE) else attack


def _marks(
    defenses: Sequence[str],
    attack: str,
    robust: Mapping[tuple[str, str], float],
    cells: Mapping[tuple[str, str], Cell],
) -> dict[str, str]:
    """ "bold" for the best defenses under an attack, `TIE` for those that can't be told from it."""
    if len(defenses) < 2 or any((defense, attack) not in cells for defense in defenses):
        return {}
    best = max(defenses, key=lambda defense: robust[defense, attack])
    right = {defense: cells[defense, attack].right() for defense in defenses}
    others = [defense for defense in defenses if robust[defense, attack] < robust[best, attack]]
    chances = [mcnemar([right[best][i] for i in right[best]], [right[d][i] for i in right[best]]) for d in others]
    ties = {defense: TIE for defense, p in zip(others, holm(chances), strict=True) if p >= 0.05}
    return ties | {defense: "bold" for defense in defenses if defense not in others}


def _number(share: float | None, mark: str) -> str:
    if share is None or pd.isna(share):
        return "--"
    number = f"\\num{{{100 * share:.1f}}}"
    return f"\\textbf{{{number}}}" if mark == "bold" else number + mark


def _escaped(text: str) -> str:
    return _MARK.sub(lambda match: _SPECIAL[match.group()], " ".join(text.split()))
