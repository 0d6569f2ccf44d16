"""Words that a masked language model proposes: in place of a word, between two, or for two at once."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from robustbench_nlp.attack import HOLE, Blank, FillMask, Request
from robustbench_nlp.lexicon.case import in_case_of
from robustbench_nlp.text import Text

__all__ = ["Blanks", "filled", "substitutes"]

Filled = list[tuple[str, float]]
_CHUNK = 1_024
"""The most blanks of one request: all of any common text, and few enough for texts of ten thousand words."""


class Blanks:
    """The blanks of one text."""

    def __init__(self, text: Text) -> None:
        self._string = str(text)
        self._spans = text.spans

    def at(self, number: int, *, words: int = 1, masked: bool = True) -> Blank:
        """In place of a number of words from slot `number` on; unmasked, the model reads what is there."""
        start, end = self._spans[number][0], self._spans[number + words - 1][1]
        return Blank(self._string[:start], self._string[end:], None if masked else self._string[start:end])

    def together(self, numbers: Sequence[int]) -> list[Blank]:
        """In place of each of these words, rising, with the others hidden from the model too: it reads all of them at once."""
        starts, ends = zip(*(self._spans[number] for number in numbers), strict=True) if numbers else ((), ())
        parts = [self._string[end:start] for end, start in zip((0, *ends), (*starts, None), strict=True)]
        return [Blank(HOLE.join(parts[:i]), HOLE.join(parts[i:])) for i in range(1, len(parts))]

    def before(self, number: int) -> Blank:
        """Where `Text.insert(number, word)` puts a word; the text has words."""
        if number < len(self._spans):
            start = self._spans[number][0]
            return Blank(self._string[:start], " " + self._string[start:])
        end = self._spans[-1][1]
        return Blank(self._string[:end] + " ", self._string[end:])


def filled(blanks: Iterable[Blank], k: int, model: str) -> Generator[Request, Any, list[Filled]]:
    """The `k` likeliest words at each blank and their probabilities, best first; one request for all common texts."""
    found: list[Filled] = []
    source: Iterator[Blank] = iter(blanks)
    while chunk := list(islice(source, _CHUNK)):
        found += yield FillMask(chunk, k, model)
    return found


def substitutes(words: Filled, old: str) -> list[str]:
    """The proposed words other than `old`, in its case."""
    return [in_case_of(word, old) for word, _ in words if word.lower() != old.lower()]
