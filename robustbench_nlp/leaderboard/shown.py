"""Rankings as Markdown: what stands in a repository beside the entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from robustbench_nlp.leaderboard.board import Line, Ranking, explained
from robustbench_nlp.leaderboard.entry import Entry
from robustbench_nlp.report.shown import escaped, percent

__all__ = ["OPTIONAL", "ORDER", "costs_of", "interval", "markdown", "notes_of", "number"]

NOTES = (
    "Robust: right on the clean text and under every attack of the ensemble; intervals are 95 % Wilson.",
    "Significantly better: right on more of the same examples (McNemar's exact test, Holm over all pairs of the ranking, 5 %); "
    "entries behind equally many share a rank; ≈: can't be told from the best.",
    "A constant answer always says the most frequent class: it is perfectly robust and useless.",
    "Costs beside the undefended victim: training time, texts that its models read for a prediction (20 × 25: 20 draws of 25), time "
    "of a prediction.",
    "Claimed: the authors' own robust accuracy; ≠: outside the measured interval.",
    "?: not known.",
)
"""What a reader may need to know, a sentence or two each."""
ORDER = (
    "Rows stand by robust accuracy, ranks by tests: 1 + the number of significantly better entries. So ranks needn't rise from row to "
    "row: of two rows all but equal, one can be told from a better entry and the other can't."
)
"""Above each ranking: without it ranks of 2, 3, 2 look like a mistake."""
OPTIONAL = ("claimed %", "flags", "links")
"""Columns that are left out where no entry of a ranking has anything to say there."""
_HEADS = (
    ("rank", "--:"),
    ("victim", ":--"),
    ("defense", ":--"),
    ("flags", ":--"),
    ("robust % [95 %]", "--:"),
    ("clean %", "--:"),
    ("claimed %", "--:"),
    ("training", "--:"),
    ("texts", "--:"),
    ("time", "--:"),
)


def markdown(found: Sequence[Ranking], folder: Path) -> str:
    """A table a ranking, worst case first, and what its marks mean."""
    parts = ["# Leaderboard", ""]
    for ranking in found:
        entry = ranking.first
        parts += [f"## {escaped(ranking.title)}", ""]
        parts += [f"{escaped(entry.ensemble.get('description', ''))}", "", ORDER, "", *_table(ranking, folder), ""]
        if entry.dataset.get("note"):
            parts += [escaped(str(entry.dataset["note"])), ""]
    notes = notes_of([line.entry for ranking in found for line in ranking.lines])
    notes.append(
        "Made by `robustbench-nlp report --leaderboard`; every entry is checked by `robustbench-nlp verify ENTRY.json`."
    )
    return "\n".join([*parts, *(f"- {escaped(note) if '`' not in note else note}" for note in notes), ""])


def _table(ranking: Ranking, folder: Path) -> list[str]:
    rows = [_cells(line, folder) for line in ranking.lines]
    floor = f"{percent(ranking.floor)}"
    rows.insert(ranking.below, ["–", "*a constant answer*", "", "", floor, floor, "", "", "", ""])
    kept = [i for i, (name, _) in enumerate(_HEADS) if name not in OPTIONAL or any(row[i] for row in rows)]
    heads, marks = zip(*_HEADS, strict=True)
    return [f"| {' | '.join(cells[i] for i in kept)} |" for cells in (heads, marks, *rows)]


def _cells(line: Line, folder: Path) -> list[str]:
    entry = line.entry
    told = entry.measured
    claim = entry.claimed.get("robust_accuracy")
    claimed = "" if claim is None else percent(claim) + ("" if line.claim_holds else " ≠")
    return [
        str(line.rank),
        escaped(entry.victim["name"]),
        f"[{escaped(entry.defense['name'])}]({line.path.relative_to(folder).as_posix()})",
        escaped(", ".join(entry.flags)),
        f"{percent(told['robust_accuracy'])} {interval(told, 'robust')}{line.mark}",
        percent(told["clean_accuracy"]),
        claimed,
        *costs_of(entry.costs),
    ]


def notes_of(entries: Sequence[Entry]) -> list[str]:
    """What these entries' rankings leave to explain: of claims, unknown costs and flags only where there are any."""
    there = {
        "Claimed": any(entry.claimed.get("robust_accuracy") is not None for entry in entries),
        "?": any("?" in text for entry in entries for text in costs_of(entry.costs)),
    }
    used = {flag for entry in entries for flag in entry.flags}
    notes = [note for note in NOTES if there.get(note.partition(":")[0], True)]
    return notes + [f"{line}." for line in explained(used)]


def interval(told: Mapping[str, Any], name: str) -> str:
    """`[4.8–16.2]`."""
    return f"[{percent(told[f'{name}_low'])}–{percent(told[f'{name}_high'])}]"


def costs_of(costs: Mapping[str, Any]) -> tuple[str, str, str]:
    """Training, texts and time of a prediction, as they are read."""
    texts = number(costs.get("forwards_per_prediction"), 0)
    drawn = costs.get("draws") or 1
    trained = costs.get("train_ratio")
    return (
        "none" if trained == 0 else number(trained, 1, " ×"),
        texts if drawn == 1 else f"{drawn:.0f} × {texts}",
        number(costs.get("latency_ratio"), 1, " ×"),
    )


def number(value: float | None, digits: int, unit: str = "") -> str:
    """A number of so many digits behind the point; "?" where it isn't known."""
    return "?" if value is None else f"{value:.{digits}f}{unit}"
