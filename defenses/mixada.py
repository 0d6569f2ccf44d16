"""MixADA (Si et al., 2021): mixtures of clean and adversarial examples, and of their labels, are learned beside them.

Attacks on the undefended victim join the training data; then each text is mixed with another of its batch, at the input
embeddings and in its label. Differs from the paper: mixing happens at the embeddings instead of at a hidden layer drawn
anew, and texts are attacked once, before the training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from robustbench_nlp.adversaries import once, taught, versions
from robustbench_nlp.data.example import Example
from robustbench_nlp.errors import UsageError
from robustbench_nlp.perturbation import embedded
from robustbench_nlp.training import Batch, further
from robustbench_nlp.victim import Victim

__all__ = ["MixADA"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MixADA:
    """Each batch draws one share for its mixtures from Beta(`alpha`, `alpha`); mixtures have `weight` beside the plain
    loss. `attacks`, `sample` and `max_queries` as in `adversarial_augmentation`."""

    version: ClassVar[int] = 2

    attacks: tuple[str, ...] = ("deepwordbug", "pwws")
    sample: int = 500
    max_queries: int | None = 200
    alpha: float = 2.0
    weight: float = 1.0
    epochs: int = 2
    learning_rate: float = 5e-5

    def __post_init__(self) -> None:
        if self.alpha <= 0 or self.weight < 0:
            raise UsageError("mixada wants an alpha above 0 and a weight of 0 or more")

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
        return further(self, victim, train, rng, objective=self._objective, more=more)

    def _objective(self, batch: Batch) -> float:
        import torch

        place, entropy = embedded(batch), torch.nn.functional.cross_entropy
        loss = entropy(place.logits(), batch.labels)
        order = batch.rng.sample(range(len(batch.inputs)), len(batch.inputs))
        share = batch.rng.betavariate(self.alpha, self.alpha)
        vectors = place.vectors
        mixture = vectors + (1 - share) * (vectors[order] - vectors).detach()
        # how far a decoder reads is told by the tokens
        tokens = place.tokens.where(place.mask[..., 0] > 0, place.tokens[order])
        mixed = place._replace(tokens=tokens, mask=torch.maximum(place.mask, place.mask[order]))
        if "attention_mask" in place.others:
            seen = mixed.mask[..., 0].to(place.others["attention_mask"].dtype)
            mixed = mixed._replace(others=place.others | {"attention_mask": seen})
        logits = mixed.outputs(mixture).logits
        both = share * entropy(logits, batch.labels) + (1 - share) * entropy(logits, batch.labels[order])
        total = loss + self.weight * both
        torch.autograd.backward(total)
        return float(total.detach())
