"""Rows with named cells become a dataset: shared by files, the hub, and pairs written in a script."""

from __future__ import annotations

from array import array
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from io import BytesIO, TextIOWrapper
from numbers import Integral
from pathlib import Path
from typing import BinaryIO, NamedTuple, TextIO

import numpy as np

from robustbench_nlp import on_disk
from robustbench_nlp.data.example import Dataset, Example, Stored
from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.on_disk import Numbers, Spool, packed, unpacked

__all__ = ["Columns", "Row", "Table", "from_pairs", "open_utf8", "to_dataset"]

LAYOUTS = (
    ("text",),
    ("sentence",),
    ("premise", "hypothesis"),
    ("question", "context"),
    ("sentence1", "sentence2"),
    ("question1", "question2"),
)
"""The input columns looked for, the first layout that is there in full; a single column becomes the field `text`."""

PIECE = 1 << 20
"""The bytes of a file that are looked at together."""
MOST_CLASSES = 1000
"""Integer labels from 0 to below this are class numbers, so that a file with only 1s in it keeps class 1."""


class Row(NamedTuple):
    """One row: where it stands ("line 7"), for messages, and its cells."""

    place: str
    cells: Mapping[str, object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Rows of one file or split. `kind` is the dataset source, `origin` what follows its colon on the command line."""

    kind: str
    origin: str
    name: str
    columns: Sequence[str]
    rows: Iterable[Row]


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """Which columns hold what. `text` is one column or several (the fields, in order), () looks for the usual `LAYOUTS`;
    `label_names` fixes the classes and their order, else they are the labels found."""

    text: str | Sequence[str] = ()
    label: str = "label"
    label_names: Sequence[str] = ()

    def __post_init__(self) -> None:
        text = [self.text] if isinstance(self.text, str) else self.text
        label_names = None if isinstance(self.label_names, str) else self.label_names
        for setting, names in (("text", text), ("label", [self.label]), ("label_names", label_names)):
            if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
                raise UsageError(
                    f"the setting {setting}={getattr(self, setting)!r} cannot be used; "
                    "write text='COLUMN' or text=('COLUMN','COLUMN'), label='COLUMN', label_names=('NAME','NAME')"
                )


def to_dataset(
    table: Table, columns: Columns, *, split: str, licence: str = "unknown", source: str = "", note: str = ""
) -> Dataset:
    """The table as a dataset. A row that repeats an input is left out, and `note` says how many were.

    Raises `UsageError` for a missing column, an empty table, a cell that is no text, a missing or unknown label.
    """
    fields = _field_columns(table, columns)
    spool, keys, codes = Spool(), array("Q"), array("i")
    found: dict[str, int] = {}
    with closing(spool):
        for place, cells in table.rows:
            where = f"{table.origin}, {place}"
            texts = {field: _text(cells.get(column), column, where) for field, column in fields.items()}
            label = _label(cells.get(columns.label), columns.label, where)
            keys.append(int(Example(fields=texts, label=0).id, 16))
            codes.append(found.setdefault(label, len(found)))
            spool.add(packed([place, *map(str, texts.values())]))
        if not keys:
            raise UsageError(f"{table.origin} has no rows; add at least one example with its label")
        rows = spool.lines(unpacked)
    distinct, first = np.unique(np.array(keys, np.uint64), return_index=True)
    repeats = len(keys) - len(distinct)
    used = np.array(codes, np.int32)
    names, numbers = _numbered(
        list(found), used, np.sort(first), columns.label_names, lambda row: f"{table.origin}, {rows[row][0]}"
    )
    texts_only = rows.taken(first).parsed(lambda line: unpacked(line)[1:])
    stored = Stored(tuple(fields), distinct, numbers[used[first]], texts_only)
    examples = stored if len(stored) > on_disk.KEPT else tuple(stored)
    if repeats:
        note = f"{note} {repeats} rows repeat an input and are left out.".strip()
    return Dataset(
        name=table.name,
        split=split,
        examples=examples,
        label_names=names,
        licence=licence,
        source=source or f"{table.kind}:{table.origin}",
        note=note,
        fields=tuple(fields),
    )


def from_pairs(
    pairs: Sequence[tuple[str | tuple[str, ...], int | str]],
    name: str = "pairs",
    class_names: Sequence[str] = (),
) -> Dataset:
    """A dataset from (input, label) pairs, for tests and scripts; a tuple input has the fields `text1`, `text2`, ….

    String labels are names, in sorted order. Integer labels are class numbers: of `class_names` where there are any
    (a victim's, say), else named "0", "1", ….
    """
    if class_names and all(isinstance(label, Integral) and 0 <= label < len(class_names) for _, label in pairs):
        pairs = [(given, class_names[int(label)]) for given, label in pairs]
    else:
        class_names = ()
    first = pairs[0][0] if pairs else ""
    fields = [f"text{i}" for i in range(1, len(first) + 1)] if isinstance(first, tuple) else ["text"]
    rows = []
    for number, (given, label) in enumerate(pairs, 1):
        texts = given if isinstance(given, tuple) else (given,)
        if len(texts) != len(fields):
            raise UsageError(
                f"{name}, pair {number} has {len(texts)} texts where the first has {len(fields)}; give as many"
            )
        rows.append(Row(f"pair {number}", {**dict(zip(fields, texts, strict=True)), "label": label}))
    table = Table(kind="python", origin=name, name=name, columns=[*fields, "label"], rows=rows)
    columns = Columns(text=fields, label_names=tuple(class_names))
    return to_dataset(table, columns, split="all", source="pairs given in Python")


@contextmanager
def open_utf8(path: str, kind: str, *, newline: str) -> Iterator[TextIO]:
    """A file to read, and to read again, without its byte order mark. Raises `UsageError` where it can't be read or is not UTF-8."""
    if not path:
        raise UsageError(f"dataset {kind} needs a file; write {kind}:PATH")
    try:
        file = Path(path).open("rb")  # noqa: SIM115
        data = file if file.seekable() else BytesIO(file.read())
        wrong = _first_wrong(data)
    except FileNotFoundError:
        raise UsageError(f"there is no file '{path}'; correct the path in {kind}:PATH") from None
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise UsageError(f"cannot read '{path}' ({reason}); give a readable file in {kind}:PATH") from problem
    with file, TextIOWrapper(data, "utf-8-sig", newline=newline) as text:
        if wrong:
            raise UsageError(
                f"'{path}' is not UTF-8: byte 0x{wrong.byte:02x} at position {wrong.position}; "
                "convert it to UTF-8 (for example: iconv -f ISO-8859-1 -t UTF-8)"
            )
        yield text


class _Wrong(NamedTuple):
    byte: int
    position: int


def _first_wrong(file: BinaryIO) -> _Wrong | None:
    """The first byte that is no UTF-8; the file then stands at its start again."""
    decoder = getincrementaldecoder("utf-8")()
    start = 0
    while True:
        piece = file.read(PIECE)
        held = len(decoder.getstate()[0])  # of a character that the piece before began
        try:
            decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as problem:
            return _Wrong(problem.object[problem.start], start - held + problem.start)
        start += len(piece)
        if not piece:
            file.seek(0)
            return None


def _field_columns(table: Table, columns: Columns) -> dict[str, str]:
    """The column of each input field, in order."""
    asked = (columns.text,) if isinstance(columns.text, str) else tuple(columns.text)
    layouts = (asked,) if asked else LAYOUTS
    layout = next((layout for layout in layouts if set(layout) <= set(table.columns)), layouts[0])
    for column, setting in [*((name, "text") for name in layout), (columns.label, "label")]:
        if column not in table.columns:
            folded = {name.casefold(): name for name in table.columns}
            near = get_close_matches(column.casefold(), folded, n=1, cutoff=0.6)
            hint = f"did you mean '{folded[near[0]]}'? " if near else ""
            raise UsageError(
                f"{table.origin} has no column '{column}'; {hint}it has: {', '.join(table.columns) or 'none'}; "
                f"rename one, or say which: {table.kind}({setting}='COLUMN'):{table.origin}"
            )
    return {"text": layout[0]} if len(layout) == 1 else {column: column for column in layout}


def _text(value: object, column: str, where: str) -> str:
    if isinstance(value, str):
        return value
    shown = "is missing or null" if value is None else f"is not a text but {value!r}"
    raise UsageError(f"{where}: '{column}' {shown}; give a text or delete the row")


def _label(value: object, column: str, where: str) -> str:
    """A label as a name: a string without outer blanks, or a whole number (JSON and tables also write 1.0 for 1)."""
    name = value.strip() if isinstance(value, str) else ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, Integral) and not isinstance(value, bool):  # numpy's integers too
        name = str(int(value))
    if not name:
        shown = (
            "is missing"
            if value is None or isinstance(value, str)
            else f"is neither a name nor an integer but {value!r}"
        )
        raise UsageError(f"{where}: '{column}' {shown}; give the label or delete the row")
    return name


def _numbered(
    labels: Sequence[str], codes: Numbers, rows: Numbers, given: Sequence[str], where: Callable[[int], str]
) -> tuple[tuple[str, ...], Numbers]:
    """The label names, and the number of each of `labels`; `codes` says which of these a row has, `rows` which rows count, in order.
    Raises `UsageError` with `where` the first row stands whose label is none of the names."""
    met, first = np.unique(codes[rows], return_index=True)
    names = tuple(given) or _names({labels[code] for code in met})
    numbers = np.zeros(len(labels), np.int32)
    for row, code in sorted(zip(rows[first].tolist(), met.tolist(), strict=True)):
        numbers[code] = _number(labels[code], names, where(row))
    return names, numbers


def _is_integer(name: str) -> bool:
    return name.removeprefix("-").isdecimal() and name.isascii()


def _names(found: set[str]) -> tuple[str, ...]:
    """The label names of the labels found: sorted, integers by value and, where they can be class numbers, without gaps."""
    if not all(map(_is_integer, found)):
        return tuple(sorted(found))
    numbers = sorted(map(int, found))
    if numbers[0] >= 0 and numbers[-1] < MOST_CLASSES and found == set(map(str, numbers)):
        return tuple(map(str, range(numbers[-1] + 1)))
    return tuple(sorted(found, key=lambda name: (int(name), name)))


def _number(label: str, names: Sequence[str], where: str) -> int:
    """The number of a label: by name, else an integer is the number itself."""
    if label in names:
        return names.index(label)
    if _is_integer(label) and 0 <= int(label) < len(names):
        return int(label)
    raise UsageError(f"{where}: {unknown('label', label, names)}; correct the row or the label names")
