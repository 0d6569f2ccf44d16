"""Pruthi et al. (2019): the worst single-character typo inside a word, by trying all of them.

Swaps, deletions, insertions and neighbouring keys, first and last letter kept, words of four or more letters, no stop
words; with `max_words` above one, greedily one word after another. Differs from the paper: the first word with a success
ends the search. `variant="textattack"` draws one random letter for each place of an insertion instead of trying all 26,
not before the last letter, and always tries every word; its keyboard also joins a few keys that don't touch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import ClassVar, Literal

from robustbench_nlp.attack import Sample, Steps
from robustbench_nlp.constraints.words import content_words
from robustbench_nlp.edits.characters import INTERNAL_KINDS, internal_edits
from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.lexicon.keyboard import keys
from robustbench_nlp.lexicon.stopwords import stopwords
from robustbench_nlp.search.greedy import best_single
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat

__all__ = ["Pruthi"]

VARIANTS = ("paper", "textattack")
INTERNAL_1 = Threat(name="internal_1", unit="char", max_words_changed=1, max_edits_per_word=2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pruthi:
    """Changes up to `max_words` words by one character each; the default threat follows `max_words`. `layout` names the
    keyboard (us, de, fr, es), `language` the stop words."""

    threat: Threat = INTERNAL_1
    max_words: int = 1
    variant: Literal["paper", "textattack"] = "paper"
    layout: str = "us"
    language: str = "en"
    version: ClassVar[int] = 1
    drawn_from: ClassVar[tuple[str, ...]] = INTERNAL_KINDS

    def __post_init__(self) -> None:
        keys(self.layout)
        stopwords(self.language)
        if self.variant not in VARIANTS:
            raise unknown("variant of pruthi", self.variant, VARIANTS)
        if self.max_words < 1:
            raise UsageError(f"pruthi cannot change {self.max_words} words; set max_words to 1 or more")
        if self.threat == INTERNAL_1 and self.max_words != 1:
            threat = replace(INTERNAL_1, name=f"internal_{self.max_words}", max_words_changed=self.max_words)
            object.__setattr__(self, "threat", threat)

    def run(self, sample: Sample, rng: Random) -> Steps:
        paper = self.variant == "paper"

        def candidates(text: Text, number: int) -> Sequence[Text]:
            edits = internal_edits(text.word(number), None if paper else rng, self.layout)
            return sorted([text.swap(number, word) for word in edits], key=str)

        current, left = sample.text, content_words(sample.text, 4, self.language)
        for _ in range(self.max_words):
            best = yield from best_single(current, left, candidates, first_success=paper)
            if best is None:
                return None
            if best.success:
                return best.text
            current = best.text
            left.remove(best.number)
        return None
