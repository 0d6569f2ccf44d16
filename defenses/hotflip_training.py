"""HotFlip training (Ebrahimi et al., 2018): the model learns from its own worst word swaps, found by one gradient.

The gradient at the embeddings of a batch says, to first order, how much each swap of a word for one of its candidates raises
the loss; the best swap at each of the most promising words is made, and the swapped text is learned beside the clean one.
Differs from the paper: words instead of characters, several swaps at once instead of a beam, candidates from named sets, only
for words that are one token; `attacks` adds what fools the undefended victim, as in `adversarial_augmentation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from robustbench_nlp.adversaries import once
from robustbench_nlp.data.example import Example
from robustbench_nlp.edits.words import candidate_words
from robustbench_nlp.errors import UsageError
from robustbench_nlp.perturbation import embedded
from robustbench_nlp.plugins import parse
from robustbench_nlp.synonym_hull import SynonymTable
from robustbench_nlp.training import Batch, further
from robustbench_nlp.victim import Victim

__all__ = ["HotFlipTraining"]


@dataclass(frozen=True, kw_only=True, slots=True)
class HotFlipTraining:
    """At most `share` of a text's tokens are swapped, each for one of at most `k` words of every set in `candidates`; swapped
    texts have `weight` in the loss. Each of `attacks` (selectors) meets `sample` training examples first."""

    version: ClassVar[int] = 2

    candidates: tuple[str, ...] = ("neighbours(8)", "wordnet", "spelling")
    k: int = 8
    share: float = 0.2
    weight: float = 0.5
    attacks: tuple[str, ...] = ()
    sample: int = 1000
    max_queries: int | None = 200
    epochs: int = 2
    learning_rate: float = 5e-5

    def __post_init__(self) -> None:
        for name in self.candidates:
            if name != "spelling":
                candidate_words(name)
        if self.k < 1 or not 0 < self.share <= 1 or not 0 <= self.weight <= 1:
            raise UsageError("hotflip_training wants k of 1 or more, a share in (0, 1] and a weight in [0, 1]")

    @property
    def known(self) -> tuple[str, ...]:
        """The sets that substitutes are learned from, and the attacks."""
        sets = [name.partition("(")[0].partition(":")[0] for name in self.candidates]
        return (*sets, *(parse(attack).name for attack in self.attacks))

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        tables = [SynonymTable(name, self.k) for name in self.candidates]

        def objective(batch: Batch) -> float:
            import torch

            place, entropy = embedded(batch), torch.nn.functional.cross_entropy
            vectors = place.vectors.detach().requires_grad_(True)
            clean = entropy(place.model(inputs_embeds=vectors, **place.others).logits, batch.labels)
            ((1 - self.weight) * clean).backward()
            matrix = place.model.get_input_embeddings().weight.detach()
            numbers = torch.cat([table.numbers(place, batch.reader) for table in tables], dim=-1)
            gains = torch.einsum("rtkd,rtd->rtk", matrix[numbers.clamp_min(0)], vectors.grad)
            gains = gains - (place.vectors.detach() * vectors.grad).sum(-1, keepdim=True)
            gains = gains.masked_fill(numbers < 0, float("-inf"))
            best = gains.max(dim=-1)
            swapped = place.tokens.clone()
            lengths = place.mask.sum(dim=(1, 2))
            order = best.values.argsort(dim=1, descending=True)
            chosen = numbers.gather(2, best.indices[..., None])[..., 0]
            for row, length in enumerate(lengths.tolist()):
                most = max(1, round(self.share * (length - 2)))
                at = order[row, :most]
                at = at[best.values[row, at] > 0]
                swapped[row, at] = chosen[row, at]
            attacked = entropy(batch.model(input_ids=swapped, **place.others).logits, batch.labels)
            (self.weight * attacked).backward()
            return float((1 - self.weight) * clean.detach() + self.weight * attacked.detach())

        more = once(self.attacks, victim, train, rng, sample=self.sample, max_queries=self.max_queries)
        return further(self, victim, train, rng, objective=objective, more=more if self.attacks else None)
