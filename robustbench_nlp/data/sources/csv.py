"""A CSV file with a header, in UTF-8: csv:PATH, or csv(text='review',label='stars'):PATH for other columns."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from robustbench_nlp.data.example import Dataset
from robustbench_nlp.data.tables import Columns, Row, Table, open_utf8, to_dataset
from robustbench_nlp.errors import UsageError

__all__ = ["load"]


def load(
    argument: str,
    split: str,
    *,
    text: str | Sequence[str] = (),
    label: str = "label",
    label_names: Sequence[str] = (),
    delimiter: str = ",",
) -> Dataset:
    """The file as one dataset: it has no splits, so its split is "all" whichever is asked for."""
    with open_utf8(argument, "csv", newline="") as file, _long_cells():
        lines = _lines(argument, file, delimiter)
        header = [name.strip() for name in next(lines, (1, []))[1]]
        for name in header:
            if header.count(name) > 1:
                raise UsageError(f"{argument} has two columns '{name}'; rename one of them")
        rows = _rows(argument, header, lines, delimiter)
        table = Table(kind="csv", origin=argument, name=Path(argument).name, columns=header, rows=rows)
        return to_dataset(table, Columns(text=text, label=label, label_names=label_names), split="all")


def _rows(path: str, header: list[str], lines: Iterable[tuple[int, list[str]]], delimiter: str) -> Iterator[Row]:
    """Every row has as many cells as the header."""
    for line, cells in lines:
        if len(cells) != len(header):
            raise UsageError(
                f"{path}, line {line}: {len(cells)} cells where the header has {len(header)}; "
                f"put texts that hold '{delimiter}' or line breaks in double quotes"
            )
        yield Row(f"line {line}", dict(zip(header, cells, strict=True)))


def _lines(path: str, file: TextIO, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each line with its number, blank lines skipped."""
    line = 1
    try:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as problem:
        raise UsageError(f"{path}, line {line}: {problem}; write a quote inside a quoted text twice") from problem
    except TypeError as problem:
        raise UsageError(f"csv(delimiter={delimiter!r}) cannot be used: {problem}") from problem


@contextmanager
def _long_cells() -> Iterator[None]:
    """Cells of any length: a process-wide setting, put back at the end."""
    usual_limit = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(usual_limit)
