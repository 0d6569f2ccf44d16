"""PSO (Zang et al., 2020): a particle swarm over word substitutions.

The rules of motion are those of the authors' code. Differs from the paper: candidates are WordNet synonyms unless set
otherwise, instead of words with the same HowNet sememes; the limit of a quarter of the words holds during the search, not
only for its result; stop words are left alone, and there is no part-of-speech filter.
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
from robustbench_nlp.search.swarm import Flight, swarm
from robustbench_nlp.threat import Threat

__all__ = ["PSO"]

CANDIDATES = "wordnet"
SHARE = 0.25
THREAT = word_threat(CANDIDATES, SHARE)


@dataclass(frozen=True, kw_only=True, slots=True)
class PSO:
    """The default threat follows `candidates`."""

    threat: Threat = THREAT
    candidates: str = CANDIDATES
    particles: int = 60
    iterations: int = 20
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.particles < 1 or self.iterations < 0:
            raise UsageError("pso wants 1 particle or more and no negative iterations")
        follow_candidates(self, THREAT, partial(word_threat, share=SHARE))

    def run(self, sample: Sample, rng: Random) -> Steps:
        limits = Limits(sample.threat, sample.text)
        changes = limits.within(candidate_maker(self.candidates))
        how = Flight(particles=self.particles, iterations=self.iterations)
        return swarm(sample.text, sample.score, content_words(sample.text), changes, rng, how=how, allowed=limits.allow)
