"""Adversarial perturbations of a batch's word embeddings: the building block of the defenses that train against them.

A perturbation is a tensor (rows, tokens, dimensions) beside the embeddings; its size is the L2 norm of a whole row (or of a
token), padding left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from robustbench_nlp.errors import UsageError
from robustbench_nlp.training_loop import Batch
from robustbench_nlp.victims._embedded import answered

__all__ = ["Ascent", "Embedded", "divergence", "embedded", "inside", "one_sided", "start", "stepped", "worst"]


class Embedded(NamedTuple):
    """A batch at its model's input embeddings: the token numbers (rows, tokens), a mask (rows, tokens, 1) that is 1 at tokens
    and 0 at padding, and the model's other arguments."""

    model: Any
    tokens: Any
    mask: Any
    others: dict[str, Any]

    @property
    def vectors(self) -> Any:
        """(rows, tokens, dimensions), looked up anew each time: a backward pass frees the graph of the last look-up."""
        return self.model.get_input_embeddings()(self.tokens)

    def outputs(self, vectors: Any, **options: Any) -> Any:
        """The model's outputs with these vectors in place of the tokens' own."""
        return answered(self.model, {"input_ids": self.tokens, **self.others}, vectors, **options)

    def logits(self, change: Any = 0.0) -> Any:
        """The model's answer to the perturbed vectors, (rows, classes)."""
        return self.outputs(self.vectors + change).logits


@dataclass(frozen=True, kw_only=True, slots=True)
class Ascent:
    """`steps` of size `step` along the normalised gradient from a random start of size `init`, inside `radius` (0: anywhere).

    Sizes are those of TextDefender's code: the start is uniform noise of `init` / sqrt(tokens · dimensions), a step moves a
    row by `step`. Defenses that climb have these among their settings.
    """

    steps: int
    step: float
    init: float
    radius: float = 0.0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.step < 0 or self.init < 0 or self.radius < 0:
            raise UsageError(
                f"{type(self).__module__.rpartition('.')[2]} wants steps of 1 or more, and no negative step, init or radius"
            )


def embedded(batch: Batch, tensors: dict[str, Any] | None = None) -> Embedded:
    """The batch's inputs (or others, as `Batch.tensors` makes them) at the embeddings; gradients reach the embedding matrix
    where it is trained."""
    import torch

    others = dict(batch.tensors() if tensors is None else tensors)
    tokens = others.pop("input_ids")
    mask = others.get("attention_mask", torch.ones_like(tokens))
    return Embedded(batch.model, tokens, mask[..., None].to(batch.model.dtype), others)


def start(place: Embedded, ascent: Ascent) -> Any:
    """The random first perturbation, ready to collect a gradient."""
    import torch

    vectors, mask = place.vectors.detach(), place.mask
    noise = torch.empty_like(vectors).uniform_(-1, 1) * mask
    size = (mask.sum(dim=(1, 2)) * vectors.shape[-1]).sqrt()
    return (noise * (ascent.init / size)[:, None, None]).requires_grad_(True)


def stepped(change: Any, gradient: Any, ascent: Ascent) -> Any:
    """The perturbation one step up the gradient, back inside the radius, ready to collect a gradient."""
    length = gradient.flatten(1).norm(dim=1).clamp_min(1e-12)
    return inside(change.detach() + ascent.step * gradient / length[:, None, None], ascent).requires_grad_(True)


def inside(change: Any, ascent: Ascent) -> Any:
    """The perturbation, each row of it shortened to the radius at most."""
    if not ascent.radius:
        return change
    size = change.flatten(1).norm(dim=1).clamp_min(1e-12)
    return change * (ascent.radius / size).clamp_max(1.0)[:, None, None]


def worst(place: Embedded, ascent: Ascent, loss: Callable[[Any], Any]) -> Any:
    """The perturbation after all steps up the loss; the model collects no gradients."""
    import torch

    change = start(place, ascent)
    for _ in range(ascent.steps):
        (gradient,) = torch.autograd.grad(loss(change), change)
        change = stepped(change, gradient, ascent)
    return change.detach()


def divergence(first: Any, second: Any) -> Any:
    """The symmetric Kullback-Leibler divergence of two batches of logits, a mean over rows."""
    a, b = first.log_softmax(dim=-1), second.log_softmax(dim=-1)
    return ((a.exp() - b.exp()) * (a - b)).sum(dim=-1).mean()


def one_sided(first: Any, second: Any) -> Any:
    """The Kullback-Leibler divergence of the second batch of logits from the first, a mean over rows: about half of `divergence`."""
    a, b = first.log_softmax(dim=-1), second.log_softmax(dim=-1)
    return (a.exp() * (a - b)).sum(dim=-1).mean()
