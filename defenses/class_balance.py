"""Class balancing: a rare class weighs as much as a frequent one, in the loss or by showing its examples more often.

For victims that were trained on skewed data; weights are those of King and Zeng (2001), n / (classes · count).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any, Literal

from robustbench_nlp.data.example import Example, Input
from robustbench_nlp.errors import unknown
from robustbench_nlp.training import Batch, further
from robustbench_nlp.victim import Victim

__all__ = ["ClassBalance"]

WAYS = ("weights", "resample")


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassBalance:
    """`way`: weights in the loss, or examples of the smaller classes drawn again until all are of one size."""

    way: Literal["weights", "resample"] = "weights"
    epochs: int = 2
    learning_rate: float = 5e-5

    def __post_init__(self) -> None:
        if self.way not in WAYS:
            raise unknown("way of class_balance", self.way, WAYS)

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        if self.way == "resample":
            seed = copy(rng).getrandbits(32)

            def more(current: Any, epoch: int) -> tuple[list[Input], list[int]]:
                return _drawn(train, Random(seed + epoch))

            return further(self, victim, train, rng, more=more)

        @cache
        def weights() -> list[float]:
            counts = Counter(example.label for example in train)
            classes = range(max(len(victim.label_names), *counts, 1))
            return [len(train) / (len(counts) * counts[label]) if counts[label] else 0.0 for label in classes]

        def objective(batch: Batch) -> float:
            import torch

            weighed = torch.tensor(weights(), device=batch.labels.device)
            logits = batch.model(**batch.tensors()).logits
            loss = torch.nn.functional.cross_entropy(logits, batch.labels, weight=weighed)
            torch.autograd.backward(loss)
            return float(loss.detach())

        return further(self, victim, train, rng, objective=objective)


def _drawn(train: Sequence[Example], rng: Random) -> tuple[list[Input], list[int]]:
    """As many further examples of each class as the largest one has more."""
    counts = Counter(example.label for example in train)
    inputs: list[Input] = []
    labels: list[int] = []
    for label in sorted(counts):
        own = [example.input for example in train if example.label == label]
        missing = max(counts.values()) - len(own)
        inputs += rng.choices(own, k=missing)
        labels += [label] * missing
    return inputs, labels
