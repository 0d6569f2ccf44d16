"""Consistency training (Zheng et al., 2016; for noisy text Vaibhav et al., 2019): the same answer to clean and noisy texts.

Beside its loss on the clean text, the model pays for the divergence between its answers to the text and to a noisy copy of
it. Differs from the papers: the divergence is symmetric, and the noise is one of typos, Unicode tricks, dropped words,
random synonyms, a masked language model's words or a tautology behind the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from robustbench_nlp.attack import FillMask
from robustbench_nlp.augmentation import KNOWN_FROM, NOISES, check_shares, noisy
from robustbench_nlp.data.example import Example
from robustbench_nlp.encoder import EMBEDDED
from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.helpers import identity
from robustbench_nlp.perturbation import divergence
from robustbench_nlp.training import Batch, further
from robustbench_nlp.victim import Victim

__all__ = ["Consistency"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Consistency:
    """A copy has `noise` in `share` of its words, one of `noises` drawn for each text; the divergence has `weight`."""

    noises: tuple[str, ...] = ("typos", "wordnet")
    share: float = 0.3
    weight: float = 1.0
    epochs: int = 2
    learning_rate: float = 5e-5

    def __post_init__(self) -> None:
        check_shares("consistency", share=self.share)
        for name in self.noises:
            if name not in NOISES:
                raise unknown("noise of consistency", name, NOISES)
        if not self.noises or self.weight < 0:
            raise UsageError("consistency wants one noise or more, and a weight of 0 or more")

    @property
    def known(self) -> tuple[str, ...]:
        """What the noises teach."""
        return tuple(name for noise in self.noises for name in KNOWN_FROM[noise])

    @property
    def sources(self) -> list[str]:
        """The masked language model that refills. Raises `UsageError` where it is needed and isn't here."""
        return [identity(FillMask, EMBEDDED)] if "refill" in self.noises else []

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        return further(self, victim, train, rng, objective=self._objective)

    def _objective(self, batch: Batch) -> float:
        import torch

        rng = batch.rng
        copies = [noisy(item, NOISES[rng.choice(self.noises)], rng, self.share) for item in batch.inputs]
        clean, other = (batch.model(**batch.tensors(inputs)).logits for inputs in (batch.inputs, copies))
        loss = torch.nn.functional.cross_entropy(clean, batch.labels) + self.weight * divergence(clean, other)
        torch.autograd.backward(loss)
        return float(loss.detach())
