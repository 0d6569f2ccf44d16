"""TAVAT (Li and Qiu, 2021): adversarial training with perturbations that are kept for each word of the vocabulary.

A batch starts from what its tokens were perturbed by when they were last seen. Each step moves every token along its own gradient,
tokens that moved less than the text's farthest shrink by their share of it, and what is reached inside the ball around the text is kept.
Differs from the paper: a batch has no random part of its own beside what its tokens start from, which isn't scaled to the batch's
norm, as in the authors' code, but shortened to the ball.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar

from robustbench_nlp.data.example import Example
from robustbench_nlp.perturbation import Ascent, embedded, inside
from robustbench_nlp.training import Batch, further
from robustbench_nlp.victim import Victim

__all__ = ["TAVAT"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TAVAT(Ascent):
    """`steps` of size `step` a token (L2) from what is kept, at first noise of at most `init` a token, inside `radius` a text (L2, over
    all of its tokens; 0: no bound), the start too."""

    version: ClassVar[int] = 2

    steps: int = 2
    step: float = 0.05
    init: float = 0.05
    radius: float = 0.3
    epochs: int = 2
    learning_rate: float = 5e-5

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
        if "kept" not in self.state:
            self.state["kept"] = self._first(batch.model)
        kept, real = self.state["kept"], place.mask[..., 0] > 0
        change = inside(kept[place.tokens] * place.mask, how).requires_grad_(True)
        for _ in range(how.steps):
            loss = torch.nn.functional.cross_entropy(place.logits(change), batch.labels) / how.steps
            torch.autograd.backward(loss)
            total += float(loss.detach())
            gradient = change.grad
            assert gradient is not None
            along = gradient / gradient.norm(dim=-1, keepdim=True).clamp_min(1e-12)
            change = _scaled(change.detach() + how.step * along * place.mask)
            change = inside(change, how).requires_grad_(True)
        _keep(kept, place.tokens[real], change.detach()[real])
        return total

    def _first(self, model: Any) -> Any:
        import torch

        weight = model.get_input_embeddings().weight
        noise = torch.empty_like(weight).uniform_(-1, 1)
        return noise * (self.settings.init / weight.shape[1] ** 0.5)


def _scaled(change: Any) -> Any:
    """Each token's perturbation, times its size as a share of the largest in its row."""
    size = change.norm(dim=-1, keepdim=True)
    return change * size / size.amax(dim=1, keepdim=True).clamp_min(1e-12)


def _keep(kept: Any, tokens: Any, change: Any) -> None:
    """A token that stands at several places leaves the change of its last: an assignment with repeated indices has no order."""
    import torch

    places = torch.arange(len(tokens), device=tokens.device)
    last = torch.full((len(kept),), -1, device=tokens.device).scatter_reduce(0, tokens, places, "amax")
    seen = last >= 0
    kept[seen] = change[last[seen]]
