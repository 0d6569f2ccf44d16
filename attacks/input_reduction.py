"""Input reduction (Feng et al., 2018): words are left out as long as the victim keeps its answer, to see how little it needs.

A beam of texts loses one word a step; the texts that keep the prediction and are surest of it go on, and the shortest one is
the result. It measures no robustness and stands in no worst case. Differs from the paper: the words to leave out are found
by leaving each of them out, not by the gradient at their embeddings, so that any victim can be reduced, at about beam/2
times the square of the number of words in queries. With `ranking="gradient"` each text loses one of the `beam` words with
the smallest gradients, whose size stands for the paper's product with the embedding. `variant="textattack"` is TextAttack's
recipe: one pass over the words, those first that leave the victim surest when they alone are left out; a word's number is
not adjusted for the words before it that are gone, so that about half of them are never tried.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from heapq import nlargest
from itertools import islice
from random import Random
from typing import Any, ClassVar, Literal, NamedTuple

from robustbench_nlp.attack import Request, Sample, Score, Scores, Steps
from robustbench_nlp.constraints.words import inside
from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.search.importance import descending, gradient_sizes
from robustbench_nlp.tasks.classification import KEPT, Goal
from robustbench_nlp.threat import DELETION, Threat

__all__ = ["InputReduction"]

LEFT_OUT = Threat(name="deletion", unit="word", candidates=DELETION)
RANKINGS = ("deletion", "gradient")
VARIANTS = ("paper", "textattack")
_CHUNK = 256

Removed = tuple[int, ...]
"""The slots of the words that are left out, ascending."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InputReduction:
    """`beam` texts go on at each step; at least one word stays. Deterministic. With `ranking="gradient"` the default threat
    knows gradients."""

    threat: Threat = LEFT_OUT
    beam: int = 5
    ranking: Literal["deletion", "gradient"] = "deletion"
    variant: Literal["paper", "textattack"] = "paper"
    version: ClassVar[int] = 1
    mode: ClassVar[str] = "reduction"
    goal: ClassVar[Goal] = KEPT

    def __post_init__(self) -> None:
        if self.beam < 1:
            raise UsageError(f"input_reduction cannot go on with {self.beam} texts; set beam to 1 or more")
        if self.ranking not in RANKINGS:
            raise unknown("ranking of input_reduction", self.ranking, RANKINGS)
        if self.variant not in VARIANTS:
            raise unknown("variant of input_reduction", self.variant, VARIANTS)
        if self.threat == LEFT_OUT and self.ranking == "gradient":
            object.__setattr__(self, "threat", replace(LEFT_OUT, name="deletion_gradient", knowledge="gradient"))

    def run(self, sample: Sample, rng: Random) -> Steps:
        if self.variant == "textattack":
            return (yield from _single_pass(sample))
        beam: list[Removed] = [()]
        shortest: Removed = ()
        for _ in range(len(sample.text) - 1):
            found = yield from _kept(sample, (yield from self._shorter(sample, beam)))
            confirmed = [one for one in found if one.confirmed]
            if not confirmed:
                break
            shortest = max(confirmed, key=_sureness).removed
            beam = [one.removed for one in nlargest(self.beam, found, key=_sureness)]
        return sample.text.delete(*shortest) if shortest else None

    def _shorter(self, sample: Sample, beam: Iterable[Removed]) -> Generator[Request, Any, list[Removed]]:
        """What one word less may be, for each text of the beam."""
        shorter: list[Removed] = []
        for removed in beam:
            left: Sequence[int] = [number for number in range(len(sample.text)) if number not in removed]
            if self.ranking == "gradient":
                sizes = yield from gradient_sizes(sample.text.delete(*removed))
                left = sorted(left, key=sizes.__getitem__)[: self.beam]
            shorter += [tuple(sorted((*removed, number))) for number in left]
        return shorter


class _Kept(NamedTuple):
    """A text that keeps the prediction: `score` is p(label), `confirmed` the referee's word, which only some are asked for."""

    removed: Removed
    score: float
    confirmed: bool


def _sureness(one: _Kept) -> float:
    return one.score


def _kept(sample: Sample, shorter: Iterable[Removed]) -> Generator[Request, Any, list[_Kept]]:
    """Of the texts without these words, those inside the threat that keep the prediction. Where outputs tell which do, the
    referee confirms the surest alone."""
    original, found = str(sample.text), []
    confirm: Literal["best", "all"] = "all" if sample.threat.knowledge == "decision" else "best"
    source = iter(dict.fromkeys(shorter))
    while chunk := list(islice(source, _CHUNK)):
        texts = inside(sample.threat, original, (sample.text.delete(*removed) for removed in chunk))
        if not texts:
            continue
        answer: Scores = yield Score(texts, confirm)
        for i, text in enumerate(texts):
            output, confirmed = answer.outputs[i] if answer.outputs else [], answer.success[i]
            if confirmed or (output and output[sample.label] == max(output)):
                removed = tuple(number for number, word in enumerate(text.words) if not word)
                found.append(_Kept(removed, answer.score[i], confirmed))
    return found


def _single_pass(sample: Sample) -> Steps:
    """TextAttack's recipe: its score is the share of words left out, p(label) breaks ties, so that all that is kept is an
    improvement; its numbers count the words that are left."""
    alone = yield from _kept(sample, ((number,) for number in range(len(sample.text))))
    sure = {one.removed[0]: one.score for one in alone}
    removed: Removed = ()
    for number in descending([sure.get(number, -1.0) for number in range(len(sample.text))]):
        left = [slot for slot in range(len(sample.text)) if slot not in removed]
        if number < len(left):
            found = yield from _kept(sample, [tuple(sorted((*removed, left[number])))])
            removed = next((one.removed for one in found if one.confirmed), removed)
    return sample.text.delete(*removed) if removed else None
