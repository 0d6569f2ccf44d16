"""Records are the truth: one JSON line per example and cell, appended as it happens, each with a checksum."""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Literal, NamedTuple, Self, TypeVar

from robustbench_nlp.data.example import Input, content_hash
from robustbench_nlp.errors import UsageError
from robustbench_nlp.on_disk import Growing
from robustbench_nlp.shapes import hints_of, shape, unfit

__all__ = [
    "COST_FIELDS",
    "SCHEMA",
    "CellRecords",
    "Entry",
    "Journal",
    "Outcome",
    "Record",
    "RecordFile",
    "read",
    "read_as",
    "same_cell",
    "set_aside",
]

SCHEMA = 1
COST_FIELDS = ("seconds",)
"""What may differ between two runs of the same cell."""

Outcome = Literal["success", "failed", "skipped", "settled", "error"]
_MARK = ', "checksum": "'


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What one attack did to one example.

    Outputs are class probabilities in the victim's label order; `margin` is p(label) − the best other class on the
    final text, by the referee where it judged; numbers that don't apply are None. `forwards` counts the distinct texts
    that were predicted, `seconds` its share of the
    wall time of the rounds that it took part in.
    """

    schema: int = SCHEMA
    example_id: str
    label: int
    original: Input
    adversarial: Input | None = None
    clean_output: list[float] | None = None
    adversarial_output: list[float] | None = None
    clean_prediction: int | None = None
    adversarial_prediction: int | None = None
    outcome: Outcome
    winner: str | None = None
    error: str | None = None
    queries: int = 0
    forwards: int = 0
    helper_calls: int = 0
    first_success_query: int | None = None
    margin: float | None = None
    words_changed: int | None = None
    words_total: int | None = None
    edits_chars: int | None = None
    similarity: float | None = None
    truncated: bool = False
    rejected_successes: int = 0
    seconds: float = 0.0
    seed: int = 0

    @property
    def clean_right(self) -> bool:
        """Whether the clean text is classified right: what an earlier member of a cascade settled was, with no prediction here."""
        return self.clean_prediction == self.label if self.outcome == "error" else self.outcome != "skipped"


_FIELDS = shape(hints_of(Record))
_HEADER = shape({"fingerprint": str, "spec": dict})
Entry = TypeVar("Entry")
"""A dataclass of JSON-able values with an `example_id`."""


class CellRecords(NamedTuple, Generic[Entry]):
    """One cell's file: its header, its records by example id (the last line of an example counts), its sound length.

    The records of a long file stay in it, and are read whenever they are looked at.
    """

    header: dict[str, Any]
    records: Mapping[str, Entry]
    sound_bytes: int


def _line(content: Mapping[str, Any]) -> bytes:
    body = json.dumps(content)
    return f'{body[:-1]}{_MARK}{zlib.crc32(body.encode("ascii")):08x}"}}\n'.encode("ascii")


def _content(line: bytes) -> dict[str, Any] | None:
    """The content of a sound line, else None."""
    body, mark, checksum = line.decode("ascii", "replace").rpartition(_MARK)
    body += "}"
    if not mark or checksum != f'{zlib.crc32(body.encode("ascii", "replace")):08x}"}}\n':
        return None
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):  # whoever wrote the checksum wrote this
        return None
    return content if isinstance(content, dict) else None


def _record(content: dict[str, Any]) -> Record:
    """Raises `ValueError` for what is no record."""
    _tuples(content)
    if wrong := unfit(content, _FIELDS):
        raise ValueError(wrong)
    return _known(content)


def _tuples(content: dict[str, Any]) -> None:
    """Texts of several fields, which JSON has as lists."""
    for name in ("original", "adversarial"):
        if isinstance(content.get(name), list):
            content[name] = tuple(content[name])


def _known(content: dict[str, Any]) -> Record:
    """The record of a line that was looked at, or written, before."""
    _tuples(content)
    if len(content) > len(_FIELDS):  # a later release's
        content = {name: value for name, value in content.items() if name in _FIELDS}
    return Record(**content)


def read(path: Path) -> CellRecords[Record] | None:
    """`read_as` for the records of attacks."""
    return read_as(path, _record, _known)


Parse = Callable[[dict[str, Any]], Entry]


def read_as(path: Path, parse: Parse[Entry], known: Parse[Entry] | None = None) -> CellRecords[Entry] | None:
    """Read a cell's file; None where not even the header is whole. A torn last line is left out. `parse` makes a record of what a
    line holds; `known`, where there is one, does so without looking whether it is one.

    Raises `UsageError` for a damaged line before the last one: that is no crash but a changed file; and for a sound line that holds
    no record.
    """
    found = _gathered(path, parse, known)
    return None if found is None else CellRecords(found[0], found[1].entries, found[2])


def _growing(path: Path, known: Parse[Entry]) -> Growing[Entry]:
    def again(line: bytes) -> Entry:
        content = json.loads(line.decode("ascii"))
        del content["checksum"]
        return known(content)

    return Growing(path, again, lambda entry: str(entry.example_id))  # type: ignore[attr-defined]


def _gathered(
    path: Path, parse: Parse[Entry], known: Parse[Entry] | None
) -> tuple[dict[str, Any], Growing[Entry], int] | None:
    """What `read_as` reads: header, records and sound length."""
    header: dict[str, Any] | None = None
    records = _growing(path, known or parse)
    sound = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            content = _content(line)
            if content is None:
                if file.read(1):
                    raise UsageError(f"{path}, line {number}: damaged (checksum); restore it or use another --output")
                break
            try:
                if header is None:
                    header = _header(content)
                else:
                    identity = content["example_id"]
                    records.add(identity, parse(content), sound, len(line))
            except (ValueError, KeyError, TypeError) as problem:
                told = f"it has no {problem}" if isinstance(problem, KeyError) else problem
                raise UsageError(f"{path}, line {number}: no record of this release ({told})") from problem
            sound += len(line)
    return None if header is None else (header, records, sound)


def _header(content: dict[str, Any]) -> dict[str, Any]:
    """Raises `ValueError` for what is no header."""
    if wrong := unfit(content, _HEADER):
        raise ValueError(wrong)
    return content


class Journal(Generic[Entry]):
    """Appends a cell's records; every line is with the operating system when `append` returns. `parse` and `known` as in
    `read_as`."""

    def __init__(
        self,
        path: Path,
        header: Mapping[str, Any],
        parse: Parse[Entry],
        known: Parse[Entry] | None = None,
        *,
        resume: bool = True,
    ) -> None:
        """Open for appending: a sound file of the same fingerprint goes on, its torn tail is cut off.

        Raises `UsageError` where the file belongs to another cell. Without `resume` an older file is set aside, not lost.
        """
        self.path = path
        self._records = _growing(path, known or parse)
        self._end = 0
        old = _gathered(path, parse, known) if path.exists() and resume else None
        if old is not None:
            same_cell(path, old[0], header)
            _, self._records, self._end = old
        elif path.exists():
            set_aside(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")
        if old is not None:
            self._file.truncate(self._end)
        else:
            self._write(header)

    @property
    def records(self) -> Mapping[str, Entry]:
        """What is on record until now, by example id."""
        return self._records.entries

    def append(self, record: Entry) -> None:
        content = {field.name: getattr(record, field.name) for field in fields(record)}  # type: ignore[arg-type]
        size = self._write(content)
        self._records.add(content["example_id"], record, self._end - size, size)

    def _write(self, content: Mapping[str, Any]) -> int:
        """The length of the line."""
        line = _line(content)
        self._file.write(line)
        self._file.flush()
        self._end += len(line)
        return len(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


class RecordFile(Journal[Record]):
    """The journal of an attack's cell."""

    def __init__(self, path: Path, header: Mapping[str, Any], *, resume: bool = True) -> None:
        """Open for appending, as `Journal` does."""
        super().__init__(path, header, _record, _known, resume=resume)


def same_cell(path: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raise `UsageError` where a file's header is another cell's than the one to be recorded, with the settings that differ."""
    if old.get("fingerprint") == new["fingerprint"]:
        return
    before, after = old.get("spec", {}), new["spec"]
    differs = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
    raise UsageError(
        f"{path} was recorded with another {', '.join(differs) or 'schema'}; choose another --output, "
        "or --no-resume to set it aside and start again"
    )


def set_aside(path: Path) -> None:
    """Give the file a name beside its own, so that a new one takes its place."""
    number = 1
    while (aside := path.with_name(f"{path.name}.old{number}")).exists():
        number += 1
    path.rename(aside)


def file_name(name: str) -> str:
    """A name as a file name; what had to be replaced is told apart by a short hash."""
    safe = re.sub(r"[^\w+.-]+", "-", name, flags=re.ASCII).strip("-")
    return safe if safe == name else f"{safe[:80]}-{content_hash(name)[:6]}"


def write_whole(path: Path, content: str | bytes | Iterable[str]) -> None:
    """Write a file whole or not at all; parts one after the other."""
    scratch = path.with_name(f".{path.name}.part")
    try:
        with scratch.open("wb") as file:
            for part in [content] if isinstance(content, str | bytes) else content:
                file.write(part.encode("utf-8", "backslashreplace") if isinstance(part, str) else part)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    os.replace(scratch, path)
