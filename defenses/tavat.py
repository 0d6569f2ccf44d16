"""TAVAT (Li and Qiu, 2021): adversarial training with perturbations that are kept for each word of the vocabulary.

A batch starts from what its tokens were perturbed by when they were last seen; steps move each token by its share of the
gradient, and what is reached is kept. Differs from the paper: the batch's own random part is left out of what is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from robustbench_nlp.data.example import Example
from robustbench_nlp.errors import UsageError
from robustbench_nlp.perturbation import embedded
from robustbench_nlp.training import Batch, further
from robustbench_nlp.victim import Victim

__all__ = ["TAVAT"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TAVAT:
    """`steps` of size `step` a text (L2, over all of its tokens), in which each token starts at most `init` and ends at most
    `radius` from its embedding (L2)."""

    steps: int = 2
    step: float = 0.05
    init: float = 0.2
    radius: float = 0.5
    epochs: int = 2
    learning_rate: float = 5e-5

    def __post_init__(self) -> None:
        if self.steps < 1 or min(self.step, self.init, self.radius) < 0:
            raise UsageError("tavat wants 1 step or more, and no negative step, init or radius")

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        return further(self, victim, train, rng, objective=_Objective(self))


@dataclass(slots=True)
class _Objective:
    """`state` holds one vector a token of the vocabulary."""

    settings: TAVAT
    state: dict[str, Any] = field(default_factory=dict)

    def __call__(self, batch: Batch) -> float:
        import torch

        how, place, total = self.settings, embedded(batch), 0.0
        kept = self.state.setdefault("kept", self._first(batch.model))
        change = (kept[place.tokens] * place.mask).requires_grad_(True)
        for _ in range(how.steps):
            loss = torch.nn.functional.cross_entropy(place.logits(change), batch.labels) / how.steps
            torch.autograd.backward(loss)
            total += float(loss.detach())
            gradient = change.grad
            assert gradient is not None
            row = gradient.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None]
            change = _inside(change.detach() + how.step * gradient / row, how.radius).requires_grad_(True)
        _keep(kept, place.tokens[place.mask[..., 0] > 0], change.detach()[place.mask[..., 0] > 0])
        return total

    def _first(self, model: Any) -> Any:
        import torch

        weight = model.get_input_embeddings().weight
        noise = torch.empty_like(weight).uniform_(-1, 1)
        return noise * (self.settings.init / weight.shape[1] ** 0.5)


def _keep(kept: Any, tokens: Any, change: Any) -> None:
    """A token that stands at several places leaves the change of its last: an assignment with repeated indices has no order."""
    import torch

    places = torch.arange(len(tokens), device=tokens.device)
    last = torch.full((len(kept),), -1, device=tokens.device).scatter_reduce(0, tokens, places, "amax")
    seen = last >= 0
    kept[seen] = change[last[seen]]


def _inside(change: Any, radius: float) -> Any:
    """Each token's perturbation, shortened to `radius` at most."""
    size = change.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    return change * (radius / size).clamp_max(1.0)
