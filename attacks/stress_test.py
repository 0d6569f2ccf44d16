"""Stress tests (Naik et al., 2018): a tautology is added: word overlap, negation, or length; the worst of them.

Differs from the paper: it adds overlap and negation to the hypothesis and length to the premise of a pair; here the kinds
go to the one field that the threat names, before its final punctuation, and are tried in turn until one succeeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from robustbench_nlp.attack import Sample, Score, Scores, Steps
from robustbench_nlp.constraints.words import inside
from robustbench_nlp.errors import unknown
from robustbench_nlp.text import words_of
from robustbench_nlp.threat import Threat

__all__ = ["StressTest"]

ADDITIONS = {
    "overlap": "and true is true",
    "negation": "and false is not true",
    "length": " ".join(["and true is true"] * 5),
}
TAUTOLOGY = Threat(
    name="tautology",
    unit="sentence",
    max_words_changed=max(len(words_of(words)) for words in ADDITIONS.values()),
    max_edits=1 + max(map(len, ADDITIONS.values())),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class StressTest:
    """`kinds` are the additions to try, in order. Deterministic: no randomness is drawn."""

    threat: Threat = TAUTOLOGY
    kinds: tuple[str, ...] = tuple(ADDITIONS)
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in ADDITIONS:
                raise unknown("kind of stress_test", kind, ADDITIONS)

    def run(self, sample: Sample, rng: Random) -> Steps:
        for kind in self.kinds:
            text = sample.text.insert(len(sample.text), ADDITIONS[kind])
            if not inside(sample.threat, str(sample.text), [text]):
                continue
            answer: Scores = yield Score([text])
            if answer.success[0]:
                return text
        return None
