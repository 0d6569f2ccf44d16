"""Faster genetic attack (Jia et al., 2019): as Alzantot et al., with each word's candidates fixed by the original text.

A word may change again, to another candidate of the original word, and words are drawn evenly. Differs from the paper: no
language model restricts the candidates; the 8 nearest neighbours are those of the embedded encoder's table; at most 20 % of
the words change, as in Alzantot et al.
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
from robustbench_nlp.search.genetic import Evolution, evolve
from robustbench_nlp.threat import Threat

__all__ = ["FasterGenetic"]

CANDIDATES = "neighbours(8)"
SHARE = 0.2
THREAT = word_threat(CANDIDATES, SHARE)


@dataclass(frozen=True, kw_only=True, slots=True)
class FasterGenetic:
    """The default threat follows `candidates`."""

    threat: Threat = THREAT
    candidates: str = CANDIDATES
    population: int = 60
    generations: int = 40
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.population < 2 or self.generations < 0:
            raise UsageError("faster_genetic wants a population of 2 or more and no negative generations")
        follow_candidates(self, THREAT, partial(word_threat, share=SHARE))

    def run(self, sample: Sample, rng: Random) -> Steps:
        limits = Limits(sample.threat, sample.text)
        changes = limits.within(candidate_maker(self.candidates))
        how = Evolution(population=self.population, generations=self.generations, weighted=False, replacements=None)
        words = content_words(sample.text)
        return evolve(sample.text, sample.score, words, changes, rng, how=how, allowed=limits.allow)
