"""The texts behind an entry: JSON lines in a gzip file, one a member and example, the same bytes for the same records.

Data sets are seldom ours to publish, so a text is written as edits of its original, `[field, start, end, new]` in code points of the
original's field: whoever has the data set has the texts. Whole texts are written where the publisher may.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from rapidfuzz.distance import Levenshtein

from robustbench_nlp.archives import gunzipped
from robustbench_nlp.data.example import Example, Input
from robustbench_nlp.errors import UsageError
from robustbench_nlp.recorded import Cell
from robustbench_nlp.records import Record

__all__ = ["applied", "compressed", "digest", "edits", "lines_of", "packed", "uncompressed", "unpacked", "verdicts"]

Edit = tuple[int, int, int, str]
LEFT_OUT = ("schema", "example_id", "original", "adversarial", "adversarial_output", "seconds", "seed")
"""What a line doesn't repeat: the data set, the header and the machine know it."""
_DEFAULTS = {f.name: f.default for f in fields(Record) if f.default is not MISSING}


def edits(original: Input, text: Input) -> list[Edit]:
    """What makes `text` of `original`, from left to right."""
    pairs = zip(_parts(original), _parts(text), strict=True)
    return [
        (number, block.src_start, block.src_end, after[block.dest_start : block.dest_end])
        for number, (before, after) in enumerate(pairs)
        for block in Levenshtein.opcodes(before, after)
        if block.tag != "equal"
    ]


def applied(original: Input, changes: Sequence[Sequence[Any]]) -> Input:
    """The text that the edits make. Raises `ValueError` for edits that don't fit the original."""
    parts = list(_parts(original))
    for number, start, end, new in reversed(changes):
        before = parts[number]
        if not 0 <= start <= end <= len(before) or not isinstance(new, str):
            raise ValueError(f"the edit {[number, start, end, new]} does not fit the original")
        parts[number] = before[:start] + new + before[end:]
    return parts[0] if isinstance(original, str) else tuple(parts)


def _parts(text: Input) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else text


def packed(cells: Sequence[Cell], *, whole: bool = False) -> bytes:
    """The lines of the members' cells, uncompressed: each member's header, then its records in the order of their ids."""
    lines: list[Mapping[str, Any]] = []
    for cell in cells:
        member = str(cell.header["attack"])
        header = {name: value for name, value in cell.header.items() if name not in ("environment", "seconds")}
        lines.append({"member": member, "header": header})
        lines += [_line(member, cell.records[identity], whole=whole) for identity in sorted(cell.records)]
    return "".join(json.dumps(line) + "\n" for line in lines).encode("ascii")


def _line(member: str, record: Record, *, whole: bool) -> dict[str, Any]:
    told = {
        name: value
        for name, value in asdict(record).items()
        if name not in LEFT_OUT and not (name in _DEFAULTS and value == _DEFAULTS[name])
    }
    text: dict[str, Any] = {}
    if record.adversarial is not None:
        text = {"adversarial": record.adversarial} if whole else {"edits": edits(record.original, record.adversarial)}
    return {"member": member, "id": record.example_id, **told, **text}


def compressed(content: bytes) -> bytes:
    """Without a date, so that the same lines give the same file."""
    return gzip.compress(content, 9, mtime=0)


def uncompressed(path: Path) -> bytes:
    """Raises `UsageError` where the file is missing or damaged, or unpacks to more than texts come to."""
    try:
        return gunzipped(path)
    except FileNotFoundError as problem:
        raise UsageError(f"the texts {path.name} are missing beside the entry") from problem
    except OSError as problem:
        raise UsageError(f"the texts {path.name} are damaged: {problem}") from problem


def digest(content: bytes) -> str:
    """The SHA-256 sum of the uncompressed lines: `gunzip -c FILE | sha256sum`."""
    return sha256(content).hexdigest()


def lines_of(content: bytes) -> Iterator[dict[str, Any]]:
    """Each line's content. Raises `UsageError` for a line that is no object."""
    for number, line in enumerate(content.splitlines(), 1):
        try:
            told = json.loads(line)
            if not isinstance(told, dict) or not isinstance(told["member"], str):
                raise ValueError("it names no member")
        except (ValueError, KeyError, RecursionError) as problem:
            raise UsageError(f"line {number} of the texts cannot be read: {problem}") from problem
        yield told


def unpacked(content: bytes, examples: Mapping[str, Example], seed: int) -> dict[str, Cell]:
    """The members' cells with the data set's texts, by member. An example that isn't in the data set has an empty original.

    Raises `UsageError` for lines that can't be read.
    """
    headers: dict[str, dict[str, Any]] = {}
    records: dict[str, dict[str, Record]] = {}
    for told in lines_of(content):
        member = told.pop("member")
        if "header" in told:
            headers[member], records[member] = told["header"], {}
            continue
        if member not in records:
            raise UsageError(f"the texts have records of {member} before its header")
        try:
            record = _record(told, examples, seed)
        except (KeyError, TypeError, ValueError, IndexError) as problem:
            raise UsageError(f"the texts of {member}, example {told.get('id')}: {problem}") from problem
        if record.example_id in records[member]:
            raise UsageError(f"the texts of {member} have example {record.example_id} twice")
        records[member][record.example_id] = record
    return {member: Cell(headers[member], records[member]) for member in headers}


def _record(told: Mapping[str, Any], examples: Mapping[str, Example], seed: int) -> Record:
    values = {name: value for name, value in told.items() if name not in ("id", "edits", "adversarial")}
    example = examples.get(told["id"])
    original: Input = "" if example is None else example.input
    text: Any = told.get("adversarial")
    if isinstance(text, list):
        text = tuple(text)
    if "edits" in told and example is not None:
        text = applied(original, told["edits"])
    return Record(example_id=told["id"], original=original, adversarial=text, seed=seed, **values)


def verdicts(content: bytes) -> dict[str, bool]:
    """Whether each example is right on the clean text and under every member, from the lines alone."""
    found: dict[str, bool] = {}
    for told in lines_of(content):
        if "header" not in told:
            found[told["id"]] = found.get(told["id"], True) and told.get("outcome") == "failed"
    return found
