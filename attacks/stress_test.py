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
from robustbench_nlp.edits.tautologies import TAUTOLOGIES
from robustbench_nlp.errors import unknown
from robustbench_nlp.text import words_of
from robustbench_nlp.threat import Threat

__all__ = ["StressTest"]

TAUTOLOGY = Threat(
    name="tautology",
    unit="sentence",
    max_words_changed=max(len(words_of(words)) for words in TAUTOLOGIES.values()),
    max_edits=1 + max(map(len, TAUTOLOGIES.values())),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class StressTest:
    """`kinds` are the additions to try, in order. Deterministic: no randomness is drawn."""

    threat: Threat = TAUTOLOGY
    kinds: tuple[str, ...] = tuple(TAUTOLOGIES)
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in TAUTOLOGIES:
                raise unknown("kind of stress_test", kind, TAUTOLOGIES)

    def run(self, sample: Sample, rng: Random) -> Steps:
        for kind in self.kinds:
            text = sample.text.insert(len(sample.text), TAUTOLOGIES[kind])
            if not inside(sample.threat, str(sample.text), [text]):
                continue
            answer: Scores = yield Score([text])
            if answer.success[0]:
                return text
        return None
