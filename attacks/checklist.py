"""CheckList's invariances (Ribeiro et al., 2020): contractions, names, places and numbers that should change nothing.

Differs from the paper: the paper tests each change alone, here changes add up greedily, word by word from the left, until
the victim is fooled; names and places are known from a list instead of a tagger; a number that rates something (beside
'/', '%', 'of', 'out' or 'stars') is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from robustbench_nlp.attack import Sample, Steps
from robustbench_nlp.constraints.words import inside
from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.lexicon.case import in_case_of
from robustbench_nlp.lexicon.contractions import contractions, expansions
from robustbench_nlp.lexicon.names import namesakes
from robustbench_nlp.search.greedy import in_order
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat

__all__ = ["CheckList"]

BEHAVIOURAL = Threat(name="behavioural", unit="word", candidates="checklist-1")
RATINGS = {"of", "out", "star", "stars", "percent"}


def reworded(text: Text, number: int, rng: Random, k: int) -> list[Text]:
    """The contraction in this slot expanded, or its word and the next contracted."""
    word = text.word(number).replace("’", "'")
    found = [text.swap(number, in_case_of(long, word)) for long in expansions().get(word.lower(), ())]
    if number + 1 < len(text):
        end, start = text.spans[number][1], text.spans[number + 1][0]
        pair = word + str(text)[end:start] + text.word(number + 1)
        short = contractions().get(pair.lower(), ()) if text.word(number + 1) else ()
        found += [text.swap(number, in_case_of(new, pair)).delete(number + 1) for new in short]
    return found


def renamed(text: Text, number: int, rng: Random, k: int) -> list[Text]:
    """Up to `k` other names in place of a name of a woman, a man, a city or a country."""
    word = text.word(number)
    others = namesakes(word)
    drawn = rng.sample(others, min(k, len(others)))
    return [text.swap(number, in_case_of(name if word[0].isupper() else name.lower(), word)) for name in drawn]


def recounted(text: Text, number: int, rng: Random, k: int) -> list[Text]:
    """Up to `k` other numbers, of as many digits, in place of a number that rates nothing."""
    word = text.word(number)
    if not (word.isascii() and word.isdecimal() and len(word) <= 9) or _rates(text, number):
        return []
    first = 10 ** (len(word) - 1) if len(word) > 1 else 0
    others = {rng.randrange(first, 10 ** len(word)) for _ in range(k)} - {int(word)}
    return [text.swap(number, str(other)) for other in sorted(others)]


def _rates(text: Text, number: int) -> bool:
    start, end = text.spans[number]
    beside = {text.word(i).lower() for i in (number - 1, number + 1) if 0 <= i < len(text)}
    string = str(text)
    return bool(beside & RATINGS) or any(mark in string[max(0, start - 2) : end + 2] for mark in "/%*")


CHANGES: dict[str, Callable[[Text, int, Random, int], list[Text]]] = {
    "contractions": reworded,
    "names": renamed,
    "numbers": recounted,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckList:
    """`changes` are what may change (names: places too); `k` is how many other names or numbers are tried at a word."""

    threat: Threat = BEHAVIOURAL
    changes: tuple[str, ...] = tuple(CHANGES)
    k: int = 3
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        for change in self.changes:
            if change not in CHANGES:
                raise unknown("change of checklist", change, CHANGES)
        if self.k < 1:
            raise UsageError(f"checklist cannot try {self.k} names or numbers; set k to 1 or more")

    def run(self, sample: Sample, rng: Random) -> Steps:
        def candidates(text: Text, number: int) -> Sequence[Text]:
            if not text.word(number):
                return []
            made = [new for change in self.changes for new in CHANGES[change](text, number, rng, self.k)]
            return [new for new in inside(sample.threat, str(sample.text), made) if new != text]

        return (yield from in_order(sample.text, sample.score, range(len(sample.text)), candidates))
