"""The results table as it is read: on the terminal, as Markdown beside the CSV, with the caption that it needs."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from robustbench_nlp.console import printable
from robustbench_nlp.ensembles import ensemble_names
from robustbench_nlp.records import write_whole
from robustbench_nlp.report.table import (
    BESIDE,
    CLAIMS,
    REDUCTION,
    TIES,
    UNTOLD,
    WORST_CASE,
    incomplete,
    is_incomplete,
    robust_if_errors_right,
)

if TYPE_CHECKING:
    from rich.table import Table

__all__ = [
    "CASCADE",
    "caption",
    "conditions",
    "escaped",
    "headline",
    "markdown",
    "marked",
    "percent",
    "piped",
    "remarks",
    "render",
    "summary",
    "warned",
    "write",
]

CASCADE = "Cascade: each attack met only what the ones before it left; robust = still right after it."
"""For tables with such rows."""


def write(frame: pd.DataFrame, folder: Path) -> None:
    """Write table.csv (every digit) and table.md (percent, for reading) into the run folder, each whole or not at all."""
    write_whole(folder / "table.csv", frame.to_csv(index=False, lineterminator="\n"))
    write_whole(folder / "table.md", markdown(frame))


def caption(frame: pd.DataFrame) -> list[str]:
    """What a reader needs to know beside the numbers, a sentence or two a line."""
    from importlib.metadata import version

    last = (
        "Intervals: 95 % Wilson; robust = right under attack / n; ASR = successes / attempted; queries: mean over attempted, words "
        "changed: over successes. "
        f"robustbench-nlp {version('robustbench-nlp')}, records schema {_listed(frame['schema'])}."
    )
    return [*conditions(frame), *remarks(frame), last]


def conditions(frame: pd.DataFrame) -> list[str]:
    """The caption's first lines: the examples, the threats, what the worst cases are of."""
    lines: list[str] = []
    for (dataset, split), part in frame.groupby(["dataset", "split"], sort=False):
        floor, note = (frame.attrs.get(name, {}).get(dataset) for name in BESIDE)
        constant = "" if floor is None else f"; a constant answer scores {percent(floor)} %, clean and under attack"
        lines.append(f"{dataset}, {split} split, n = {_listed(part['n'])}, seed {_listed(part['seed'])}{constant}.")
        if note:
            lines.append(f"{note.rstrip('.')}.")
    attacks = frame[~frame["attack"].str.startswith(WORST_CASE)].drop_duplicates(["attack", "threat", "max_queries"])
    threats = [
        f"{row['attack']} {row['threat']}" + ("" if pd.isna(row["max_queries"]) else f", {_budget(row)} queries")
        for row in attacks.to_dict("records")
    ]
    if threats:
        lines.append(f"Threats: {'; '.join(threats)}.")
    ensembles = dict.fromkeys(frame["attack"][frame["attack"].str.startswith(WORST_CASE)])
    for name in ensembles:
        members = name.removeprefix(WORST_CASE)
        published = f"{headline(name).capitalize()}: right under every attack of this published ensemble."
        lines.append(
            published if _published(name) else f"Worst case: right under every one of {members.replace('+', ', ')}."
        )
    if (frame["mode"] == "cascade").any():
        lines.append(CASCADE)
    return lines


def _budget(row: Mapping[Hashable, Any]) -> str:
    """A budget in words: of a random victim every draw has it."""
    draws = row.get("draws")
    several = draws is not None and not pd.isna(draws) and draws > 1
    return f"{draws:.0f} × {row['max_queries'] // draws:.0f}" if several else str(row["max_queries"])


def remarks(frame: pd.DataFrame) -> list[str]:
    """The caption's further lines, each for tables with something to say of: reductions, low precision, detectors, costs, marks, errors,
    warnings."""
    lines: list[str] = []
    reductions = frame[frame["mode"] == REDUCTION].to_dict("records")
    if reductions:
        told = "; ".join(f"{row['defense']} × {row['attack']}: {_reduced(row)}" for row in reductions)
        lines.append(
            f"Reductions keep the prediction: words changed = words left out; they measure no robustness. {told}."
        )
    lines += [
        f"Searches in {dtype}: the referee, in float32 and held to the threat, rejected {rejected} of {claimed} successes that they "
        f"claimed{f' ({percent(rejected / claimed)} %)' if claimed else ''}."
        for dtype, (rejected, claimed) in frame.attrs.get(CLAIMS, {}).items()
    ]
    if "robust_with_rejection" in frame:
        lines += [
            f"{row['defense']} × {headline(str(row['attack']))}: detects {percent(row['detected'])} % of successes (AUROC "
            f"{row['detection_auroc']:.2f}) at {percent(row['false_alarms'])} % false alarms, of clean texts that are right; with "
            f"rejection {percent(row['robust_with_rejection'])} % are right. "
            + (
                "Only what passes the detector is a success."
                if row.get("evaded") == 1
                else "The attack didn't know of the detector."
            )
            for row in frame[frame["robust_with_rejection"].notna()].to_dict("records")
        ]
    if "known" in frame and frame["known"].any():
        lines.append("†: the defense knows this attack, or the words or characters that it draws on.")
    lines += [
        f"{row['defense']}: {_costs(row)}."
        for row in frame.drop_duplicates("defense").to_dict("records")
        if "latency_ratio" in row and row["defense"] != "none"
    ]
    if frame["defense"].nunique() > 1 and TIES in frame.attrs:
        lines.append(
            "Bold: the best under an attack; ≈: can't be told from it (McNemar's exact test on the same examples, Holm over all "
            "pairs under the attack, 5 %)."
        )
    if frame["defense"].nunique() > 1 and UNTOLD in frame.attrs:
        lines.append(f"Which are ties with the best is not told: {frame.attrs[UNTOLD]}.")
    if (frame["mode"] == "transfer").any():
        lines.append("Transfer: texts found against the undefended victim, shown to the defended ones; not adaptive.")
    lines += [f"Incomplete (!): {line}." for line in incomplete(frame)]
    return [*lines, *warned(frame)]


def warned(frame: pd.DataFrame) -> list[str]:
    """The run's automatic warnings, as every page of it has them."""
    return [f"Warning: {line}" for line in frame.attrs.get("flags", ())]


def _reduced(row: Mapping[Hashable, Any]) -> str:
    """What a reduction came to, in a phrase."""
    left = "" if pd.isna(row["words_left_mean"]) else f", {row['words_left_mean']:.1f} words left on average"
    return f"{row['successes']} of {row['attempted']} texts reduced{left}"


def _costs(row: Mapping[Hashable, Any]) -> str:
    """A defense's costs in words."""
    trained, texts = row["train_ratio"], row["forwards_per_prediction"]
    training = "training time unknown" if pd.isna(trained) else f"training {trained:.1f} × the victim's"
    read = f"reads {texts} text{'s' * (texts != 1)}"
    ratio, draws = row["latency_ratio"], row.get("draws", 1)
    return (
        f"{training if trained else 'no training'}; a prediction "
        f"{read if draws == 1 else f'averages {draws} draws, a query each, of which each {read},'} and "
        f"takes {'an unknown' if pd.isna(ratio) else f'{ratio:.1f} × the'} time"
    )


def _listed(values: pd.Series[Any]) -> str:
    return ", ".join(str(value) for value in values.dropna().unique()) or "-"


@dataclass(frozen=True)
class _Line:
    """One row as it is read; `best` tells of its robust accuracy, `headline` of a worst case."""

    group: tuple[str, str, str]
    cells: list[str]
    best: bool
    headline: bool


_HEADS = ("victim", "defense", "attack", "n", "clean\n%", "robust %\n[95 %]", "ASR\n%", "queries", "words\nchanged")
_ATTACK, _ROBUST = 2, 5


def _lines(frame: pd.DataFrame) -> tuple[list[str], list[_Line]]:
    """The headings and the lines in reading order: worst cases end each defense's block."""
    frame = marked(frame).assign(incomplete=is_incomplete(frame), robust_if_errors_right=robust_if_errors_right(frame))
    with_errors = bool((frame["errors"] > 0).any())
    lines = [_line(row, with_errors) for row in frame.to_dict("records")]
    order = {group: i for i, group in enumerate(dict.fromkeys(line.group for line in lines))}
    heads = [*_HEADS, "errors", "robust %\nif errors\nright"] if with_errors else [*_HEADS]
    return heads, sorted(lines, key=lambda line: (order[line.group], line.headline))


def marked(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with two columns of marks: `best` under its attack where not all are equal, and `tied`: less, and not told
    from the best by its `attrs`."""
    by_attack = frame.groupby(["dataset", "victim", "attack"])["robust_accuracy"]
    highest, lowest = by_attack.transform("max"), by_attack.transform("min")
    ties = frame.attrs.get(TIES, ())
    told = pd.Series(
        [list(key) in ties for key in zip(frame["defense"], frame["attack"], strict=True)], frame.index, bool
    )
    return frame.assign(
        best=(frame["robust_accuracy"] == highest) & (highest > lowest),
        tied=(frame["robust_accuracy"] < highest) & told,
    )


def _line(row: Mapping[Hashable, Any], with_errors: bool = False) -> _Line:
    attack = str(row["attack"])
    worst = attack.startswith(WORST_CASE)
    cells = [
        str(row["victim"]),
        str(row["defense"]),
        f"{headline(attack)} †" if row.get("known") is True else headline(attack),
        str(row["n"]),
        percent(row["clean_accuracy"]),
        "-"
        if pd.isna(row["robust_accuracy"])
        else f"{percent(row['robust_accuracy'])} [{percent(row['robust_low'])}–{percent(row['robust_high'])}]"
        + " ≈" * bool(row["tied"]),
        percent(row["attack_success_rate"]),
        _number(row["queries_mean"]),
        _number(row["words_changed_mean"]),
    ]
    if with_errors:
        cells += [
            f"{row['errors']}{' (!)' if row['incomplete'] else ''}",
            percent(row["robust_if_errors_right"]),
        ]
    return _Line((row["dataset"], row["victim"], row["defense"]), cells, bool(row["best"]), worst)


def _published(worst_case: str) -> bool:
    return worst_case.removeprefix(WORST_CASE) in ensemble_names()


def headline(name: str) -> str:
    """How an attack is headed: a published worst case by its name, others have their members in the caption."""
    if not name.startswith(WORST_CASE):
        return name
    return f"worst case {name.removeprefix(WORST_CASE)}" if _published(name) else "worst case"


def percent(share: float) -> str:
    """A fraction in [0, 1] as percent with one digit; a dash where it is unknown."""
    return "-" if pd.isna(share) else f"{100 * share:.1f}"


def _number(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.1f}"


def summary(frame: pd.DataFrame) -> list[str]:
    """One short line a row, for a terminal that waits for the whole table."""
    lines = []
    for row in frame.assign(best=False, tied=False, incomplete=False).to_dict("records"):
        _, defense, attack, _, clean, robust, asr, *_ = _line(row).cells
        told = _reduced(row) if row["mode"] == REDUCTION else f"robust {robust} %, ASR {asr} %"
        lines.append(f"{defense} × {attack}: clean {clean} %, {told}")
    return lines


def render(frame: pd.DataFrame) -> Table:
    """The table for the terminal: the best robust accuracy under each attack is bold, worst cases are the headline."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    heads, lines = _lines(frame)
    victims = frame["victim"].unique()
    first = int(len(victims) == 1)  # one victim stands in the title: 80 columns are few
    shown = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, header_style="bold", caption_justify="left")
    shown.title = Text(f"victim {victims[0]}") if first else None
    shown.caption = Text("\n".join(caption(frame)))
    for i, head in enumerate(heads[first:], first):
        left = i <= _ATTACK
        shown.add_column(
            head, justify="left" if left else "right", no_wrap=i >= _ATTACK, overflow="fold", min_width=9 * left
        )
    for i, line in enumerate(lines):
        if i and line.group != lines[i - 1].group:
            shown.add_section()
        cells = [Text(cell, "bold" if line.best and j == _ROBUST else "") for j, cell in enumerate(line.cells)]
        shown.add_row(*cells[first:], style="cyan" if line.headline else "")
    return shown


def markdown(frame: pd.DataFrame) -> str:
    """A table's frame as Markdown: a row an attack, the caption's lines below."""
    heads, lines = _lines(frame)
    rows = []
    for line in lines:
        cells = [escaped(cell) for cell in line.cells]
        if line.headline:
            cells[_ATTACK] = f"*{cells[_ATTACK]}*"
        if line.best:
            cells[_ROBUST] = f"**{cells[_ROBUST]}**"
        rows.append(cells)
    body = piped([head.replace("\n", " ") for head in heads], rows, _ATTACK + 1)
    notes = "\n".join(f"- {escaped(line)}" for line in caption(frame))
    return f"{body}\n\n{notes}\n"


def piped(heads: Sequence[str], rows: Iterable[Sequence[str]], left: int) -> str:
    """A table of Markdown whose first `left` columns are names, and the others numbers; what stands in the cells is Markdown."""
    marks = [":--" if i < left else "--:" for i in range(len(heads))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [heads, marks, *rows])


def escaped(text: str) -> str:
    """A cell or line of Markdown that shows the text and does nothing: no markup, no HTML, no link, no second line."""
    text = " ".join(printable(text).split())
    for mark in "\\|*_<`":
        text = text.replace(mark, "\\" + mark)
    return text.replace("](", "]\\(").replace("][", "]\\[")
