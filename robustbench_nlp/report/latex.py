"""The results table for a paper: booktabs and siunitx, the best defense under each attack bold, its ties marked, intervals below.

The caption says what was measured, with every version; costs, marks and warnings are notes under the table.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from robustbench_nlp.console import printable
from robustbench_nlp.report.shown import conditions, headline, marked, percent, remarks

__all__ = ["PREAMBLE", "floated", "latex"]

PREAMBLE = "% In the preamble: \\usepackage{booktabs, graphicx, siunitx}"
TIE = r"$^{\approx}$"
_COLUMN = f"S[table-format=3.1, table-space-text-post={TIE}]"
INTERVALS = "Below each robust accuracy: its 95 % Wilson interval; robust = right under attack / n."
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    " %": r"\,\%",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    "≥": r"$\geq$",
    "≈": r"$\approx$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "†": r"$\dagger$",
    "–": "--",
    "−": "$-$",
}
_LABEL = re.compile(r"[^A-Za-z0-9]+")
_MARK = re.compile("|".join(map(re.escape, _SPECIAL)))


def latex(frame: pd.DataFrame) -> str:
    """A floating table for each victim and data set: two lines a defense, a column an attack, robust accuracies in percent, marked
    as `shown.marked` does, above their intervals; with what `frame.attrs` says of `versions` and `versioned` names."""
    measured = marked(frame[frame["robust_accuracy"].notna()])
    parts = [_table(part) for _, part in measured.groupby(["dataset", "victim"], sort=False)]
    return "\n\n".join([PREAMBLE, *parts]) + "\n"


def _table(part: pd.DataFrame) -> str:
    attacks, defenses = (list(dict.fromkeys(part[name])) for name in ("attack", "defense"))
    cells = {(row["defense"], row["attack"]): row for row in part.to_dict("records")}
    clean = part.groupby("defense")["clean_accuracy"].first().to_dict()
    rows = []
    for defense in defenses:
        own = [cells.get((defense, attack)) for attack in attacks]
        rows += [[defense, _number(clean[defense]), *map(_marked, own)], ["", "", *map(_interval, own)]]
    victim, dataset = (str(part.iloc[0][name]) for name in ("victim", "dataset"))
    return floated(
        ("robust", victim, dataset),
        [f"Robust accuracy of {victim} on {_versioned(part, 'dataset')[0]} in percent.", *_told(part)],
        attacks,
        rows,
        column=_COLUMN,
        notes=[INTERVALS, *remarks(part)],
    )


def floated(
    label: Sequence[str],
    told: Sequence[str],
    attacks: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    column: str,
    notes: Sequence[str] = (),
) -> str:
    """A floating table of robust accuracies: `told` are the caption's sentences, the first its short form, `notes` those below.

    A row is a defense, then LaTeX: its clean accuracy and that under each of the attacks, in columns of the type `column`; a row
    without a name goes on with the one above."""
    heads = ["defense", "{clean}", *(f"{{\\rotatebox{{90}}{{{_escaped(headline(attack))}}}}}" for attack in attacks)]
    lines = []
    for number, (defense, *numbers) in enumerate(rows):
        if defense and number and not rows[number - 1][0]:
            lines.append(r"    \addlinespace")
        lines.append(f"    {' & '.join([_escaped(defense), *numbers])} \\\\")
    below = f"  \\parbox{{\\linewidth}}{{\\footnotesize {_escaped(' '.join(notes))}}}"
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            r"  \sisetup{detect-weight}",
            f"  \\caption[{{{_escaped(told[0])}}}]{{{_escaped(' '.join(told))}}}",
            f"  \\label{{tab:{'-'.join(_LABEL.sub('-', name) for name in label)}}}",
            f"  \\begin{{tabular}}{{l*{{{len(attacks) + 1}}}{{{column}}}}}",
            r"    \toprule",
            f"    {' & '.join(heads)} \\\\",
            r"    \midrule",
            *lines,
            r"    \bottomrule",
            r"  \end{tabular}",
            *([r"  \par\smallskip", below] if notes else []),
            r"\end{table}",
        ]
    )


def _told(part: pd.DataFrame) -> list[str]:
    """The caption's sentences: what every table says of the measured, and what a paper must say besides."""
    free = [] if part["max_queries"].notna().any() else ["No attack has a budget of queries."]
    versions = part.attrs.get("versions", "")
    named = part.assign(attack=_versioned(part, "attack"))
    return [*conditions(named), *free, *([f"Made with {versions}."] if versions else [])]


def _versioned(part: pd.DataFrame, column: str) -> list[str]:
    """A column's names, with their versions where those are known."""
    known: Mapping[str, str] = part.attrs.get("versioned", {}).get(column, {})
    return [known.get(name, name) for name in part[column]]


def _marked(row: Mapping[Hashable, Any] | None) -> str:
    """A cell's robust accuracy: bold where it is the best, with `TIE` where it can't be told from that."""
    if row is None:
        return "{--}"
    number = _number(row["robust_accuracy"])
    return rf"\bfseries {number}" if row["best"] else number + TIE * bool(row["tied"])


def _interval(row: Mapping[Hashable, Any] | None) -> str:
    """What stands below it, small enough to leave the column as narrow as it is."""
    return "" if row is None else rf"{{\scriptsize {percent(row['robust_low'])}--{percent(row['robust_high'])}}}"


def _number(share: float) -> str:
    return f"{100 * share:.1f}"


def _escaped(text: str) -> str:
    return _MARK.sub(lambda match: _SPECIAL[match.group()], " ".join(printable(text).split()))
