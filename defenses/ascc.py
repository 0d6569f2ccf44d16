"""ASCC (Dong et al., 2021): the model learns to answer alike all over the convex hull of each word's synonyms.

An adversary mixes each word's embedding with those of its synonyms so that the answer moves most, kept near single words by a
price on the mixtures' entropy; the model pays for the divergence of its answer there from the clean one. Differs from the paper:
steps along the normalised gradient instead of Adam's, fewer of them, dropout also while the adversary searches, so that a part of the
divergence is dropout's, and synonyms only for words that are one token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from robustbench_nlp.data.example import Example
from robustbench_nlp.edits.words import candidate_words
from robustbench_nlp.errors import UsageError
from robustbench_nlp.perturbation import embedded, one_sided
from robustbench_nlp.synonym_hull import SynonymTable
from robustbench_nlp.training import Batch, further
from robustbench_nlp.victim import Victim

__all__ = ["ASCC"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ASCC:
    """`steps` of size `step` (of a whole text's logits, L2) at a `price` of entropy; the divergence has `weight`."""

    version: ClassVar[int] = 2

    candidates: str = "neighbours(8)"
    steps: int = 2
    step: float = 10.0
    price: float = 1.0
    weight: float = 4.0
    epochs: int = 2
    learning_rate: float = 5e-5

    def __post_init__(self) -> None:
        candidate_words(self.candidates)
        if self.steps < 1 or min(self.step, self.price, self.weight) < 0:
            raise UsageError("ascc wants steps of 1 or more, and no negative step, price or weight")

    @property
    def known(self) -> tuple[str, ...]:
        """The set that substitutes are learned from."""
        return (self.candidates.partition("(")[0].partition(":")[0],)

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        table = SynonymTable(self.candidates)

        def objective(batch: Batch) -> float:
            import torch

            place = embedded(batch)
            hull, clean = table.hull(place, batch.reader), place.logits()
            fixed = clean.detach()
            logits = torch.randn_like(hull.there, dtype=torch.float32).requires_grad_(True)
            for _ in range(self.steps):
                gain = one_sided(fixed, place.logits(hull.change(logits))) - self.price * hull.entropy(logits)
                (slope,) = torch.autograd.grad(gain, logits)
                length = slope.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None]
                logits = (logits.detach() + self.step * slope / length).requires_grad_(True)
            loss = torch.nn.functional.cross_entropy(clean, batch.labels)
            loss = loss + self.weight * one_sided(clean, place.logits(hull.change(logits.detach())))
            torch.autograd.backward(loss)
            return float(loss.detach())

        return further(self, victim, train, rng, objective=objective)
