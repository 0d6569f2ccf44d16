"""FreeLB (Zhu et al., 2020): adversarial training that learns from every step of the climb, not only from its end.

Each of the ascent steps gives a gradient for the perturbation of the word embeddings and one for the model, from the same
backward pass; the model moves by their mean. Differs from the paper: dropout masks are drawn anew at each step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from robustbench_nlp.data.example import Example
from robustbench_nlp.perturbation import Ascent, embedded, start, stepped
from robustbench_nlp.training import Batch, Objective, further
from robustbench_nlp.victim import Victim

__all__ = ["FreeLB", "accumulated"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FreeLB(Ascent):
    """`steps` of size `step` from noise of size `init`, inside `radius` (0: no bound); sizes are L2 norms
    over all of a text's embeddings (`init`: at most)."""

    steps: int = 3
    step: float = 0.1
    init: float = 0.05
    radius: float = 0.3
    epochs: int = 2
    learning_rate: float = 5e-5

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        return further(self, victim, train, rng, objective=accumulated(self))


def accumulated(ascent: Ascent) -> Objective:
    """The objective: the mean loss over the steps of an ascent, each of which is learned from."""

    def objective(batch: Batch) -> float:
        import torch

        place, total = embedded(batch), 0.0
        change = start(place, ascent)
        for left in range(ascent.steps, 0, -1):
            loss = torch.nn.functional.cross_entropy(place.logits(change), batch.labels) / ascent.steps
            torch.autograd.backward(loss)
            total += float(loss.detach())
            if left > 1:
                change = stepped(change, change.grad, ascent)
        return total

    return objective
