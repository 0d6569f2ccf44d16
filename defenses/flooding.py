"""Flooding (Ishida et al., 2020; as a defense Liu et al., 2022): the training loss is kept from sinking below a level.

Below the level the model climbs instead of descends, so that it stays out of sharp minima, whose answers small changes flip.
Differs from Liu et al.: the level is set by hand, not found by gradient accordance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from robustbench_nlp.data.example import Example
from robustbench_nlp.errors import UsageError
from robustbench_nlp.training import Batch, further
from robustbench_nlp.victim import Victim

__all__ = ["Flooding"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Flooding:
    """`level` is in nats, the unit of the loss."""

    level: float = 0.1
    epochs: int = 3
    learning_rate: float = 5e-5

    def __post_init__(self) -> None:
        if self.level < 0:
            raise UsageError(f"flooding cannot keep a loss at {self.level}; set level to 0 or more")

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:

        def objective(batch: Batch) -> float:
            import torch

            loss = torch.nn.functional.cross_entropy(batch.model(**batch.tensors()).logits, batch.labels)
            torch.autograd.backward((loss - self.level).abs() + self.level)
            return float(loss.detach())

        return further(self, victim, train, rng, objective=objective)
