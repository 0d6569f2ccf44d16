"""Genetic attack (Alzantot et al., 2018): a population of texts, crossed word by word and mutated at one word each.

Words are drawn by how many candidates they have and changed once; at most 20 % of them change. Differs from the paper: no
language model ranks the candidates; the 8 nearest neighbours are those of the embedded encoder's table; a crossed text
outside the limit loses changes until it is inside; texts known already aren't asked again.
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

__all__ = ["Alzantot"]

CANDIDATES = "neighbours(8)"
SHARE = 0.2
THREAT = word_threat(CANDIDATES, SHARE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Alzantot:
    """`temperature` None draws parents by their scores, as in the paper; a number by exp(score / temperature). The
    default threat follows `candidates`."""

    threat: Threat = THREAT
    candidates: str = CANDIDATES
    population: int = 60
    generations: int = 20
    temperature: float | None = None
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.population < 2 or self.generations < 0 or (self.temperature is not None and self.temperature <= 0):
            raise UsageError("alzantot wants a population of 2 or more, no negative generations, a temperature above 0")
        follow_candidates(self, THREAT, partial(word_threat, share=SHARE))

    def run(self, sample: Sample, rng: Random) -> Steps:
        limits = Limits(sample.threat, sample.text)
        changes = limits.within(candidate_maker(self.candidates))
        how = Evolution(population=self.population, generations=self.generations, temperature=self.temperature)
        words = content_words(sample.text)
        return evolve(sample.text, sample.score, words, changes, rng, how=how, allowed=limits.allow)
