"""The examples of a report as compact data: every clean text once, a short row a record, attacked texts as their differences."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nsmallest
from itertools import accumulate, chain
from math import isfinite
from typing import Any, get_args

from rapidfuzz.distance import Levenshtein

from robustbench_nlp.data.example import Input
from robustbench_nlp.recorded import Cell
from robustbench_nlp.records import Outcome, Record
from robustbench_nlp.report.shown import headline
from robustbench_nlp.text import Text

__all__ = ["OUTCOMES", "ROW", "SHOWN", "differences", "examples"]

OUTCOMES: tuple[str, ...] = get_args(Outcome)
ROW = (
    *("example", "outcome", "clean", "clean_share", "attacked", "prediction", "share"),
    *("queries", "words", "total", "edits", "similarity", "winner", "error"),
)
"""What a row holds, in order; `clean` and `prediction` are labels, their shares the probabilities; absent ends are cut off."""
SHOWN = 100_000
"""Records in one page: some twenty megabytes of one-line texts, which browsers bear."""


class _Pool:
    """Strings by number, each once."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def number(self, text: str | None) -> int | None:
        return None if text is None else self.numbers.setdefault(text, len(self.numbers))


def examples(cells: Sequence[Cell], most: int = SHOWN) -> dict[str, Any]:
    """JSON-able data of the records, of at most so many: those of the first examples in content order, which is by chance.

    `texts` are numbered strings, `examples` are [id, text, label], and a cell's `rows` are as `ROW` says: `example` is a number in
    `examples`, `outcome` one in `outcomes`, `attacked` are `differences` (None where no text was tried, or the clean one was left).
    """
    most = max(most // len(cells), 1)
    firsts = (nsmallest(most, cell.records) for cell in cells)
    chosen = sorted(set(chain.from_iterable(firsts)))[:most]
    texts = _Pool()
    known: dict[str, int] = {}
    shared: list[list[Any]] = []
    clean: list[Text] = []
    made = []
    for cell in cells:
        rows = []
        for record in (cell.records[identity] for identity in chosen if identity in cell.records):
            if record.example_id not in known:
                known[record.example_id] = len(shared)
                clean.append(Text(_text(record.original) or ""))
                shared.append([record.example_id, texts.number(_text(record.original)), record.label])
            number = known[record.example_id]
            rows.append(_row(number, record, clean[number], texts))
        defense, attack = cell.name
        made.append({"defense": defense, "attack": headline(attack), "name": attack, "rows": rows})
    names = next((list(cell.header["label_names"]) for cell in cells if cell.header.get("label_names")), [])
    return {"outcomes": OUTCOMES, "labels": names, "texts": list(texts.numbers), "examples": shared, "cells": made}


def _row(example: int, record: Record, clean: Text, texts: _Pool) -> list[Any]:
    attacked = _text(record.adversarial)
    row = [
        *(example, OUTCOMES.index(record.outcome), record.clean_prediction),
        _share(record.clean_output, record.clean_prediction),
        differences(clean, Text(attacked)) if attacked is not None and attacked != str(clean) else None,
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


def differences(clean: Text, attacked: Text) -> list[Any]:
    """How a text was changed, word by word: start, length and what stands there now, for one place after another.

    Starts and lengths are in the clean text and count UTF-16 units, as browsers do.
    """
    before, after = ([piece for piece in text.pieces if piece] for text in (clean, attacked))  # "" would pass for "\0"
    starts = list(accumulate(map(_units, before), initial=0))
    found: list[Any] = []
    for change in Levenshtein.opcodes(before, after):
        if change.tag != "equal":
            start, end = starts[change.src_start], starts[change.src_end]
            found += [start, end - start, "".join(after[change.dest_start : change.dest_end])]
    return found


def _units(string: str) -> int:
    return len(string) if string.isascii() else len(string) + sum(character > "\uffff" for character in string)


def _text(given: Input | None) -> str | None:
    """An input as one text: fields on lines of their own."""
    return given if given is None or isinstance(given, str) else "\n".join(given)


def _share(output: Sequence[float] | None, prediction: int | None) -> float | None:
    if output is None or prediction is None or not isfinite(output[prediction]):
        return None
    return round(output[prediction], 3)
