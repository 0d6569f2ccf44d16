"""The referee: rechecks a claimed success from the original text before anyone hears of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp.data.example import Example, Input
from robustbench_nlp.detection import Detecting
from robustbench_nlp.errors import VictimError
from robustbench_nlp.isolation import asked, isolated
from robustbench_nlp.predictor import Predictor
from robustbench_nlp.tasks.classification import UNTARGETED, Goal, judge
from robustbench_nlp.threat import Threat, violations
from robustbench_nlp.victim import Probabilities

__all__ = ["Encoder", "Referee", "Verdict", "similarities"]

Encoder = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts to sentence vectors (n, dimensions) of unit length."""


def similarities(encoder: Encoder, originals: Sequence[str], adversarials: Sequence[str]) -> list[float | VictimError]:
    """The cosine of each pair of whole texts, encoded in one call, in smaller ones where that fails; the error of a pair that fails
    alone. Raises `UsageError`."""

    def cosines(pairs: Sequence[tuple[str, str]]) -> list[float]:
        texts = [text for texts in zip(*pairs, strict=True) for text in texts]
        vectors = asked("the encoder", lambda: encoder(texts))
        return [float(before @ after) for before, after in zip(vectors, vectors[len(pairs) :], strict=False)]

    found: list[float | VictimError] = []
    for part in isolated([*zip(originals, adversarials, strict=True)], cosines) if originals else ():
        found += [part.answer] * part.size if isinstance(part.answer, VictimError) else part.answer
    return found


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the referee says of one text: `reason` is empty for a credited success."""

    reason: str
    output: Probabilities | None = None
    margin: float | None = None

    @property
    def success(self) -> bool:
        return not self.reason


class Referee:
    """Judges final texts under one threat by one victim's exact predictions."""

    def __init__(
        self, threat: Threat, predictor: Predictor, encoder: Encoder | None = None, goal: Goal = UNTARGETED
    ) -> None:
        self.threat = threat
        self.goal = goal
        self._predictor = predictor
        self._encoder = encoder

    def judge(self, example: Example, field: str, string: str) -> Verdict:
        """Recheck the threat from the original, then predict the text alone. Raises `VictimError`."""
        original = example.fields[field]
        broken = violations(self.threat, original, string)
        if not broken and self.threat.min_similarity is not None and self._encoder is not None:
            (close,) = similarities(self._encoder, [original], [string])
            if isinstance(close, VictimError):
                raise close
            if close < self.threat.min_similarity:
                broken = [f"similarity {close:.3f} is below {self.threat.min_similarity}"]
        if broken:
            return Verdict(f"outside the threat: {broken[0]}")
        changed = example.with_field(field, string)
        output = self._predictor.exact(changed)
        margin = float(judge(output[np.newaxis], [example.label]).margin[0])
        if not self.goal.met(margin):
            told = "was not fooled" if self.goal.fools else "changed its answer"
            return Verdict(f"the victim, asked again alone, {told}", output, margin)
        if self._rejects(changed):
            return Verdict("the detector rejects it", output, margin)
        return Verdict("", output, margin)

    def _rejects(self, item: Input) -> bool:
        """Whether a detector that attacks have to pass rejects the input."""
        victim = self._predictor.victim
        if not getattr(victim, "evaded", False):
            return False
        assert isinstance(victim, Detecting)
        return bool(asked("the detector", lambda: victim.suspicion([item]))[0] >= victim.threshold)
