"""FreeLB++ (Li et al., 2021): FreeLB without a bound on the perturbation, and with more steps.

Differs from the paper: fewer steps than its 10 to 30, which two cores can't afford, so that it gets no farther than
(steps - 1) · step + init.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from robustbench_nlp.data.example import Example
from robustbench_nlp.defenses.freelb import accumulated
from robustbench_nlp.perturbation import Ascent
from robustbench_nlp.training import further
from robustbench_nlp.victim import Victim

__all__ = ["FreeLBPlus"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FreeLBPlus(Ascent):
    """`steps` of size `step` from noise of size `init`; sizes are L2 norms
    over all of a text's embeddings (`init`: at most)."""

    steps: int = 4
    step: float = 0.08
    init: float = 0.05
    epochs: int = 2
    learning_rate: float = 5e-5

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        return further(self, victim, train, rng, objective=accumulated(self))
