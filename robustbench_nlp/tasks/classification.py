"""Classification: what an attack is after, by score and margin; most are after any other class.

A clean answer is right where the label leads; an attack succeeds where another class leads by `MARGIN`. In the band
between, which only ties and rounding reach, the doubt is held against the victim on clean text and against the attack
afterwards, so that a victim without an opinion has no accuracy to lose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp.victim import Probabilities

__all__ = [
    "DIGITS",
    "KEPT",
    "MARGIN",
    "UNTARGETED",
    "VERSION",
    "Goal",
    "Judgement",
    "fooled",
    "goal_of",
    "judge",
    "right",
]

VERSION = 1
DIGITS = 5
"""Decimals that reach an attack: transformers move by 1e-6 with the batch, and ties must not break on that."""
MARGIN = 1e-4
"""How far another class must lie above the label for a success."""


class Judgement(NamedTuple):
    """Per input: `score` = 1 − p(label), rounded; `margin` = p(label) − the best other class, negative when fooled."""

    score: NDArray[np.float64]
    margin: NDArray[np.float64]


def judge(outputs: Probabilities, labels: Sequence[int]) -> Judgement:
    """Judge outputs (n, classes) against n labels."""
    probabilities = outputs.astype(np.float64)
    rows = np.arange(len(labels))
    right = probabilities[rows, labels]
    probabilities[rows, labels] = -1.0
    return Judgement(np.round(1.0 - right, DIGITS), right - probabilities.max(axis=1))


@dataclass(frozen=True, slots=True)
class Goal:
    """What an attack is after. Its score, in [0, 1], is 1 − p(label) where the label is to fall, p(label) where it is to stay.

    Only a goal that `fools` tells of robustness; the others have a mode of their own and stand in no worst case.
    """

    name: str
    fools: bool

    def score(self, doubt: float) -> float:
        """The score by `Judgement.score`."""
        return doubt if self.fools else round(1.0 - doubt, DIGITS)

    def met(self, margin: float) -> bool:
        """Whether the answer to a changed text is a success of the attack."""
        return fooled(margin) if self.fools else fooled(-margin)


UNTARGETED = Goal("untargeted", fools=True)
"""Any other class."""
KEPT = Goal("keep_prediction", fools=False)
"""The label stays although the text is hardly there any more (Feng et al., 2018)."""


def goal_of(attack: object) -> Goal:
    """What an attack is after: its `goal`, without one any other class."""
    goal: Goal = getattr(attack, "goal", UNTARGETED)
    return goal


def right(margin: float) -> bool:
    """Whether the clean answer counts: the label leads, a tie is no answer."""
    return margin > 0


def fooled(margin: float) -> bool:
    """Whether another class leads by more than another batch or machine moves."""
    return margin < -MARGIN
