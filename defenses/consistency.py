"""Consistency training (Zheng et al., 2016; for noisy text Vaibhav et al., 2019): the same answer to clean and noisy texts.

Beside its loss on the clean text, the model pays for the divergence between its answers to the text and to a noisy copy of
it. Differs from the papers: the divergence is symmetric, and the noise is one of typos, Unicode tricks, dropped words,
random synonyms, a masked language model's words or a tautology behind the text; some copies may be aimed by one gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from robustbench_nlp.aimed_swaps import AimedSwaps
from robustbench_nlp.attack import FillMask
from robustbench_nlp.augmentation import FILLS, KNOWN_FROM, NOISES, check_shares, noisy
from robustbench_nlp.data.example import Example, Input
from robustbench_nlp.encoder import EMBEDDED
from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.helpers import identity
from robustbench_nlp.perturbation import divergence, embedded
from robustbench_nlp.training import Batch, further
from robustbench_nlp.victim import Victim

__all__ = ["Consistency"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Consistency:
    """A copy has noise in `share` of its words, of one of `noises` (typos, unicode, drop, wordnet, neighbours, refill, or one tautology
    behind the text, whatever the share) drawn for each text; a share `aim` of the copies has instead,
    in `aimed_share` of the words, likely words that by the gradient raise the loss most. The divergence has `weight`."""

    noises: tuple[str, ...] = ("typos", "wordnet")
    share: float = 0.3
    weight: float = 1.0
    aim: float = 0.0
    aimed_share: float = 0.1
    epochs: int = 2
    learning_rate: float = 5e-5

    def __post_init__(self) -> None:
        check_shares("consistency", share=self.share, aim=self.aim, aimed_share=self.aimed_share)
        for name in self.noises:
            if name not in NOISES:
                raise unknown("noise of consistency", name, NOISES)
        if not self.noises or self.weight < 0:
            raise UsageError("consistency wants one noise or more, and a weight of 0 or more")

    @property
    def _taught(self) -> tuple[str, ...]:
        return (*self.noises, "refill") if self.aim else self.noises

    @property
    def known(self) -> tuple[str, ...]:
        """What the noises teach."""
        return tuple(name for noise in self._taught for name in KNOWN_FROM[noise])

    @property
    def sources(self) -> list[str]:
        """The masked language model that refills and aims. Raises `UsageError` where it is needed and isn't here."""
        return [identity(FillMask, EMBEDDED)] if "refill" in self._taught else []

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        swaps = AimedSwaps(self.aimed_share, FILLS)

        def objective(batch: Batch) -> float:
            import torch

            place, rng = embedded(batch), batch.rng
            aimed = [row for row in range(len(batch.inputs)) if self.aim and rng.random() < self.aim]
            if aimed:
                vectors = place.vectors.requires_grad_(True)  # where the embeddings are frozen too
                clean = place.outputs(vectors).logits
            else:
                clean = batch.model(**batch.tensors()).logits
            plain = torch.nn.functional.cross_entropy(clean, batch.labels)
            swapped: dict[int, Input] = {}
            if aimed:
                (gradient,) = torch.autograd.grad(plain, vectors, retain_graph=True)
                swapped = swaps(batch, place, gradient, aimed)
            copies = [
                swapped[row] if row in swapped else noisy(item, NOISES[rng.choice(self.noises)], rng, self.share)
                for row, item in enumerate(batch.inputs)
            ]
            loss = plain + self.weight * divergence(clean, batch.model(**batch.tensors(copies)).logits)
            torch.autograd.backward(loss)
            return float(loss.detach())

        return further(self, victim, train, rng, objective=objective)
