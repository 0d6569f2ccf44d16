"""Noise-robust fine-tuning (Belinkov and Bisk, 2018): the model goes on learning from texts with fresh typos at each step.

Differs from the paper: a word-piece classifier continues from its trained weights instead of a character translation
model from nothing, and the noise is one keyboard, scanning, swap, drop or insert error a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from robustbench_nlp.data.example import Example, Input
from robustbench_nlp.edits.characters import random_typos
from robustbench_nlp.text import Text
from robustbench_nlp.training import further
from robustbench_nlp.victim import Victim

__all__ = ["TypoAugmentation"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TypoAugmentation:
    """`share` of the words of `noisy` of each batch's texts (both in [0, 1]) get a typo; every field of an input does."""

    share: float = 0.4
    noisy: float = 0.5
    epochs: int = 2
    learning_rate: float = 5e-5
    freeze_embeddings: bool = True

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        return further(self, victim, train, rng, augment=self._with_typos)

    def _with_typos(self, inputs: list[Input], rng: Random) -> list[Input]:
        chosen = set(rng.sample(range(len(inputs)), round(self.noisy * len(inputs))))
        return [self._noisy(item, rng) if i in chosen else item for i, item in enumerate(inputs)]

    def _noisy(self, item: Input, rng: Random) -> Input:
        if isinstance(item, str):
            return str(random_typos(Text(item), rng, self.share))
        return tuple(str(random_typos(Text(field), rng, self.share)) for field in item)
