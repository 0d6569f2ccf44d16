"""PWWS (Ren et al., 2019): WordNet synonyms, the most salient words with the most effective synonym first.

Differs from the paper: no swap of named entities (it needs the training set's entities by class), no part-of-speech
filter on synonyms, stop words are left alone; only words with synonyms are masked, which leaves the order as it is.
`variant="textattack"` is TextAttack's recipe: words are weighted by the score reached instead of its gain, and at each
word all synonyms are scored again in the current text and the best is kept only where it raises the score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from random import Random
from typing import ClassVar, Literal

from robustbench_nlp.attack import Sample, Score, Scores, Steps
from robustbench_nlp.constraints.words import content_words
from robustbench_nlp.edits.synonyms import with_synonyms
from robustbench_nlp.edits.words import Limits
from robustbench_nlp.errors import unknown
from robustbench_nlp.search.greedy import in_order
from robustbench_nlp.search.importance import descending, masked_scores, probed
from robustbench_nlp.threat import Threat

__all__ = ["PWWS"]

VARIANTS = ("paper", "textattack")
SYNONYM = Threat(name="synonym", unit="word", candidates="wordnet-3.0")


@dataclass(frozen=True, kw_only=True, slots=True)
class PWWS:
    """Deterministic: no randomness is drawn."""

    threat: Threat = SYNONYM
    variant: Literal["paper", "textattack"] = "paper"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise unknown("variant of pwws", self.variant, VARIANTS)

    def run(self, sample: Sample, rng: Random) -> Steps:
        paper = self.variant == "paper"
        choices = {
            number: [text.word(number) for text in with_synonyms(sample.text, number)]
            for number in content_words(sample.text)
        }
        numbers = [number for number, words in choices.items() if words or not paper]
        if not numbers:
            return None
        saliency = yield from masked_scores(sample.text, numbers)
        scores = yield from probed(sample.text.swap(number, word) for number in numbers for word in choices[number])
        chosen: dict[int, str] = {}
        gains, answers = [], iter(scores)
        for number in numbers:
            reached = [next(answers) for _ in choices[number]]
            best = max(reached, default=0.0)
            gains.append(best - sample.score if paper else best)
            if reached:
                chosen[number] = choices[number][reached.index(best)]
        order = [numbers[i] for i in descending([exp(s) * gain for s, gain in zip(saliency, gains, strict=True)])]
        if paper:
            return (yield from _substitute(sample, order, chosen))
        within = Limits(sample.threat, sample.text).within(with_synonyms)
        return (yield from in_order(sample.text, sample.score, order, within))


def _substitute(sample: Sample, order: Sequence[int], chosen: dict[int, str]) -> Steps:
    """Put in the chosen synonyms one after another, as far as the threat allows, until the victim is fooled."""
    text, limits = sample.text, Limits(sample.threat, sample.text)
    for number in order:
        new = text.swap(number, chosen[number])
        if not limits.allow(new):
            continue
        text = new
        answer: Scores = yield Score([text])
        if answer.success[0]:
            return text
    return None
