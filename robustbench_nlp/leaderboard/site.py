"""The leaderboard as one web page: rankings with intervals and floors, filters, and what stands behind each entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from robustbench_nlp.leaderboard.board import Line, Ranking
from robustbench_nlp.leaderboard.details import anchor, article, flags, tags
from robustbench_nlp.leaderboard.shown import OPTIONAL, ORDER, costs_of, interval, notes_of, number
from robustbench_nlp.report.page import Column, Row, Value, escaped, page, section, table
from robustbench_nlp.report.shown import percent

__all__ = ["site"]

COLUMNS = (
    Column("rank", number=True, low=True, about="1 + the number of significantly better entries"),
    Column("victim"),
    Column("defense"),
    Column("flags"),
    Column("robust %", number=True, about="right on the clean text and under every attack, with its 95 % interval"),
    Column("0 to 100 %", number=True, about="robust accuracy with its interval, a constant answer, clean accuracy"),
    Column("clean %", number=True, about="right without an attack"),
    Column("claimed %", number=True, about="the authors' own robust accuracy"),
    Column("queries", number=True, about="that the attacks spent on an example, on average"),
    Column("training", number=True, low=True, about="time beside the victim's own training"),
    Column("texts", number=True, low=True, about="that the models read for one prediction"),
    Column("time", number=True, low=True, about="of a prediction, beside the undefended victim's"),
    Column("links"),
)
FILTERS = {
    "task": "task",
    "ensemble": "ensemble",
    "attacker": "threat: attacker sees",
    "dataset": "data set",
    "victim": "victim",
    "defense": "defense",
    "flag": "flag",
}
"""What rows can be filtered by, with labels."""


def site(found: Sequence[Ranking], folder: Path) -> str:
    """The page; links go to the entries' files by their places below `folder`, where it should lie."""
    names = {f"ranking-{number}": ranking for number, ranking in enumerate(found, 1)}
    entries = [(ranking, line) for ranking in found for line in ranking.lines]
    links = {name: ranking.title for name, ranking in names.items()}
    body = [
        _controls(entries),
        '<p id="none" class="warnings" hidden>No entry has all of these; choose others.</p>',
        *(_ranking(name, ranking) for name, ranking in names.items()),
        section("reading", "How to read it", _notes(entries)),
        section("entries", "Entries", "\n".join(article(ranking, line, folder) for ranking, line in entries)),
    ]
    here = files(__package__)
    return page(
        "Leaderboard of adversarial robustness",
        "\n".join(body),
        links={**links, "reading": "How to read it", "entries": "Entries"},
        styles=[(here / "board.css").read_text("utf-8")],
        scripts=[(here / "board.js").read_text("utf-8")],
    )


def _controls(entries: Sequence[tuple[Ranking, Line]]) -> str:
    """A choice for each thing in which entries may differ."""
    choices = []
    for name, label in FILTERS.items():
        values = sorted({word for _, line in entries for word in tags(line.entry)[name].split()})
        options = "".join(f"<option>{escaped(value)}</option>" for value in values)
        choices.append(
            f'<label>{label}<select data-board="{name}"><option value="">all</option>{options}</select></label>'
        )
    return f'<div class="controls" role="search" aria-label="Filters">{"".join(choices)}</div>'


def _ranking(name: str, ranking: Ranking) -> str:
    entry = ranking.first
    rows = [_row(ranking, line) for line in ranking.lines]
    rows.insert(ranking.below, _constant(ranking))
    kept = [
        i
        for i, column in enumerate(COLUMNS)
        if column.name not in OPTIONAL or any(_filled(row.values[i]) for row in rows)
    ]
    rows = [replace(row, values=[row.values[i] for i in kept]) for row in rows]
    told = [entry.ensemble.get("description", ""), entry.dataset.get("note") or "", ORDER]
    about = "".join(f'<p class="muted">{escaped(text)}</p>' for text in told if text)
    caption = f"{ranking.title}; a constant answer scores {percent(ranking.floor)} %."
    return section(name, ranking.title, about + table(f"{name}-table", caption, [COLUMNS[i] for i in kept], rows))


def _filled(value: Value) -> bool:
    return bool(value.text or value.markup)


def _row(ranking: Ranking, line: Line) -> Row:
    entry, told = line.entry, line.entry.measured
    claim = entry.claimed.get("robust_accuracy")
    claimed = "" if claim is None else percent(claim) + ("" if line.claim_holds else " ≠")
    training, texts, time = costs_of(entry.costs)
    name = f'<span class="unseen">, {escaped(entry.victim["name"])}, {escaped(entry.defense["name"])}</span>'
    return Row(
        (
            Value(str(line.rank), line.rank, f"{line.rank}{name}"),
            Value(entry.victim["name"]),
            Value("", None, f'<a href="#{anchor(entry)}">{_breaking(entry.defense["name"])}</a>'),
            Value("", None, flags(entry.flags)),
            Value(f"{percent(told['robust_accuracy'])} {interval(told, 'robust')}{line.mark}", told["robust_accuracy"]),
            Value("", told["robust_accuracy"], _drawn(told)),
            Value(percent(told["clean_accuracy"]), told["clean_accuracy"]),
            Value(claimed, claim),
            Value(number(told.get("queries_mean"), 1), told.get("queries_mean")),
            Value(training, entry.costs.get("train_ratio")),
            Value(texts, _texts(entry.costs)),
            Value(time, entry.costs.get("latency_ratio")),
            Value("", None, _links(entry.links)),
        ),
        tags=tags(entry),
    )


def _breaking(name: str) -> str:
    """A defense's name, which may go on in another line from part to part."""
    return escaped(name).replace("_", "_<wbr>").replace("+", "+<wbr>").replace("(", "<wbr>(")


def _texts(costs: Mapping[str, Any]) -> float | None:
    """Texts of one judged answer: each of a random victim's draws reads its own."""
    texts = costs.get("forwards_per_prediction")
    return None if texts is None else float(texts) * float(costs.get("draws") or 1)


def _constant(ranking: Ranking) -> Row:
    """What a victim would score that always says the most frequent class."""
    floor, blank = percent(ranking.floor), Value("")
    cells = (
        Value("–"),
        Value("a constant answer"),
        blank,
        blank,
        Value(floor, ranking.floor),
        blank,
        Value(floor, ranking.floor),
    )
    return Row((*cells, *[blank] * (len(COLUMNS) - len(cells))), tags={"constant": "1"})


def _drawn(told: Mapping[str, Any]) -> str:
    """The interval, the floor and the clean accuracy on a line from 0 to 100 %."""

    def x(share: float) -> str:
        return f"{6 + 188 * share:.1f}"

    low, point, high, floor, clean = (
        told[name] for name in ("robust_low", "robust_accuracy", "robust_high", "floor", "clean_accuracy")
    )
    label = f"robust {percent(point)} %, constant answer {percent(floor)} %, clean {percent(clean)} %"
    return (
        f'<svg class="interval" viewBox="0 0 200 20" role="img" aria-label="{escaped(label)}">'
        f'<line class="axis" x1="6" x2="194" y1="10" y2="10"/>'
        f'<line class="floor" x1="{x(floor)}" x2="{x(floor)}" y1="1" y2="19"/>'
        f'<circle class="clean" cx="{x(clean)}" cy="10" r="4.5"/>'
        f'<line class="reach" x1="{x(low)}" x2="{x(high)}" y1="10" y2="10"/>'
        f'<circle class="point" cx="{x(point)}" cy="10" r="4"/></svg>'
    )


def _links(links: Sequence[str]) -> str:
    """By their numbers; `Entry` lets web addresses in alone."""
    return " ".join(
        f'<a href="{escaped(link)}" rel="nofollow noopener">link {i}</a>' for i, link in enumerate(links, 1)
    )


def _notes(entries: Sequence[tuple[Ranking, Line]]) -> str:
    keys = (
        (
            '<line class="reach" x1="1" x2="39" y1="10" y2="10"/><circle class="point" cx="20" cy="10" r="4"/>',
            "robust, with its interval",
        ),
        ('<line class="floor" x1="20" x2="20" y1="1" y2="19"/>', "a constant answer"),
        ('<circle class="clean" cx="20" cy="10" r="4.5"/>', "clean"),
    )
    legend = "".join(
        f'<span class="key"><svg class="interval" viewBox="0 0 40 20" aria-hidden="true">{mark}</svg>{text}</span>'
        for mark, text in keys
    )
    notes = notes_of([line.entry for _, line in entries])
    return f'<p>{legend}</p><ul class="notes">{"".join(f"<li>{escaped(note)}</li>" for note in notes)}</ul>'
