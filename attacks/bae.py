"""BAE (Garg and Ramakrishnan, 2020): a masked language model replaces the words that matter most, or puts words beside them.

Words are visited in the order of how much leaving them out hurts; the model fills the mask in the text as it stands. Among
the fills that fool the victim the one closest to the original is taken, else the one that hurts most is kept. Differs from
the paper: similarity is the named encoder's, not the Universal Sentence Encoder's; parts of speech are looked up in WordNet,
or with `parts='tagger'` tagged; stop words are spared; a fill is kept only where it raises the score; fills are whole words.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from itertools import product
from random import Random
from typing import Any, ClassVar, Literal

from robustbench_nlp.attack import Blank, Encode, FillMask, Helped, Request, Sample, Steps
from robustbench_nlp.constraints.meaning import Close, close_in_meaning
from robustbench_nlp.constraints.parts import fits_by
from robustbench_nlp.constraints.words import content_words, inside
from robustbench_nlp.edits.blanks import Blanks, filled, substitutes
from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.lexicon.stopwords import stopwords
from robustbench_nlp.search.greedy import closest_in_order
from robustbench_nlp.search.importance import deleted_scores, descending
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat

__all__ = ["BAE"]

MASKED = Threat(name="masked_lm", unit="word", candidates="masked-lm")
Step = tuple[Literal["replace", "insert"], ...]
OPERATIONS: dict[str, tuple[Step, ...]] = {
    "R": (("replace",),),
    "I": (("insert",),),
    "R/I": (("replace", "insert"),),
    "R+I": (("replace",), ("insert",)),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class BAE:
    """`operation`: replace (R), insert to the left or right (I), whichever is better (R/I), or replace and then insert
    (R+I). Each blank has `k` fills; the whole text must stay within `min_cosine` of the original under `encoder` (-1: any);
    0.9 lets nine of ten swaps of synonyms through (`scripts/calibrate_cosines.py`), the paper's 0.8 was the other encoder's.
    `language` names the stop words."""

    threat: Threat = MASKED
    operation: Literal["R", "I", "R/I", "R+I"] = "R"
    model: str = "embedded"
    k: int = 50
    encoder: str = "embedded"
    min_cosine: float = 0.9
    parts: str = "wordnet"
    language: str = "en"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        stopwords(self.language)
        fits_by(self.parts, language=self.language)
        if self.operation not in OPERATIONS:
            raise unknown("operation of bae", self.operation, OPERATIONS)
        if self.k < 1 or not -1 <= self.min_cosine <= 1:
            raise UsageError("bae wants k of 1 or more and a min_cosine between -1 and 1")

    @property
    def helpers(self) -> Helped:
        return ((FillMask, self.model), (Encode, self.encoder))

    def run(self, sample: Sample, rng: Random) -> Steps:
        numbers = content_words(sample.text, language=self.language)
        ranks = yield from deleted_scores(sample.text, numbers)
        places = product([numbers[i] for i in descending(ranks)], OPERATIONS[self.operation])
        return (yield from closest_in_order(sample, places, partial(self._candidates, sample)))

    def _candidates(self, sample: Sample, text: Text, place: tuple[int, Step]) -> Generator[Request, Any, Close]:
        """The texts that one step makes at a word, those inside the threat and close enough to the original."""
        number, step = place
        old = sample.text.word(number)
        blanks = Blanks(text)
        asked: list[Blank] = [blanks.at(number)] if "replace" in step else []
        if "insert" in step:
            asked += [blanks.before(number), blanks.before(number + 1)]
        fills = yield from filled(asked, self.k, self.model)
        made: list[Text] = []
        if "replace" in step:
            fits = fits_by(self.parts, language=self.language)
            made += [text.swap(number, word) for word in substitutes(fills[0], old) if fits(text, number, word)]
        if "insert" in step:
            for at, words in zip((number, number + 1), fills[-2:], strict=True):
                made += [text.insert(at, word) for word, _ in words]
        made = inside(sample.threat, str(sample.text), made)
        return (yield from close_in_meaning(sample.text, made, number, min_cosine=self.min_cosine, model=self.encoder))
