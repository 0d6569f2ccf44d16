"""Input reduction (Feng et al., 2018): words are left out as long as the victim keeps its answer, to see how little it needs.

A beam of texts loses one word a step; the texts that keep the prediction and are surest of it go on, and the shortest one is
the result. It measures no robustness and stands in no worst case. Differs from the paper: the words to leave out are found
by leaving each of them out, not by the gradient at their embeddings, so that any victim can be reduced.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import nlargest
from random import Random
from typing import ClassVar

from robustbench_nlp.attack import Sample, Score, Scores, Steps
from robustbench_nlp.constraints.words import inside
from robustbench_nlp.errors import UsageError
from robustbench_nlp.tasks.classification import KEPT, Goal
from robustbench_nlp.threat import Threat

__all__ = ["InputReduction"]

DELETION = Threat(name="deletion", unit="word", candidates="deletion")


@dataclass(frozen=True, kw_only=True, slots=True)
class InputReduction:
    """`beam` texts go on at each step; at least one word stays. Deterministic."""

    threat: Threat = DELETION
    beam: int = 5
    version: ClassVar[int] = 1
    mode: ClassVar[str] = "reduction"
    goal: ClassVar[Goal] = KEPT

    def __post_init__(self) -> None:
        if self.beam < 1:
            raise UsageError(f"input_reduction cannot go on with {self.beam} texts; set beam to 1 or more")

    def run(self, sample: Sample, rng: Random) -> Steps:
        original, kept, shortest = str(sample.text), [sample.text], None
        for _ in range(len(sample.text) - 1):
            shorter = [text.delete(number) for text in kept for number, word in enumerate(text.words) if word]
            texts = inside(sample.threat, original, shorter)
            if not texts:
                break
            answer: Scores = yield Score(texts, confirm="all")
            good = [i for i, success in enumerate(answer.success) if success]
            if not good:
                break
            kept = [texts[i] for i in nlargest(self.beam, good, key=answer.score.__getitem__)]
            shortest = kept[0]
        return shortest
