"""A CSV file with a header, in UTF-8: csv:PATH, or csv(text='review',label='stars'):PATH for other columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from robustbench_nlp.data.example import Dataset
from robustbench_nlp.data.tables import Columns, Row, Table, read_utf8, to_dataset
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
    header, rows = _read(argument, delimiter)
    table = Table(kind="csv", origin=argument, name=Path(argument).name, columns=header, rows=rows)
    return to_dataset(table, Columns(text=text, label=label, label_names=label_names), split="all")


def _read(path: str, delimiter: str) -> tuple[list[str], list[Row]]:
    """Header and rows, blank lines skipped; every row has as many cells as the header."""
    content = read_utf8(path, "csv")
    header: list[str] = []
    rows: list[Row] = []
    line = 1
    usual_limit = csv.field_size_limit(max(len(content), 1))  # a process-wide setting, put back below
    try:
        reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
        for cells in reader:
            if not header:
                header = [name.strip() for name in cells]
            elif cells:
                if len(cells) != len(header):
                    raise UsageError(
                        f"{path}, line {line}: {len(cells)} cells where the header has {len(header)}; "
                        f"put texts that hold '{delimiter}' or line breaks in double quotes"
                    )
                rows.append(Row(f"line {line}", dict(zip(header, cells, strict=True))))
            line = reader.line_num + 1
    except csv.Error as problem:
        raise UsageError(f"{path}, line {line}: {problem}; write a quote inside a quoted text twice") from problem
    except TypeError as problem:
        raise UsageError(f"csv(delimiter={delimiter!r}) cannot be used: {problem}") from problem
    finally:
        csv.field_size_limit(usual_limit)
    for name in header:
        if header.count(name) > 1:
            raise UsageError(f"{path} has two columns '{name}'; rename one of them")
    return header, rows
