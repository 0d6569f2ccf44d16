"""Improved genetic algorithm (Wang et al., 2019): one member a word to begin with, one-cut crossover, repeated replacement.

A word is replaced up to five times in a line of descent, each time by the best candidate of the word that stands there.
Differs from the paper: the 50 nearest neighbours are those of the embedded encoder's table; stop words are left alone; at
most 20 % of the words change, and a crossed text outside the limit loses changes until it is inside.
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

__all__ = ["IGA"]

CANDIDATES = "neighbours(50)"
SHARE = 0.2
THREAT = word_threat(CANDIDATES, SHARE)


@dataclass(frozen=True, kw_only=True, slots=True)
class IGA:
    """`replacements` is how often a word may be replaced. The default threat follows `candidates`."""

    threat: Threat = THREAT
    candidates: str = CANDIDATES
    population: int = 60
    generations: int = 20
    replacements: int = 5
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.population < 2 or self.generations < 0 or self.replacements < 1:
            raise UsageError("iga wants a population of 2 or more, no negative generations, 1 replacement or more")
        follow_candidates(self, THREAT, partial(word_threat, share=SHARE))

    def run(self, sample: Sample, rng: Random) -> Steps:
        limits = Limits(sample.threat, sample.text)
        changes = limits.within(candidate_maker(self.candidates))
        how = Evolution(
            population=self.population,
            generations=self.generations,
            crossover="one_cut",
            first="words",
            weighted=False,
            replacements=self.replacements,
            chained=True,
        )
        words = content_words(sample.text)
        return evolve(sample.text, sample.score, words, changes, rng, how=how, allowed=limits.allow)
