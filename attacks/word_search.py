"""One search space, any search (after Yoo et al., 2020): what the search strategy alone contributes.

`word-search:NAME` with random (texts drawn blindly), random_order (word by word in random order), importance (by masking),
greedy (the best change of all words at each step), beam, genetic or swarm. Words, candidates and limits are the same for
all, so that differences in success and queries come from the search.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import ClassVar, NamedTuple

from robustbench_nlp.attack import Sample, Steps
from robustbench_nlp.constraints.words import content_words
from robustbench_nlp.edits.words import Limits, candidate_maker, follow_candidates, word_threat
from robustbench_nlp.errors import unknown
from robustbench_nlp.lexicon.stopwords import stopwords
from robustbench_nlp.search.beam import beam
from robustbench_nlp.search.genetic import evolve
from robustbench_nlp.search.greedy import Candidates, in_order
from robustbench_nlp.search.importance import descending, masked_scores
from robustbench_nlp.search.restarts import random_order, random_search
from robustbench_nlp.search.swarm import swarm
from robustbench_nlp.threat import Threat

__all__ = ["WordSearch", "SEARCHES"]  # noqa: RUF022 (the factory first)

CANDIDATES = "wordnet"
SHARE = 0.25
THREAT = word_threat(CANDIDATES, SHARE)


class Space(NamedTuple):
    """What every search gets: the sample, its words, their candidates inside the limits, and the most that may change."""

    sample: Sample
    words: list[int]
    candidates: Candidates
    limits: Limits

    def importance(self, rng: Random) -> Steps:
        scores = yield from masked_scores(self.sample.text, self.words)
        return (yield from self.one_by_one([self.words[i] for i in descending(scores)]))

    def random_order(self, rng: Random) -> Steps:
        return (yield from self.one_by_one(random_order(self.words, rng)))

    def one_by_one(self, order: list[int]) -> Steps:
        return in_order(self.sample.text, self.sample.score, order, self.candidates)

    def random(self, rng: Random) -> Steps:
        sample = self.sample
        return random_search(sample.text, sample.score, self.words, self.candidates, rng, changes=self.limits.most)

    def beam(self, rng: Random, width: int) -> Steps:
        return beam(self.sample.text, self.sample.score, self.words, self.candidates, width=width)

    def genetic(self, rng: Random) -> Steps:
        sample = self.sample
        return evolve(sample.text, sample.score, self.words, self.candidates, rng, allowed=self.limits.allow)

    def swarm(self, rng: Random) -> Steps:
        sample = self.sample
        return swarm(sample.text, sample.score, self.words, self.candidates, rng, allowed=self.limits.allow)


SEARCHES: dict[str, Callable[[Space, Random], Steps]] = {
    "random": Space.random,
    "random_order": Space.random_order,
    "importance": Space.importance,
    "greedy": partial(Space.beam, width=1),
    "beam": partial(Space.beam, width=8),
    "genetic": Space.genetic,
    "swarm": Space.swarm,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class WordSearch:
    """The default threat, a quarter of the words, follows `candidates`; `language` names the stop words."""

    search: str = "importance"
    threat: Threat = THREAT
    candidates: str = CANDIDATES
    language: str = "en"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        stopwords(self.language)
        if self.search not in SEARCHES:
            raise unknown("search", self.search, SEARCHES)
        follow_candidates(self, THREAT, partial(word_threat, share=SHARE))

    def run(self, sample: Sample, rng: Random) -> Steps:
        limits = Limits(sample.threat, sample.text)
        words = content_words(sample.text, language=self.language)
        space = Space(sample, words, limits.within(candidate_maker(self.candidates)), limits)
        return SEARCHES[self.search](space, rng)
