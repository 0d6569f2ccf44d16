"""An entry: one JSON file with everything that a row of the leaderboard says, beside the compressed texts that it was computed from.

It lies at `<task>/<ensemble>/<victim>__<defense>.json`. Numbers are numbers, named as in table.csv: fractions in [0, 1], counts,
seconds; null where there is nothing to count.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from math import isfinite
from pathlib import Path
from typing import Any, TypeGuard

from robustbench_nlp.errors import UsageError
from robustbench_nlp.records import file_name, write_whole

__all__ = ["CLAIMS", "SCHEMA", "Entry", "entries", "entry_name", "no_addresses", "read_entry"]

SCHEMA = 1
CLAIMS = {"clean": "clean_accuracy", "robust": "robust_accuracy"}
"""What may be claimed, by its short name and its column's."""
_PARTS = {
    "ensemble": ("name", "sha256", "knowledge"),
    "dataset": ("name", "selector", "split", "fingerprint", "examples"),
    "victim": ("name", "selector", "fingerprint"),
    "defense": ("name", "selector"),
    "measured": ("n", "clean_accuracy", "robust_accuracy", "robust_low", "robust_high", "floor", "errors"),
    "texts": ("file", "sha256"),
    "benchmark": ("dataset", "victim", "seed"),
}
"""Names that must be there, by the part of an entry."""
_COUNTS = ("n", "skipped", "attempted", "successes", "errors")
_ADDRESS = re.compile(r"https?://[^\s/]\S*", re.IGNORECASE)
_RATES = ("_accuracy", "_low", "_high", "_rate", "floor")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One defended victim under one published ensemble.

    `measured` is the worst case, `members` its attacks in order, each with the columns of table.csv; `claimed` is what the
    authors said, by the same names. `comparable` is equal where two entries may stand in one ranking. `benchmark` is what
    `robustbench-nlp run` takes to make the numbers again.
    """

    schema: int = SCHEMA
    task: str
    ensemble: Mapping[str, str]
    dataset: Mapping[str, Any]
    victim: Mapping[str, str]
    defense: Mapping[str, str]
    mode: str
    comparable: str
    measured: Mapping[str, Any]
    claimed: Mapping[str, float] = field(default_factory=dict)
    members: Sequence[Mapping[str, Any]]
    costs: Mapping[str, Any] = field(default_factory=dict)
    flags: Sequence[str] = ()
    warnings: Sequence[str] = ()
    links: Sequence[str] = ()
    texts: Mapping[str, Any]
    benchmark: Mapping[str, Any]
    environment: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its file's name without the ending."""
        return entry_name(self.victim["name"], self.defense["name"])

    @property
    def place(self) -> Path:
        """Where it lies on a leaderboard."""
        return Path(self.task) / self.ensemble["name"] / f"{self.name}.json"

    @classmethod
    def of(cls, content: Any, where: str) -> Entry:
        """An entry from a file's content. Raises `UsageError` for what is missing or not known."""
        if not isinstance(content, dict) or "schema" not in content:
            raise UsageError(f"{where} is no entry of a leaderboard; robustbench-nlp submit makes them")
        if content["schema"] != SCHEMA:
            raise UsageError(
                f"{where} has schema {content['schema']}, and this release reads {SCHEMA}; use another release"
            )
        known = {f.name for f in fields(cls)}
        lacking = [name for name in sorted(known) if name not in content]
        for part, names in _PARTS.items():
            held = content.get(part)
            lacking += [f"{part}.{name}" for name in names if not isinstance(held, dict) or name not in held]
        if lacking or not content["members"]:
            raise UsageError(
                f"{where} lacks {lacking[0] if lacking else 'members'}; make it with robustbench-nlp submit"
            )
        if others := [name for name in content if name not in known]:
            raise UsageError(f"{where} has '{others[0]}', which entries don't have; take it out")
        for problem in _wrong(content):
            raise UsageError(f"{where}: {problem}")
        made = cls(**content)
        if made.texts["file"] != f"{made.name}.jsonl.gz":
            raise UsageError(f"{where}: texts.file is {made.texts['file']!r}; it must be {made.name}.jsonl.gz")
        return made

    def write(self, folder: Path) -> Path:
        """Write it where it belongs below a leaderboard's folder; its path."""
        path = folder / self.place
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(asdict(self), indent=1, allow_nan=False) + "\n")
        return path


def _wrong(content: Mapping[str, Any]) -> Iterator[str]:
    """Values of the wrong kind, a phrase each."""
    for part in ("task", "mode", "comparable"):
        if not isinstance(content[part], str):
            yield f"{part} is no text"
    for part in ("ensemble", "dataset", "victim", "defense", "texts"):
        yield from (f"{part}.{name} is no text" for name in _PARTS[part] if not isinstance(content[part][name], str))
    for part in ("flags", "warnings", "links"):
        if not isinstance(content[part], list) or not all(isinstance(item, str) for item in content[part]):
            yield f"{part} is no list of texts"
    yield from no_addresses(content["links"])
    yield from _no_numbers("measured", content["measured"])
    if content["measured"]["n"] == 0:
        yield "measured.n is no number of examples"
    claimed = content["claimed"] if isinstance(content["claimed"], dict) else {"": None}
    for name, value in claimed.items():
        if name not in CLAIMS.values() or not _fraction(value):
            yield f"claimed.{name} is no claim; known: {', '.join(CLAIMS.values())}, in [0, 1]"
    members = content["members"] if isinstance(content["members"], list) else [None]
    for number, member in enumerate(members):
        if not isinstance(member, dict) or not {"attack", "threat", "max_queries", *_COUNTS} <= member.keys():
            yield f"members[{number}] is no attack's result"
            return
        yield from _no_numbers(f"members[{number}]", member)
    costs = content["costs"] if isinstance(content["costs"], dict) else {"": ""}
    yield from (
        f"costs.{name} is no number" for name, value in costs.items() if value is not None and not _number(value)
    )
    if not isinstance(content["benchmark"]["seed"], int):
        yield "benchmark.seed is no whole number"
    if not isinstance(content["environment"], dict):
        yield "environment is no mapping"


def _no_numbers(where: str, part: Mapping[str, Any]) -> Iterator[str]:
    for name, value in part.items():
        if name in _COUNTS and (type(value) is not int or value < 0):
            yield f"{where}.{name} is {value!r}, which is no count"
        elif name.endswith(_RATES) and value is not None and not _fraction(value):
            yield f"{where}.{name} is {value!r}, which is no fraction in [0, 1]"
        elif name.endswith(("_mean", "_median", "max_queries")) and value is not None and not _number(value):
            yield f"{where}.{name} is {value!r}, which is no number"
    for name in _PARTS["measured"]:
        if name.endswith(_RATES) and part.get(name) is None:
            yield f"{where}.{name} is missing"


def no_addresses(links: Iterable[str]) -> Iterator[str]:
    """A phrase for each link that is none: pages and model cards lead where an entry's links say."""
    yield from (
        f"the link {link!r} is no web address; write https://… or http://…"
        for link in links
        if not _ADDRESS.fullmatch(link)
    )


def _number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _fraction(value: object) -> bool:
    return _number(value) and 0 <= value <= 1


def entry_name(victim: str, defense: str) -> str:
    """`tfidf_mr__spell`: the name of an entry's files without their endings."""
    return f"{file_name(victim)}__{file_name(defense)}"


def read_entry(path: Path) -> Entry:
    """Raises `UsageError` where the file is none."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as problem:
        raise UsageError(f"cannot read the entry {path}: {problem.strerror}") from problem
    except ValueError as problem:
        raise UsageError(f"{path} is no JSON: {problem}") from problem
    return Entry.of(content, str(path))


def entries(folder: Path) -> dict[Path, Entry]:
    """Every entry below a leaderboard's folder, by path. Raises `UsageError` where there is none, and for a file that isn't
    where its content belongs."""
    found = {path: read_entry(path) for path in sorted(folder.glob("*/*/*.json"))}
    if not found:
        raise UsageError(f"{folder} holds no entries; make one with robustbench-nlp submit RUN --to {folder}")
    for path, entry in found.items():
        if folder / entry.place != path:
            raise UsageError(f"{path} says that it is {entry.place}; put it there")
    return found
