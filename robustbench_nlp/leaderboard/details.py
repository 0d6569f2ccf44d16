"""What stands behind an entry on the leaderboard's page: members, costs, versions, and the commands that make and check it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from shlex import quote
from typing import Any
from urllib.parse import quote as url_quote

from robustbench_nlp.leaderboard.board import FLAGS, Line, Ranking
from robustbench_nlp.leaderboard.entry import Entry
from robustbench_nlp.leaderboard.shown import interval, number
from robustbench_nlp.report.page import Column, Row, Value, escaped, table
from robustbench_nlp.report.shown import percent

__all__ = ["anchor", "article", "flags", "tags"]


def tags(entry: Entry) -> dict[str, str]:
    """What the filters ask for; values are single words."""
    return {
        "task": _word(entry.task),
        "ensemble": _word(entry.ensemble["name"]),
        "attacker": _word(entry.ensemble["knowledge"]),
        "dataset": _word(entry.dataset["name"]),
        "victim": _word(entry.victim["name"]),
        "defense": _word(entry.defense["name"]),
        "flag": " ".join(map(_word, entry.flags)) or "none",
        "entry": anchor(entry),
    }


def _word(text: str) -> str:
    return "".join("_" if character.isspace() else character for character in text) or "_"


def anchor(entry: Entry) -> str:
    """The id of an entry's article: no two have the same."""
    name = f"{entry.task}/{entry.ensemble['name']}/{entry.name}"
    return url_quote(name, safe="").replace("%", "-")


def flags(names: Iterable[str]) -> str:
    """Marks, with what they mean where the pointer rests."""
    return "".join(
        f'<span class="flag" title="{escaped(FLAGS.get(flag, ""))}">{escaped(flag)}</span>' for flag in names
    )


def article(ranking: Ranking, line: Line, folder: Path) -> str:
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
    told = "".join(f' data-{name}="{escaped(value)}"' for name, value in tags(entry).items())
    return (
        f'<article id="{anchor(entry)}"{told}><h3>{escaped(title)}</h3>{flags(entry.flags)}{warned}<dl>{listed}</dl>'
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
        caption += "; †: the defense knows it, or the words or characters that it draws on"
    return table(f"members-{anchor(entry)}", caption, columns, rows)


def _versions(environment: Mapping[str, Any]) -> str:
    held = environment.get("packages")
    packages = [f"{name} {version}" for name, version in (held if isinstance(held, dict) else {}).items() if version]
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
