"""Spacing (after the space bugs of Li et al., 2019, TextBugger): important words are split, or joined to a neighbour.

Differs from the paper: spaces are the only bug, any word may be split at any place, and the space between two words may
be taken out as well.
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

__all__ = ["Spacing", "joins", "splits"]

CHAR_10 = Threat(name="char_10", unit="char", max_edits=10)


@dataclass(frozen=True, kw_only=True, slots=True)
class Spacing:
    """Deterministic. `split` puts a space into a word, `join` takes out the one before or after it."""

    threat: Threat = CHAR_10
    split: bool = True
    join: bool = True
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not (self.split or self.join):
            raise UsageError("spacing is to neither split nor join words; set split or join to True")

    def run(self, sample: Sample, rng: Random) -> Steps:
        def candidates(text: Text, number: int) -> Sequence[Text]:
            return (splits(text, number) if self.split else []) + (joins(text, number) if self.join else [])

        return by_deletion(sample, candidates)


def splits(text: Text, number: int) -> list[Text]:
    """The text with a space put into the word, once for each place inside it."""
    word = text.word(number)
    return [text.swap(number, word[:i] + " " + word[i:]) for i in edges_of(word)[1:-1]]


def joins(text: Text, number: int) -> list[Text]:
    """The text with the word joined to the next one, and to the one before, where a single space parts them."""
    string, spans = str(text), text.spans
    return [
        text.swap(left, text.word(left) + text.word(left + 1)).delete(left + 1)
        for left in (number, number - 1)
        if 0 <= left < len(text) - 1
        and text.word(left)
        and text.word(left + 1)
        and string[spans[left][1] : spans[left + 1][0]] == " "
    ]
