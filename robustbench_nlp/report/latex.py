"""The results table for a paper: booktabs and siunitx, the best defense under each attack bold, its ties marked."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from robustbench_nlp.console import printable
from robustbench_nlp.report.shown import caption, headline, marked

__all__ = ["PREAMBLE", "floated", "latex"]

PREAMBLE = "% In the preamble: \\usepackage{booktabs, graphicx, siunitx}"
TIE = r"$^{\approx}$"
_COLUMN = f"S[table-format=3.1, table-space-text-post={TIE}]"
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
    """A floating table for each victim and data set: a line a defense, a column an attack, robust accuracies in percent, marked
    as `shown.marked` does; with what `frame.attrs` says of `versions`."""
    measured = marked(frame[frame["robust_accuracy"].notna()])
    parts = [_table(part) for _, part in measured.groupby(["dataset", "victim"], sort=False)]
    return "\n\n".join([PREAMBLE, *parts]) + "\n"


def _table(part: pd.DataFrame) -> str:
    attacks, defenses = (list(dict.fromkeys(part[name])) for name in ("attack", "defense"))
    cells = {(row["defense"], row["attack"]): row for row in part.to_dict("records")}
    clean = part.groupby("defense")["clean_accuracy"].first().to_dict()
    rows = []
    for defense in defenses:
        numbers = [_number(clean[defense]), *(_marked(cells.get((defense, attack))) for attack in attacks)]
        rows.append([defense, *numbers])
    names = (str(part.iloc[0]["victim"]), str(part.iloc[0]["dataset"]))
    return floated(names, _told(part), attacks, rows, column=_COLUMN)


def floated(
    names: tuple[str, str],
    told: Sequence[str],
    attacks: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    column: str,
    label: str = "robust",
) -> str:
    """A floating table of robust accuracies: `names` are the victim's and the data set's, `told` the caption's further sentences;
    a row is a defense, then LaTeX: its clean accuracy and that under each of the attacks, in columns of the type `column`."""
    heads = ["defense", "{clean}", *(f"{{\\rotatebox{{90}}{{{_escaped(headline(attack))}}}}}" for attack in attacks)]
    title = _escaped(f"Robust accuracy of {names[0]} on {names[1]} in percent.")
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            r"  \sisetup{detect-weight}",
            f"  \\caption[{{{title}}}]{{{title} {_escaped(' '.join(told))}}}",
            f"  \\label{{tab:{label}-{'-'.join(_LABEL.sub('-', name) for name in names)}}}",
            f"  \\begin{{tabular}}{{l*{{{len(attacks) + 1}}}{{{column}}}}}",
            r"    \toprule",
            f"    {' & '.join(heads)} \\\\",
            r"    \midrule",
            *(f"    {' & '.join([_escaped(defense), *numbers])} \\\\" for defense, *numbers in rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
        ]
    )


def _told(part: pd.DataFrame) -> list[str]:
    """The caption's sentences: those below every table, and what a paper must say besides."""
    free = [] if part["max_queries"].notna().any() else ["No attack has a budget of queries."]
    versions = part.attrs.get("versions", "")
    return [*caption(part), *free, *([f"Made with {versions}."] if versions else [])]


def _marked(row: Mapping[Hashable, Any] | None) -> str:
    """A cell's robust accuracy: bold where it is the best, with `TIE` where it can't be told from that."""
    if row is None:
        return "{--}"
    number = _number(row["robust_accuracy"])
    return rf"\bfseries {number}" if row["best"] else number + TIE * bool(row["tied"])


def _number(share: float) -> str:
    return f"{100 * share:.1f}"


def _escaped(text: str) -> str:
    return _MARK.sub(lambda match: _SPECIAL[match.group()], " ".join(printable(text).split()))
