"""HotFlip training (Ebrahimi et al., 2018): the model learns from its own worst word swaps, found by one gradient.

The gradient at the embeddings of a batch says, to first order, how much each swap of a word for one of its candidates raises
the loss; the best swap at each of the most promising words is made, and the swapped text is learned beside the clean one.
Differs from the paper: words instead of characters, all swaps at once instead of a beam, candidates from named sets and only
for words that are one token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from robustbench_nlp.data.example import Example
from robustbench_nlp.errors import UsageError
from robustbench_nlp.perturbation import Embedded, embedded
from robustbench_nlp.synonym_hull import SynonymTable, known_sets
from robustbench_nlp.training import Batch, further
from robustbench_nlp.victim import Victim

__all__ = ["HotFlipTraining"]


@dataclass(frozen=True, kw_only=True, slots=True)
class HotFlipTraining:
    """At most `share` of a text's tokens are swapped, each for a word of the sets in `candidates` (those of
    `edits.words`, and "spelling": words one edit away); swapped texts have `weight` in the loss."""

    version: ClassVar[int] = 3

    candidates: tuple[str, ...] = ("neighbours(8)", "wordnet", "spelling")
    share: float = 0.2
    weight: float = 0.5
    epochs: int = 2
    learning_rate: float = 5e-5

    def __post_init__(self) -> None:
        known_sets(self.candidates)
        if not 0 < self.share <= 1 or not 0 <= self.weight <= 1:
            raise UsageError("hotflip_training wants a share in (0, 1] and a weight in [0, 1]")

    @property
    def known(self) -> tuple[str, ...]:
        """The sets that substitutes are learned from."""
        return known_sets(self.candidates)

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        tables = [*map(SynonymTable, self.candidates)]

        def objective(batch: Batch) -> float:
            import torch

            place, entropy = embedded(batch), torch.nn.functional.cross_entropy
            vectors = place.vectors.detach().requires_grad_(True)
            clean = entropy(place.outputs(vectors).logits, batch.labels)
            (gradient,) = torch.autograd.grad(clean, vectors, retain_graph=True)
            candidates = torch.cat([table.numbers(place, batch.reader) for table in tables], dim=-1)
            tokens = _swapped(place, candidates, gradient, self.share)
            attacked = entropy(place.model(input_ids=tokens, **place.others).logits, batch.labels)
            loss = (1 - self.weight) * clean + self.weight * attacked
            torch.autograd.backward(loss)
            return float(loss.detach())

        return further(self, victim, train, rng, objective=objective)


def _swapped(place: Embedded, candidates: Any, gradient: Any, share: float) -> Any:
    """The batch's token numbers (rows, tokens) after the swaps that raise the loss most; `candidates` (rows, tokens, most) are
    numbers, -1 where there are none, as in most places."""
    matrix = place.model.get_input_embeddings().weight.detach()
    row, token, number = (candidates >= 0).nonzero(as_tuple=True)
    change = matrix[candidates[row, token, number]] - matrix[place.tokens[row, token]]
    gains = gradient.new_zeros(candidates.shape)
    gains[row, token, number] = (change * gradient[row, token]).sum(dim=-1)
    best = gains.max(dim=-1)
    most = (share * (place.mask.sum(dim=(1, 2)) - 2)).round().clamp_min(1)
    ranks = best.values.argsort(dim=1, descending=True).argsort(dim=1)
    chosen = (ranks < most[:, None]) & (best.values > 0)
    return place.tokens.where(~chosen, candidates.gather(2, best.indices[..., None])[..., 0])
