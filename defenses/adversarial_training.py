"""Online adversarial training (after Goodfellow et al., 2015): each epoch adds attacks on the model as it then stands.

Differs from the paper: the adversarial texts come from word and character attacks run to their end on a sample of the
training examples, as in Yoo and Qi (2021), and stand beside the clean texts instead of a weighted second loss. The attack of
Yoo and Qi, which ranks words by the gradient, is `attacks=('a2t',)`, and not the default.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from robustbench_nlp.adversaries import adversarial, taught, versions
from robustbench_nlp.data.example import Example, Input
from robustbench_nlp.training import further
from robustbench_nlp.victim import Victim
from robustbench_nlp.victims.hf import HFVictim

__all__ = ["AdversarialTraining"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AdversarialTraining:
    """Before each of `epochs`, each of `attacks` (selectors) meets `sample` training examples; what it ends in joins the epoch.

    `max_queries` bounds an attack on one example (None: no bound).
    """

    version: ClassVar[int] = 2

    attacks: tuple[str, ...] = ("deepwordbug", "pwws")
    sample: int = 500
    max_queries: int | None = 200
    epochs: int = 2
    learning_rate: float = 5e-5

    @property
    def known(self) -> tuple[str, ...]:
        """The attacks that are learned from."""
        return taught(self.attacks)

    @property
    def sources(self) -> list[object]:
        """The versions of the attacks and of their models."""
        return versions(self.attacks)

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        seed = copy(rng).getrandbits(32)

        def more(current: HFVictim, epoch: int) -> tuple[list[Input], list[int]]:
            return adversarial(
                self.attacks, current, train, seed + epoch, sample=self.sample, max_queries=self.max_queries
            )

        return further(self, victim, train, rng, more=more)
