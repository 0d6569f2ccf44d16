"""Gradients of victims that change what they read: traced back to the text as it came in, and averaged.

Changes count as if they were none (BPDA, Athalye et al., 2018), and what is left to chance or to several is averaged (EoT, there too):
copies, draws, members. What stands in a word's place, a mask too, passes its gradient to the word; a word that a copy leaves out gets none.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from robustbench_nlp.attack import Sample
from robustbench_nlp.data.example import Input, fields_of
from robustbench_nlp.text import Text
from robustbench_nlp.victim import Placed, TokenGradients, Victim

__all__ = [
    "Change",
    "Origins",
    "averaged",
    "by_edits",
    "by_slots",
    "gradients_at",
    "inner_draws",
    "over_copies",
    "slots",
    "traced",
]

Origins = list[int]
"""For each position of a changed string the one of the string before that it stands for; -1: for none."""


def gradients_at(
    victim: Victim, inputs: Sequence[Input], labels: Sequence[int], placed: Sequence[Placed] | None, draw: int
) -> list[TokenGradients]:
    """The victim's own, under the draw where it is random."""
    others: dict[str, Any] = {} if placed is None else {"placed": placed}
    if victim.random:
        others["draw"] = draw
    found: list[TokenGradients] = victim.gradients(inputs, labels, **others)  # type: ignore[attr-defined]
    return found


def by_edits(before: str, after: str) -> Origins:
    """The origins by the cheapest edits; what these insert stands for none."""
    found: Origins = []
    for code in Levenshtein.opcodes(after, before):
        new = range(code.src_end - code.src_start)
        found += [code.dest_start + i if code.tag != "delete" else -1 for i in new]
    return found


def by_slots(before: Text, after: Text) -> Origins:
    """The origins in a text of the same slots: a word that changed stands for the whole of the one before, a gap that did for none."""
    found: Origins = []
    start = 0
    for number, (old, new) in enumerate(zip(before.pieces, after.pieces, strict=True)):
        found += range(start, start + len(old)) if old == new else [start if number % 2 else -1] * len(new)
        start += len(old)
    return found


class Change(NamedTuple):
    """An input before and after a change, with the origins in each field of the latter."""

    before: Input
    after: Input
    origins: Sequence[Origins]


def traced(
    victim: Victim, changes: Sequence[Change], labels: Sequence[int], placed: Sequence[Placed] | None, draw: int
) -> list[TokenGradients]:
    """The gradients at the changed inputs, each token's with the place that it stands for in the input before. Embeddings are
    placed where the changed input reads their words, if it does."""
    if placed is not None:
        placed = [[*_moved(*each)] for each in zip(changes, placed, strict=True)]
    found = gradients_at(victim, [change.after for change in changes], labels, placed, draw)
    return [_back(*each) for each in zip(changes, found, strict=True)]


def _moved(change: Change, placed: Placed) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
    for field, place, vector in placed:
        spans = Text(fields_of(change.before)[field]).spans
        end = next((end for start, end in spans if start <= place < end), place + 1)
        reader = next((at for at, origin in enumerate(change.origins[field]) if place <= origin < end), None)
        if reader is not None:
            yield field, reader, vector


def _back(change: Change, found: TokenGradients) -> TokenGradients:
    """A token's blanks in front don't count; tokens that stand for nothing are left out."""
    old, new = fields_of(change.before), fields_of(change.after)
    rows, offsets = [], []
    for row, ((start, end), field) in enumerate(zip(found.offsets, found.fields, strict=True)):
        if field < 0 or start == end:
            rows.append(row)
            offsets.append((start, end))
            continue
        read = len(new[field][start:end].lstrip()) or end - start
        if own := [origin for origin in change.origins[field][end - read : end] if origin >= 0]:
            rows.append(row)
            offsets.append((own[0], min(max(own[-1] + 1, own[0]), len(old[field]))))
    return TokenGradients(found.loss, found.gradient[rows], offsets, [found.fields[row] for row in rows])


def inner_draws(draw: int, copies: int) -> range:
    """The draws under which a random victim is asked about so many copies: each has its own."""
    return range(copies * draw, copies * (draw + 1))


def over_copies(
    victim: Victim,
    inputs: Sequence[Input],
    copies: Sequence[Sequence[tuple[Text, ...]]],
    labels: Sequence[int],
    *,
    placed: Sequence[Placed] | None,
    draws: Sequence[int],
) -> list[TokenGradients]:
    """The mean over the copies of each input, one for each of the inner `draws`, whose fields have the input's slots; one copy of all at a time.
    Embeddings are placed in the copies that keep their words."""
    originals = [[*map(Text, fields_of(item))] for item in inputs]

    def changes(number: int) -> Iterator[Change]:
        for item, texts, own in zip(inputs, originals, copies, strict=True):
            strings = tuple(map(str, own[number]))
            read = strings[0] if isinstance(item, str) else strings
            yield Change(item, read, [*map(by_slots, texts, own[number])])

    def read(number: int) -> list[Placed] | None:
        if placed is None:
            return None
        each = zip(placed, originals, copies, strict=True)
        return [[one for one in own if _keeps(one, texts, copy[number])] for own, texts, copy in each]

    return averaged(traced(victim, [*changes(number)], labels, read(number), draw) for number, draw in enumerate(draws))


def _keeps(one: tuple[int, int, Any], before: Sequence[Text], after: Sequence[Text]) -> bool:
    """Whether the word at the place stands in the copy as it is."""
    field, place, _ = one
    words = zip(before[field].spans, before[field].words, after[field].words, strict=True)
    return any(start <= place < end and old == new for (start, end), old, new in words)


def averaged(answers: Iterable[Sequence[TokenGradients]]) -> list[TokenGradients]:
    """The mean of several answers for the same inputs. Tokens of an input that begin at one place of a field are one there, so that
    a word has the tokens that it has where it stands unchanged, whatever stands in its place elsewhere."""
    sums: list[_Sum] = []
    answered = 0
    for answer in answers:
        sums = sums or [_Sum() for _ in answer]
        answered += 1
        for total, one in zip(sums, answer, strict=True):
            total.add(one)
    return [total.over(answered) for total in sums]


class _Sum:
    """The sum of the gradients for one input, by place."""

    def __init__(self) -> None:
        self._loss = 0.0
        self._rows: dict[tuple[int, int, int], NDArray[np.float32]] = {}
        self._ends: dict[tuple[int, int, int], int] = {}
        self._none = np.zeros((0, 0), np.float32)

    def add(self, one: TokenGradients) -> None:
        self._loss += one.loss
        self._none = one.gradient[:0]
        empty = count(1)  # special tokens have no place: each is one with that of its number
        for row, (start, end), field in zip(one.gradient, one.offsets, one.fields, strict=True):
            key = field, start, 0 if start < end else next(empty)
            self._rows[key] = self._rows[key] + row if key in self._rows else row
            self._ends[key] = min(end, self._ends.get(key, end))

    def over(self, answers: int) -> TokenGradients:
        gradient: NDArray[np.float32] = np.concatenate(
            [self._none, *(row[np.newaxis] for row in self._rows.values())]
        ) * np.float32(1 / answers)
        offsets = [(start, self._ends[field, start, number]) for field, start, number in self._rows]
        return TokenGradients(self._loss / answers, gradient, offsets, [field for field, _, _ in self._rows])


def slots(text: Text, sample: Sample, offsets: Sequence[tuple[int, int]], fields: Sequence[int]) -> list[int]:
    """Each token's word slot in the attacked field, by its character offsets; -1 for special tokens, gaps, other fields."""
    starts, ends = zip(*text.spans, strict=True) if len(text) else ((), ())
    attacked = list(sample.example.fields).index(sample.field)

    def slot(low: int, high: int) -> int:
        first = bisect_right(ends, low)
        return first if low < high and first < len(starts) and starts[first] < high else -1

    return [slot(*span) if field == attacked else -1 for span, field in zip(offsets, fields, strict=True)]
