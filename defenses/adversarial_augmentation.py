"""Adversarial data augmentation (as Jin et al., 2020, and many since): offline attacks on the victim join the training data.

The undefended victim is attacked once on a sample of the training examples; what each attack ends in is learned with the right
label in every epoch. Differs from the paper: texts that don't fool the victim are learned too. Were they left out, an attack
that fools one class more than the other (a tautology behind the text) would teach its traces as that class's. The online
counterpart is `adversarial_training`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from robustbench_nlp.adversaries import once, taught, versions
from robustbench_nlp.data.example import Example
from robustbench_nlp.training import further
from robustbench_nlp.victim import Victim

__all__ = ["AdversarialAugmentation"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AdversarialAugmentation:
    """Each of `attacks` (selectors) meets `sample` training examples, with at most `max_queries` each (None: no bound)."""

    version: ClassVar[int] = 2

    attacks: tuple[str, ...] = ("deepwordbug", "pwws")
    sample: int = 1000
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
        more = once(self.attacks, victim, train, rng, sample=self.sample, max_queries=self.max_queries)
        return further(self, victim, train, rng, more=more)
