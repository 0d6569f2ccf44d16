"""PGD adversarial training (Madry et al., 2018; on embeddings as Miyato et al., 2017): the model learns the worst nearby batch.

A perturbation of the word embeddings climbs the loss for a few steps; the model then learns from the perturbed batch and
from the clean one. Differs from Madry et al.: the ball is one of L2, and the clean batch keeps half of the weight, as in Miyato et
al.; from these: several steps, and embeddings aren't normalised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from robustbench_nlp.data.example import Example
from robustbench_nlp.perturbation import Ascent, embedded, worst
from robustbench_nlp.training import Batch, further
from robustbench_nlp.victim import Victim

__all__ = ["PGD"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PGD(Ascent):
    """`steps` of size `step` from noise of size `init`, inside `radius` (0: no bound); sizes are L2 norms
    over all of a text's embeddings (`init`: at most)."""

    steps: int = 2
    step: float = 0.15
    init: float = 0.05
    radius: float = 0.3
    epochs: int = 2
    learning_rate: float = 5e-5

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        def objective(batch: Batch) -> float:
            import torch

            place, entropy = embedded(batch), torch.nn.functional.cross_entropy
            change = worst(place, self, lambda change: entropy(place.logits(change), batch.labels))
            loss = (entropy(place.logits(), batch.labels) + entropy(place.logits(change), batch.labels)) / 2
            torch.autograd.backward(loss)
            return float(loss.detach())

        return further(self, victim, train, rng, objective=objective)
