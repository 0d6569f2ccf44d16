"""Kuleshov et al. (2018): greedily the best replacement of all words, again and again, until the score reaches a target.

Up to half of the words change, each once; a success below the target is kept and the search goes on. Differs from the
paper: no limits by thought vectors and language model; the 15 nearest neighbours are those of the embedded encoder's
table; stop words are left alone. `width` above one makes it a beam search.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from random import Random
from typing import ClassVar

from robustbench_nlp.attack import Sample, Steps
from robustbench_nlp.constraints.words import content_words
from robustbench_nlp.edits.words import Limits, candidate_maker, follow_candidates, word_threat
from robustbench_nlp.errors import UsageError
from robustbench_nlp.search.beam import beam
from robustbench_nlp.threat import Threat

__all__ = ["Kuleshov"]

CANDIDATES = "neighbours(15)"
SHARE = 0.5
THREAT = word_threat(CANDIDATES, SHARE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Kuleshov:
    """`target` is the score, 1 − the label's probability, that ends the search. The default threat follows `candidates`."""

    threat: Threat = THREAT
    candidates: str = CANDIDATES
    target: float = 0.7
    width: int = 1
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.width < 1 or not 0 <= self.target <= 1:
            raise UsageError("kuleshov wants a width of 1 or more and a target between 0 and 1")
        follow_candidates(self, THREAT, partial(word_threat, share=SHARE))

    def run(self, sample: Sample, rng: Random) -> Steps:
        changes = Limits(sample.threat, sample.text).within(candidate_maker(self.candidates))
        words = content_words(sample.text)
        return beam(sample.text, sample.score, words, changes, width=self.width, target=self.target)
