"""The examples of a report as compact data: every text once, a short row a record."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any, get_args

from robustbench_nlp.data.example import Input
from robustbench_nlp.recorded import Cell
from robustbench_nlp.records import Outcome, Record
from robustbench_nlp.report.shown import headline

__all__ = ["ROW", "examples"]

OUTCOMES: tuple[str, ...] = get_args(Outcome)
ROW = (
    *("example", "outcome", "clean", "clean_share", "attacked", "prediction", "share"),
    *("queries", "words", "total", "edits", "similarity", "winner", "error"),
)
"""What a row holds, in order; `clean` and `prediction` are labels, their shares the probabilities; absent ends are cut off."""


class _Pool:
    """Strings by number, each once."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def number(self, text: str | None) -> int | None:
        return None if text is None else self.numbers.setdefault(text, len(self.numbers))


def examples(cells: Sequence[Cell]) -> dict[str, Any]:
    """JSON-able data of all records.

    `texts` are numbered strings, `examples` are [id, text, label], and a cell's `rows` are as `ROW` says: `example` is a number in
    `examples`, `attacked` one in `texts` (None where no text was tried, or the clean one was left), `outcome` one in `outcomes`.
    """
    texts = _Pool()
    known: dict[str, int] = {}
    shared: list[list[Any]] = []
    made = []
    for cell in cells:
        rows = []
        for record in cell.records.values():
            if record.example_id not in known:
                known[record.example_id] = len(shared)
                shared.append([record.example_id, texts.number(_text(record.original)), record.label])
            rows.append(_row(known[record.example_id], record, texts))
        defense, attack = cell.name
        made.append({"defense": defense, "attack": headline(attack), "name": attack, "rows": rows})
    names = next((list(cell.header["label_names"]) for cell in cells if cell.header.get("label_names")), [])
    return {"outcomes": OUTCOMES, "labels": names, "texts": list(texts.numbers), "examples": shared, "cells": made}


def _row(example: int, record: Record, texts: _Pool) -> list[Any]:
    changed = record.adversarial is not None and record.adversarial != record.original
    row = [
        *(example, OUTCOMES.index(record.outcome), record.clean_prediction),
        _share(record.clean_output, record.clean_prediction),
        texts.number(_text(record.adversarial)) if changed else None,
        record.adversarial_prediction,
        _share(record.adversarial_output, record.adversarial_prediction),
        *(record.queries, record.words_changed, record.words_total, record.edits_chars),
        None if record.similarity is None else round(record.similarity, 3),
        texts.number(record.winner),
        texts.number(record.error),
    ]
    while row[-1] is None:
        row.pop()
    return row


def _text(given: Input | None) -> str | None:
    """An input as one text: fields on lines of their own."""
    return given if given is None or isinstance(given, str) else "\n".join(given)


def _share(output: Sequence[float] | None, prediction: int | None) -> float | None:
    if output is None or prediction is None or not isfinite(output[prediction]):
        return None
    return round(output[prediction], 3)
