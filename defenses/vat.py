"""Virtual adversarial training (Miyato et al., 2018; with the smoothness term of SMART, Jiang et al., 2020).

Beside its loss the model learns to answer alike at its input embeddings and at the worst place close to them, whatever the
label. Differs from SMART: no Bregman proximal steps, and the norm is L2 over the whole text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from robustbench_nlp.data.example import Example
from robustbench_nlp.perturbation import Ascent, divergence, embedded, worst
from robustbench_nlp.training import Batch, further
from robustbench_nlp.victim import Victim

__all__ = ["VAT"]


@dataclass(frozen=True, kw_only=True, slots=True)
class VAT(Ascent):
    """The divergence has `weight` beside the loss; `steps` of size `step` from noise of size `init`, inside `radius`; sizes are L2 norms
    over all of a text's embeddings (`init`: at most)."""

    weight: float = 1.0
    steps: int = 1
    step: float = 0.3
    init: float = 0.05
    radius: float = 0.3
    epochs: int = 2
    learning_rate: float = 5e-5

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        def objective(batch: Batch) -> float:
            import torch

            place = embedded(batch)
            clean = place.logits()
            fixed = clean.detach()
            change = worst(place, self, lambda change: divergence(place.logits(change), fixed))
            loss = torch.nn.functional.cross_entropy(clean, batch.labels)
            loss = loss + self.weight * divergence(place.logits(change), clean)
            torch.autograd.backward(loss)
            return float(loss.detach())

        return further(self, victim, train, rng, objective=objective)
