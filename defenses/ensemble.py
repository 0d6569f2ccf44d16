"""Deep ensemble (Lakshminarayanan et al., 2017): the mean probabilities of several trainings that differ in their seed.

Differs from the paper: the members go on from one victim's weights, each in its own order and with its own dropout, instead
of starting from different ones, and see no adversarial examples unless the defense that trains them makes some. In turns they
are a randomised ensemble (Pinot et al., 2020): one member, the next, answers a draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from random import Random
from typing import Any

from robustbench_nlp.averaging import Averaged
from robustbench_nlp.data.example import Example
from robustbench_nlp.defense import Composed, compose, defend
from robustbench_nlp.errors import UsageError
from robustbench_nlp.training import Recipe, continue_training
from robustbench_nlp.victim import Victim

__all__ = ["Ensemble"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ensemble:
    """`members` trainings of the victim by the defenses of `of` (selectors), one after the other and again from the first; without any,
    plainly, for `epochs` at `learning_rate`. Their word embeddings aren't trained, so that attacks find gradients to them all at one place. `in_turns`
    each draw asks one member."""

    members: int = 3
    of: tuple[str, ...] = ()
    in_turns: bool = False
    epochs: int = 1
    learning_rate: float = 8e-5

    def __post_init__(self) -> None:
        if self.members < 1:
            raise UsageError(f"an ensemble of {self.members} members answers nothing; give at least 1")
        if len(self.of) > self.members:
            raise UsageError(
                f"an ensemble of {self.members} members has no place for {len(self.of)} defenses; give more members"
            )
        for selector in self.of:
            if getattr(compose(selector), "detects", False):
                raise UsageError(f"no member of an ensemble rejects; name the detector before it: {selector}+ensemble")

    @property
    def known(self) -> tuple[str, ...]:
        """What the members learn from."""
        return Composed(parts=tuple(map(compose, self.of))).known

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        """Raises `UsageError` for a victim without weights to train, `TrainingCollapsed` where nothing was learned."""
        seeds = [rng.getrandbits(32) for _ in range(self.members)]
        if self.of:
            trained = [defend(victim, of, train, seed) for of, seed in zip(cycle(self.of), seeds, strict=False)]
        else:
            recipe = Recipe(epochs=self.epochs, learning_rate=self.learning_rate)
            how: dict[str, Any] = {"kind": "ensemble", "settings": {}, "recipe": recipe}
            trained = [continue_training(victim, train, seed, **how) for seed in seeds]
        made = Averaged(trained, in_turns=self.in_turns)
        made.added_seconds -= (self.members - 1) * getattr(victim, "added_seconds", 0.0)  # which all members share
        return made
