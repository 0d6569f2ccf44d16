"""Every example of a run for people to read in a spreadsheet: what was attacked, what came of it, and no cell that computes."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence

from robustbench_nlp.console import printable
from robustbench_nlp.data.example import Input
from robustbench_nlp.recorded import Cell
from robustbench_nlp.shapes import fits

__all__ = ["COLUMNS", "defused", "sheet"]

COLUMNS = (
    *("defense", "attack", "outcome", "label", "predicted", "predicted under attack", "original", "adversarial"),
    *("words changed", "queries", "example"),
)
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""How cells begin that a spreadsheet computes, or runs."""


def defused(text: str) -> str:
    """A cell that a spreadsheet shows as text: control characters written out, a quote before what begins like a formula."""
    shown = printable(text)
    return f"'{shown}" if shown.lstrip(" ").startswith(_FORMULAS) else shown


class _Echo:
    """A file that gives back what is written, as `csv` then does."""

    def write(self, line: str) -> str:
        return line


def sheet(cells: Sequence[Cell]) -> Iterator[str]:
    """CSV, line by line, with one an example and cell, for people: machines read records/*.jsonl, which are exact. A mark first tells
    spreadsheets that it is UTF-8."""
    writer = csv.writer(_Echo(), lineterminator="\r\n")
    yield "\ufeff"
    yield writer.writerow(COLUMNS)
    for cell in cells:
        names = _label_names(cell)
        for record in cell.records.values():
            told = (
                *cell.name,
                record.outcome,
                _named(record.label, names),
                _named(record.clean_prediction, names),
                _named(record.adversarial_prediction, names),
                _text(record.original),
                _text(record.adversarial),
            )
            numbers = (record.words_changed, record.queries)
            yield writer.writerow([*map(defused, told), *numbers, defused(record.example_id)])


def _named(label: int | None, names: Sequence[str]) -> str:
    if label is None:
        return ""
    return names[label] if 0 <= label < len(names) else str(label)


def _label_names(cell: Cell) -> list[str]:
    labels = cell.header.get("spec", {}).get("labels")
    return labels[0] if isinstance(labels, list) and labels and fits(labels[0], list[str]) else []


def _text(text: Input | None) -> str:
    return "" if text is None else text if isinstance(text, str) else "\n\n".join(text)
