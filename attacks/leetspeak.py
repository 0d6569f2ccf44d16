"""Leetspeak (after Li et al., 2019, TextBugger): letters of important words become the signs of "1337" writing.

Differs from the paper: the leet alphabet is the only bug, for one letter or for all of a word's letters at once, and the
best of all is taken instead of a random one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from robustbench_nlp.attack import Sample, Steps
from robustbench_nlp.edits.characters import bare
from robustbench_nlp.lexicon.leet import shapes
from robustbench_nlp.search.greedy import by_deletion
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat

__all__ = ["Leetspeak", "leet"]

CHAR_30 = Threat(name="char_30", unit="char", max_edits=30)


@dataclass(frozen=True, kw_only=True, slots=True)
class Leetspeak:
    """Deterministic: at each word the best of all substitutions is kept."""

    threat: Threat = CHAR_30
    version: ClassVar[int] = 1

    def run(self, sample: Sample, rng: Random) -> Steps:
        def candidates(text: Text, number: int) -> Sequence[Text]:
            return [text.swap(number, word) for word in leet(text.word(number))]

        return by_deletion(sample, candidates)


def leet(word: str) -> list[str]:
    """The word with one letter in each of its leet shapes, and at last with every letter in its most usual one."""
    free = bare(word)
    one = [word[:i] + shape + word[i + 1 :] for i in free for shape in shapes(word[i])]
    every = "".join((shapes(letter)[:1] if i in free else "") or letter for i, letter in enumerate(word))
    return list(dict.fromkeys([*one, every] if one else []))
