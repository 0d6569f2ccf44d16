"""LEAP (Xiao et al., 2023): a particle swarm with Lévy flights, adaptive inertia and greedy mutation.

First velocities are drawn from a Lévy or a uniform distribution; inertia depends on a particle's score beside the first
positions'; words turn by the softmax of their velocities; a mutation takes the best change of any word. Differs from the
paper: Lévy steps by Mantegna's formula; candidates are WordNet synonyms of the original word, never of its substitute;
stop words are left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import exp, gamma, pi, sin
from random import Random
from typing import ClassVar

from robustbench_nlp.attack import Sample, Steps
from robustbench_nlp.constraints.words import content_words
from robustbench_nlp.edits.words import Limits, candidate_maker, follow_candidates, word_threat
from robustbench_nlp.errors import UsageError
from robustbench_nlp.search.swarm import LIMIT, Flight, Weather, swarm, uniform_velocity
from robustbench_nlp.threat import Threat

__all__ = ["LEAP"]

CANDIDATES = "wordnet"
SHARE = 0.16
THREAT = word_threat(CANDIDATES, SHARE)
_ALPHA = 1.5
_SIGMA = (gamma(1 + _ALPHA) * sin(pi * _ALPHA / 2) / (gamma((1 + _ALPHA) / 2) * _ALPHA * 2 ** ((_ALPHA - 1) / 2))) ** (
    1 / _ALPHA
)
"""The index of stability of the Lévy distribution and the deviation of its numerator (Mantegna, 1994)."""
_TRIES = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class LEAP:
    """The default threat follows `candidates`."""

    threat: Threat = THREAT
    candidates: str = CANDIDATES
    particles: int = 60
    iterations: int = 20
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.particles < 1 or self.iterations < 0:
            raise UsageError("leap wants 1 particle or more and no negative iterations")
        follow_candidates(self, THREAT, partial(word_threat, share=SHARE))

    def run(self, sample: Sample, rng: Random) -> Steps:
        limits = Limits(sample.threat, sample.text)
        changes = limits.within(candidate_maker(self.candidates))
        how = Flight(
            particles=self.particles,
            iterations=self.iterations,
            velocity=_velocity,
            inertia=_inertia,
            turning=_softmax,
            first="gains",
            mutation="all",
            away_from="best",
        )
        return swarm(sample.text, sample.score, content_words(sample.text), changes, rng, how=how, allowed=limits.allow)


def _levy(rng: Random) -> float:
    return float(rng.gauss(0, _SIGMA) / abs(rng.gauss(0, 1)) ** (1 / _ALPHA))


def _levy_between(low: float, high: float, rng: Random) -> float:
    """A Lévy step inside the bounds, by rejection; evenly drawn after a thousand misses."""
    steps = (_levy(rng) for _ in range(_TRIES))
    return next((step for step in steps if low <= step <= high), rng.uniform(low, high))


def _velocity(rng: Random) -> float:
    if uniform_velocity(rng) < _levy(rng):
        return uniform_velocity(rng)
    return _levy_between(-LIMIT, LIMIT, rng)


def _inertia(weather: Weather, rng: Random) -> float:
    """From 0.2 at the least first score to 0.8 at their mean; above it a Lévy step between 0.5 and 0.8."""
    if weather.least < weather.mean and weather.score < weather.mean:
        return 0.2 + 0.6 * (weather.score - weather.least) / (weather.mean - weather.least)
    return _levy_between(0.5, 0.8, rng)


def _softmax(velocity: Sequence[float]) -> list[float]:
    top = max(velocity)
    exps = [exp(speed - top) for speed in velocity]
    return [value / sum(exps) for value in exps]
