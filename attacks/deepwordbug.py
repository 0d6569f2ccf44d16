"""DeepWordBug (Gao et al., 2018): small random character edits in the words that matter most.

The paper ranks all words by the combined temporal score and edits one after another with one kind of edit until the edit
distance is spent. Differs from the paper: the victim is asked after each edit and the first success ends the attack; the
empty text's score is taken as 0.5 instead of asked for. `variant="textattack"` is TextAttack's recipe: words ranked by
masking them (the paper's replace-1 score), stop words and single letters spared, the best of one random edit of each kind
kept where it raises the score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Literal

from robustbench_nlp.attack import Sample, Score, Scores, Steps
from robustbench_nlp.constraints.words import content_words, inside
from robustbench_nlp.edits.characters import Typo, delete, insert, one_of_each, substitute, swap
from robustbench_nlp.errors import unknown
from robustbench_nlp.search.greedy import in_order
from robustbench_nlp.search.importance import descending, masked_scores, temporal_scores
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat

__all__ = ["DeepWordBug"]

CHAR_30 = Threat(name="char_30", unit="char", max_edits=30)
VARIANTS = ("paper", "textattack")

EDITS: dict[str, Typo] = {"swap": swap, "substitute": substitute, "delete": delete, "insert": insert}


@dataclass(frozen=True, kw_only=True, slots=True)
class DeepWordBug:
    """`edit` is the paper variant's kind of edit; TextAttack's variant tries all four."""

    threat: Threat = CHAR_30
    variant: Literal["paper", "textattack"] = "paper"
    edit: Literal["swap", "substitute", "delete", "insert"] = "substitute"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise unknown("variant of deepwordbug", self.variant, VARIANTS)
        if self.edit not in EDITS:
            raise unknown("edit of deepwordbug", self.edit, EDITS)

    @property
    def drawn_from(self) -> tuple[str, ...]:
        """The kinds of its edits."""
        return (self.edit,) if self.variant == "paper" else tuple(EDITS)

    def run(self, sample: Sample, rng: Random) -> Steps:
        return _by_paper(sample, rng, EDITS[self.edit]) if self.variant == "paper" else _by_textattack(sample, rng)


def _by_paper(sample: Sample, rng: Random, edit: Typo) -> Steps:
    current, original = sample.text, str(sample.text)
    if not len(current):
        return None
    for number in descending((yield from temporal_scores(sample))):
        new = current.swap(number, edit(current.word(number), rng))
        if new == current or not inside(sample.threat, original, [new]):
            continue
        current = new
        answer: Scores = yield Score([current])
        if answer.success[0]:
            return current
    return None


def _by_textattack(sample: Sample, rng: Random) -> Steps:
    original = str(sample.text)

    def candidates(text: Text, number: int) -> Sequence[Text]:
        edited = [text.swap(number, word) for word in one_of_each(text.word(number), rng)]
        return sorted(inside(sample.threat, original, edited), key=str)

    numbers = content_words(sample.text)
    if not numbers:
        return None
    scores = yield from masked_scores(sample.text, numbers)
    return (yield from in_order(sample.text, sample.score, [numbers[i] for i in descending(scores)], candidates))
