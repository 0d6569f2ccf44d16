"""Noise-robust fine-tuning (Belinkov and Bisk, 2018): the model goes on learning from texts with fresh typos at each step.

Differs from the paper: a word-piece classifier continues from its trained weights instead of a character translation
model from nothing, and the noise is one keyboard, scanning, swap, drop or insert error a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from robustbench_nlp.augmentation import KNOWN_FROM, check_shares, on_share
from robustbench_nlp.data.example import Example
from robustbench_nlp.edits.characters import random_typos
from robustbench_nlp.training import further
from robustbench_nlp.victim import Victim

__all__ = ["TypoAugmentation"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TypoAugmentation:
    """Of each batch the share `noisy` of the texts is changed, a typo in the share `share` of their words, in every field.
    `freeze_embeddings`: the word embeddings aren't trained, as in all other trainings."""

    share: float = 0.4
    noisy: float = 0.5
    epochs: int = 2
    learning_rate: float = 5e-5
    freeze_embeddings: bool = True
    known: ClassVar[tuple[str, ...]] = KNOWN_FROM["typos"]

    def __post_init__(self) -> None:
        check_shares("typo_augmentation", share=self.share, noisy=self.noisy)

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        augment = on_share(random_typos, share=self.share, of=self.noisy)
        return further(self, victim, train, rng, augment=augment)
