"""A JSON-lines file in UTF-8, one object a line: jsonl:PATH, or jsonl(text='review',label='stars'):PATH."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import chain
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
) -> Dataset:
    """The file as one dataset: it has no splits, so its split is "all" whichever is asked for."""
    with open_utf8(argument, "jsonl", newline="\n") as file:
        columns = list(dict.fromkeys(name for row in _rows(argument, file) for name in row.cells))
        file.seek(0)
        rows = _rows(argument, file)
        first = next(rows, None)
        if first is None:
            raise UsageError(f"{argument} has no rows; write one JSON object a line")
        table = Table(
            kind="jsonl", origin=argument, name=Path(argument).name, columns=columns, rows=chain([first], rows)
        )
        return to_dataset(table, Columns(text=text, label=label, label_names=label_names), split="all")


def _rows(path: str, file: TextIO) -> Iterator[Row]:
    for number, line in enumerate(file, 1):
        if line.strip():
            yield Row(f"line {number}", _object(line, f"{path}, line {number}"))


def _object(line: str, where: str) -> dict[str, object]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as problem:
        raise UsageError(f"{where} is not JSON ({problem}); write one object a line") from None
    if not isinstance(found, dict):
        raise UsageError(f'{where} is not a JSON object; write one object a line, such as {{"text": …, "label": …}}')
    return found
