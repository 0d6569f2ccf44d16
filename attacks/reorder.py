"""Reordering (after the syntactic transformations of Iyyer et al., 2018): the same words in another order, by rules.

A clause moves across its comma ("when X , Y" and "Y , when X"), two adjectives or nouns joined by "and" change places; the
best move stays and the next is tried, until the victim is fooled. Differs from the paper: rules for English stand in place
of a trained, syntactically controlled paraphraser, few sentences have such a move, and no word changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from robustbench_nlp.attack import Sample, Score, Scores, Steps
from robustbench_nlp.constraints.words import inside
from robustbench_nlp.edits.order import reorderings
from robustbench_nlp.errors import UsageError
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat

__all__ = ["Reorder"]

SAME_WORDS = Threat(name="same_words", unit="sentence", candidates="reorderings-1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reorder:
    """At most `moves` moves. Deterministic."""

    threat: Threat = SAME_WORDS
    moves: int = 3
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.moves < 1:
            raise UsageError(f"reorder cannot make {self.moves} moves; set moves to 1 or more")

    def run(self, sample: Sample, rng: Random) -> Steps:
        original, best = str(sample.text), sample.score
        current, tried = original, {original}
        for _ in range(self.moves):
            made = [string for string in dict.fromkeys(reorderings(current)) if string not in tried]
            tried.update(made)
            texts = inside(sample.threat, original, [Text(string, end=0) for string in made])
            if not texts:
                return None
            answer: Scores = yield Score(texts)
            if True in answer.success:
                return None  # the best confirmed one is the engine's to choose
            top = max(range(len(texts)), key=answer.score.__getitem__)
            if answer.score[top] <= best:
                return None
            current, best = str(texts[top]), answer.score[top]
        return None
