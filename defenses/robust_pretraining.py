"""Robust pre-training, light: the model first learns to fill the gaps of mistyped training texts, then its task again.

After Karpukhin et al. (2019), who train on synthetic noise, and Gururangan et al. (2020), who go on pre-training on the task's
own texts. Differs from both: hidden words are guessed by the model's own word embeddings, tied and without a further layer, and the
task's loss stands beside, so that the classifier follows its encoder. Only tokens that the typos left are hidden: broken pieces can't be
guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from robustbench_nlp.augmentation import KNOWN_FROM, NOISES, check_shares, noisy
from robustbench_nlp.data.example import Example
from robustbench_nlp.errors import UsageError
from robustbench_nlp.training import Batch, Recipe, further
from robustbench_nlp.victim import Victim

__all__ = ["RobustPretraining"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RobustPretraining:
    """For `gap_epochs` the share `hidden` of the tokens is guessed in texts with typos in `share` of their words; the plain
    training that follows has `epochs`."""

    version: ClassVar[int] = 2

    share: float = 0.3
    hidden: float = 0.15
    gap_epochs: int = 2
    epochs: int = 1
    learning_rate: float = 5e-5
    known: ClassVar[tuple[str, ...]] = KNOWN_FROM["typos"]

    def __post_init__(self) -> None:
        check_shares("robust_pretraining", share=self.share, hidden=self.hidden)

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        """Raises `UsageError` for a victim without a mask token."""
        if getattr(victim, "mask_token", None) is None:
            raise UsageError(
                f"robust_pretraining hides words behind a mask token, and {victim.name} has none here; take an hf: victim with one, and "
                "write robust_pretraining last, as in spell+robust_pretraining"
            )
        recipe = Recipe(epochs=self.gap_epochs, learning_rate=self.learning_rate)
        gaps: dict[str, Any] = {"kind": "robust-pretraining-gaps", "recipe": recipe, "objective": self._objective}
        return further(self, further(self, victim, train, rng, **gaps), train, rng)

    def _objective(self, batch: Batch) -> float:
        import torch

        texts = [noisy(item, NOISES["typos"], batch.rng, self.share) for item in batch.inputs]
        tensors = batch.tensors(texts)
        loss = torch.nn.functional.cross_entropy(batch.model(**tensors).logits, batch.labels)
        gaps = _gaps(batch, tensors, self.hidden)
        torch.autograd.backward(loss if gaps is None else loss + gaps)
        return float(loss.detach())


def _gaps(batch: Batch, tensors: dict[str, Any], hidden: float) -> Any:
    """The mean loss of the guesses at hidden tokens, which are among those of the clean text too; None where none was drawn."""
    import torch

    ids, clean = tensors["input_ids"], batch.tensors()["input_ids"]
    special = torch.isin(ids, torch.tensor(batch.reader.special_ids, device=ids.device))
    known = (ids[:, :, None] == clean[:, None]).any(dim=-1)
    at = (torch.rand(ids.shape) < hidden).to(ids.device) & known & ~special
    if not at.any():
        return None
    shown = {**tensors, "input_ids": ids.masked_fill(at, batch.reader.mask_id)}
    states = batch.model(**shown, output_hidden_states=True).hidden_states[-1]
    words = batch.model.get_input_embeddings().weight
    if states.shape[-1] != words.shape[-1]:
        raise UsageError(
            f"robust_pretraining guesses hidden words by the model's own embeddings, which have {words.shape[-1]} dimensions here and "
            f"its states {states.shape[-1]}; take another architecture or defense"
        )
    return torch.nn.functional.cross_entropy(states[at] @ words.T, ids[at])
