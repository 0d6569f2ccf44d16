"""Punctuation (Formento et al., 2023): a punctuation mark put into or beside each of the words that matter most.

Differs from the paper: every place of a word is tried instead of a fixed one, and marks may also stand before or after the
word; stop words are not spared; no similarity constraint, the number of marks is the limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from robustbench_nlp.attack import Sample, Steps
from robustbench_nlp.errors import UsageError
from robustbench_nlp.search.greedy import by_deletion
from robustbench_nlp.text import Text, edges_of
from robustbench_nlp.threat import Threat

__all__ = ["Punctuation"]

CHAR_10 = Threat(name="char_10", unit="char", max_edits=10)


@dataclass(frozen=True, kw_only=True, slots=True)
class Punctuation:
    """Deterministic. `marks` are the characters to insert; without `beside` they only go between a word's letters."""

    threat: Threat = CHAR_10
    marks: str = "-'.,"
    beside: bool = True
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not self.marks or any(mark.isalnum() for mark in self.marks):
            raise UsageError(f"punctuation cannot insert {self.marks!r}; set marks to one or more punctuation marks")

    def run(self, sample: Sample, rng: Random) -> Steps:
        def candidates(text: Text, number: int) -> Sequence[Text]:
            word = text.word(number)
            edges = edges_of(word)
            places = edges if self.beside else edges[1:-1]
            return [text.swap(number, word[:i] + mark + word[i:]) for i in places for mark in self.marks]

        return by_deletion(sample, candidates)
