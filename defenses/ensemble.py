"""Deep ensemble (Lakshminarayanan et al., 2017): the mean probabilities of several trainings that differ in their seed.

Differs from the paper: the members go on from one victim's weights, each in its own order and with its own dropout, instead
of starting from different ones, and see no adversarial examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from robustbench_nlp.averaging import Averaged
from robustbench_nlp.data.example import Example
from robustbench_nlp.errors import UsageError
from robustbench_nlp.training import Recipe, continue_training
from robustbench_nlp.victim import Victim

__all__ = ["Ensemble"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ensemble:
    """`members` trainings of the victim. Their embeddings stay, so that attacks find gradients to them all at one place."""

    members: int = 3
    epochs: int = 1
    learning_rate: float = 8e-5

    def __post_init__(self) -> None:
        if self.members < 1:
            raise UsageError(f"an ensemble of {self.members} members answers nothing; give at least 1")

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        """Raises `UsageError` for a victim without weights to train, `TrainingCollapsed` where nothing was learned."""
        recipe = Recipe(epochs=self.epochs, learning_rate=self.learning_rate)
        seeds = [rng.getrandbits(32) for _ in range(self.members)]
        return Averaged(
            [continue_training(victim, train, seed, kind="ensemble", settings={}, recipe=recipe) for seed in seeds]
        )
