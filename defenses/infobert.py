"""InfoBERT (Wang et al., 2021): FreeLB, and features of stable words that stay informative about the whole text.

The tokens whose gradients are neither the smallest nor the largest anchor the text: their features must tell their own text
from the others of the batch (an InfoNCE bound). Differs from the paper: its other term, an upper bound on what features keep
of the input, is left out, as it needs a variational network of its own; anchors are chosen by the gradients of the step before, so
that the first step goes without the bound; the marks at a text's beginning and end can be anchors too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from robustbench_nlp.data.example import Example
from robustbench_nlp.errors import UsageError
from robustbench_nlp.perturbation import Ascent, Embedded, embedded, start, stepped
from robustbench_nlp.training import Batch, further
from robustbench_nlp.victim import Victim

__all__ = ["InfoBERT"]


@dataclass(frozen=True, kw_only=True, slots=True)
class InfoBERT(Ascent):
    """Tokens between the quantiles `low` and `high` of the gradient's size anchor a text; the bound has `weight` and a softmax
    of `temperature`, in every one of the `steps` but the first: with one there is none. Sizes are L2 norms over
    all of a text's embeddings (`init`: at most)."""

    steps: int = 2
    step: float = 0.1
    init: float = 0.05
    radius: float = 0.3
    weight: float = 0.05
    low: float = 0.5
    high: float = 0.9
    temperature: float = 0.1
    epochs: int = 2
    learning_rate: float = 5e-5

    def __post_init__(self) -> None:
        Ascent.__post_init__(self)
        if not 0 <= self.low < self.high <= 1 or self.temperature <= 0 or self.weight < 0:
            raise UsageError("infobert wants 0 <= low < high <= 1, a temperature above 0 and a weight of 0 or more")

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        return further(self, victim, train, rng, objective=self._objective)

    def _objective(self, batch: Batch) -> float:
        import torch

        place, total = embedded(batch), 0.0
        change = start(place, self)
        sizes: Any = None
        for left in range(self.steps, 0, -1):
            made = place.outputs(place.vectors + change, output_hidden_states=True)
            loss = torch.nn.functional.cross_entropy(made.logits, batch.labels)
            if sizes is not None:
                loss = loss + self.weight * self._anchored(made.hidden_states[-1], place, sizes)
            torch.autograd.backward(loss / self.steps)
            total += float(loss.detach()) / self.steps
            if left > 1:
                sizes = change.grad.norm(dim=-1)
                change = stepped(change, change.grad, self)
        return total

    def _anchored(self, features: Any, place: Embedded, sizes: Any) -> Any:
        """How badly the anchors' mean features tell their text: the InfoNCE loss over the batch."""
        import torch

        real = place.mask[..., 0] > 0
        ranks = sizes.masked_fill(~real, float("inf")).argsort(dim=1).argsort(dim=1) / real.sum(dim=1, keepdim=True)
        chosen = (real & (ranks >= self.low) & (ranks <= self.high)).to(features.dtype)[..., None]
        local = (features * chosen).sum(dim=1) / chosen.sum(dim=1).clamp_min(1.0)
        whole = torch.nn.functional.normalize(features[:, 0], dim=-1)
        scores = whole @ torch.nn.functional.normalize(local, dim=-1).T / self.temperature
        return torch.nn.functional.cross_entropy(scores, torch.arange(len(scores), device=scores.device))
