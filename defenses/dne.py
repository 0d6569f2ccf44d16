"""DNE (Zhou et al., 2021): the model learns from random mixtures of each word with its neighbours, pushed up the loss.

Each word's place is drawn from a Dirichlet distribution over the hull of its synonyms and then moved towards where the loss
grows. Differs from the paper: the defended victim reads texts as they are, without the paper's ensemble over drawn
neighbours; neighbours of neighbours are left out; synonyms only for words that are one token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from robustbench_nlp.data.example import Example
from robustbench_nlp.edits.words import candidate_words
from robustbench_nlp.errors import UsageError
from robustbench_nlp.perturbation import embedded
from robustbench_nlp.synonym_hull import SynonymTable
from robustbench_nlp.training import Batch, further
from robustbench_nlp.victim import Victim

__all__ = ["DNE"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DNE:
    """`concentration` is the Dirichlet distribution's alpha; `steps` of size `step` (of a whole text's
    logits, L2) follow the draw; half of the loss is the
    clean text's."""

    version: ClassVar[int] = 2

    candidates: str = "neighbours(8)"
    concentration: float = 1.0
    steps: int = 1
    step: float = 10.0
    epochs: int = 2
    learning_rate: float = 5e-5

    def __post_init__(self) -> None:
        candidate_words(self.candidates)
        if self.steps < 0 or self.step < 0 or self.concentration <= 0:
            raise UsageError("dne wants a concentration above 0, and no negative steps or step")

    @property
    def known(self) -> tuple[str, ...]:
        """The set that substitutes are learned from."""
        return (self.candidates.partition("(")[0].partition(":")[0],)

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        table = SynonymTable(self.candidates)

        def objective(batch: Batch) -> float:
            import torch

            place, entropy = embedded(batch), torch.nn.functional.cross_entropy
            hull = table.hull(place, batch.reader)
            alpha = torch.full(hull.there.shape, self.concentration, device=hull.there.device)
            logits = torch._standard_gamma(alpha).clamp_min(1e-12).log()  # normalised, gammas are a Dirichlet draw
            for _ in range(self.steps):
                logits.requires_grad_(True)
                (slope,) = torch.autograd.grad(entropy(place.logits(hull.change(logits)), batch.labels), logits)
                length = slope.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None]
                logits = logits.detach() + self.step * slope / length
            drawn = place.logits(hull.change(logits.detach()))
            loss = (entropy(place.logits(), batch.labels) + entropy(drawn, batch.labels)) / 2
            torch.autograd.backward(loss)
            return float(loss.detach())

        return further(self, victim, train, rng, objective=objective)
