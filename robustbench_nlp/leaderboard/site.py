"""The leaderboard as one web page: rankings with intervals and floors, filters, and what stands behind each entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from shlex import quote
from typing import Any
from urllib.parse import quote as url_quote

from robustbench_nlp.leaderboard.board import FLAGS, Line, Ranking
from robustbench_nlp.leaderboard.entry import Entry
from robustbench_nlp.leaderboard.shown import NOTES, costs_of, interval, number
from robustbench_nlp.report.page import Column, Row, Value, escaped, page, section, table
from robustbench_nlp.report.shown import percent

__all__ = ["site"]

COLUMNS = (
    Column("rank", number=True, low=True, about="1 + the number of significantly better entries"),
    Column("victim"),
    Column("defense"),
    Column("robust %", number=True, about="right on the clean text and under every attack, with its 95 % interval"),
    Column("0 to 100 %", number=True, about="robust accuracy with its interval, a constant answer, clean accuracy"),
    Column("clean %", number=True, about="right without an attack"),
    Column("claimed %", number=True, about="the authors' own robust accuracy"),
    Column("queries", number=True, about="that the attacks spent on an example, on average"),
    Column("training", number=True, low=True, about="time beside the victim's own training"),
    Column("texts", number=True, low=True, about="that the models read for one prediction"),
    Column("time", number=True, low=True, about="of a prediction, beside the undefended victim's"),
    Column("flags"),
    Column("links"),
)
OPTIONAL = ("claimed %", "flags", "links")
"""Columns that are left out where no entry of a ranking has anything to say there."""
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
        section("entries", "Entries", "\n".join(_article(ranking, line, folder) for ranking, line in entries)),
    ]
    here = files(__package__)
    return page(
        "Leaderboard of adversarial robustness",
        "\n".join(body),
        links={**links, "reading": "How to read it", "entries": "Entries"},
        styles=[(here / "board.css").read_text("utf-8")],
        scripts=[(here / "board.js").read_text("utf-8")],
    )


def _tags(entry: Entry) -> dict[str, str]:
    """What the filters ask for; values are single words."""
    return {
        "task": _word(entry.task),
        "ensemble": _word(entry.ensemble["name"]),
        "attacker": _word(entry.ensemble["knowledge"]),
        "dataset": _word(entry.dataset["name"]),
        "victim": _word(entry.victim["name"]),
        "defense": _word(entry.defense["name"]),
        "flag": " ".join(map(_word, entry.flags)) or "none",
        "entry": _anchor(entry),
    }


def _word(text: str) -> str:
    return "".join("_" if character.isspace() else character for character in text) or "_"


def _anchor(entry: Entry) -> str:
    return url_quote(f"{entry.task}/{entry.ensemble['name']}/{entry.name}/{entry.comparable}", safe="").replace(
        "%", "-"
    )


def _controls(entries: Sequence[tuple[Ranking, Line]]) -> str:
    """A choice for each thing in which entries may differ."""
    choices = []
    for name, label in FILTERS.items():
        values = sorted({word for _, line in entries for word in _tags(line.entry)[name].split()})
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
    told = [entry.ensemble.get("description", ""), entry.dataset.get("note") or ""]
    about = "".join(f'<p class="muted">{escaped(text)}</p>' for text in told if text)
    caption = f"{ranking.title}; a constant answer scores {percent(ranking.floor)} %."
    made = section(name, ranking.title, about + table(f"{name}-table", caption, [COLUMNS[i] for i in kept], rows))
    return made.replace("<section ", "<section data-ranking ", 1).replace(' data-constant="1"', ' class="constant"', 1)


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
            Value("", None, f'<a href="#{_anchor(entry)}">{escaped(entry.defense["name"])}</a>'),
            Value(f"{percent(told['robust_accuracy'])} {interval(told, 'robust')}", told["robust_accuracy"]),
            Value("", told["robust_accuracy"], _drawn(told)),
            Value(percent(told["clean_accuracy"]), told["clean_accuracy"]),
            Value(claimed, claim),
            Value(number(told.get("queries_mean"), 1), told.get("queries_mean")),
            Value(training, entry.costs.get("train_ratio")),
            Value(texts, _texts(entry.costs)),
            Value(time, entry.costs.get("latency_ratio")),
            Value("", None, _flags(entry.flags)),
            Value("", None, _links(entry.links)),
        ),
        tags=_tags(entry),
    )


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


def _flags(flags: Iterable[str]) -> str:
    return "".join(
        f'<span class="flag" title="{escaped(FLAGS.get(flag, ""))}">{escaped(flag)}</span>' for flag in flags
    )


def _links(links: Sequence[str]) -> str:
    """Only web addresses become links."""
    made = []
    for i, link in enumerate(links, 1):
        safe = link.startswith(("https://", "http://"))
        made.append(f'<a href="{escaped(link)}" rel="nofollow noopener">link {i}</a>' if safe else escaped(link))
    return " ".join(made)


def _notes(entries: Sequence[tuple[Ranking, Line]]) -> str:
    used = {flag for _, line in entries for flag in line.entry.flags}
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
    notes = [*NOTES, *(f"{name}: {told}." for name, told in FLAGS.items() if name in used)]
    return f'<p>{legend}</p><ul class="notes">{"".join(f"<li>{escaped(note)}</li>" for note in notes)}</ul>'


def _article(ranking: Ranking, line: Line, folder: Path) -> str:
    """What stands behind an entry: its members, costs, versions, and the commands that make and check it."""
    entry = line.entry
    title = f"{entry.victim['name']}, {entry.defense['name']}: {ranking.title}"
    place = line.path.relative_to(folder).as_posix()
    facts = {
        "robust": f"{percent(entry.measured['robust_accuracy'])} % {interval(entry.measured, 'robust')}",
        "clean": f"{percent(entry.measured['clean_accuracy'])} % {interval(entry.measured, 'clean')}",
        "significantly better": ", ".join(line.better) or "none",
        "victim": f"{entry.victim['selector']}, fingerprint {entry.victim['fingerprint']}",
        "data set": f"{entry.dataset['selector']}, fingerprint {entry.dataset['fingerprint']}, licence {entry.dataset.get('licence') or 'unknown'}",
        "ensemble": f"{entry.ensemble['name']}, sha256 {entry.ensemble['sha256'][:16]}…",
        "made with": _versions(entry.environment),
    }
    listed = "".join(f"<dt>{escaped(name)}</dt><dd>{escaped(text)}</dd>" for name, text in facts.items())
    listed += f'<dt>files</dt><dd><a href="{escaped(url_quote(place))}">entry</a> '
    listed += (
        f'<a href="{escaped(url_quote(str(Path(place).with_name(entry.texts["file"]).as_posix())))}">texts</a></dd>'
    )
    warned = "".join(f"<li>{escaped(warning)}</li>" for warning in entry.warnings)
    warned = f'<div class="warnings"><ul>{warned}</ul></div>' if warned else ""
    tags = "".join(f' data-{name}="{escaped(value)}"' for name, value in _tags(entry).items())
    return (
        f'<article id="{_anchor(entry)}"{tags}><h3>{escaped(title)}</h3>{_flags(entry.flags)}{warned}<dl>{listed}</dl>'
        f"{_members(entry)}<pre>{escaped(_command(entry))}\nrobustbench-nlp verify {escaped(quote(place))}</pre></article>"
    )


def _members(entry: Entry) -> str:
    """The attacks one by one; in a cascade each met only what those before it left."""
    cascade = entry.mode == "cascade"
    columns = (
        Column("attack"),
        Column("threat"),
        Column("budget", number=True),
        Column("left %" if cascade else "robust %", number=True),
        Column("broke", number=True),
        Column("met", number=True),
        Column("queries", number=True),
    )
    rows = [
        Row(
            (
                Value(f"{member['attack']}{' †' if member.get('known') else ''}"),
                Value(str(member["threat"])),
                Value("-" if member["max_queries"] is None else str(member["max_queries"]), member["max_queries"]),
                Value(percent(member["robust_accuracy"]), member["robust_accuracy"]),
                Value(str(member["successes"]), member["successes"]),
                Value(str(member["attempted"]), member["attempted"]),
                Value(number(member.get("queries_mean"), 1), member.get("queries_mean")),
            )
        )
        for member in entry.members
    ]
    caption = "The attacks in order" + (
        "; each met what those before it left" if cascade else ", each on every example"
    )
    if any(member.get("known") for member in entry.members):
        caption += "; †: the defense learned from it, or from the words that it draws on"
    return table(f"members-{_anchor(entry)}", caption, columns, rows)


def _versions(environment: Mapping[str, Any]) -> str:
    packages = [f"{name} {version}" for name, version in (environment.get("packages") or {}).items() if version]
    commit = [f"commit {environment['commit']}"] if environment.get("commit") else []
    return ", ".join([f"Python {environment.get('python', '?')}", *packages, *commit])


def _command(entry: Entry) -> str:
    """The command that makes the entry's numbers again."""
    told = entry.benchmark
    words = ["robustbench-nlp", "run", "--dataset", entry.dataset["selector"], "--victim", entry.victim["selector"]]
    words += ["--defenses", entry.defense["selector"], "--attacks", f"worst-case:{entry.ensemble['name']}"]
    defaults = {"split": "test", "limit": None, "seed": 0, "train": None, "draws": 20, "label_map": None}
    for name, default in defaults.items():
        value = told.get(name)
        if value not in (default, None):
            shown = ",".join(f"{a}={b}" for a, b in value.items()) if isinstance(value, dict) else str(value)
            words += [f"--{name.replace('_', '-')}", shown]
    return " ".join(map(quote, words))
