"""Training on look-alike and invisible characters (after Eger et al., 2019, and Boucher et al., 2022), fresh at each step.

The tokenizer splits a disguised word into odd pieces; the model learns to read them. Differs from Eger et al.: a word-piece
model goes on learning instead of a character model, and looks are those of Unicode's tables, not of learned embeddings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from robustbench_nlp.augmentation import KNOWN_FROM, NOISES, check_shares, on_share
from robustbench_nlp.data.example import Example
from robustbench_nlp.training import further
from robustbench_nlp.victim import Victim

__all__ = ["UnicodeAugmentation"]


@dataclass(frozen=True, kw_only=True, slots=True)
class UnicodeAugmentation:
    """Of each batch the share `noisy` of the texts is changed, a trick in the share `share` of their words. A tokenizer that drops
    accents and invisible characters shows the model fewer."""

    share: float = 0.6
    noisy: float = 0.5
    epochs: int = 2
    learning_rate: float = 5e-5
    known: ClassVar[tuple[str, ...]] = KNOWN_FROM["unicode"]

    def __post_init__(self) -> None:
        check_shares("unicode_augmentation", share=self.share, noisy=self.noisy)

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        augment = on_share(NOISES["unicode"], share=self.share, of=self.noisy)
        return further(self, victim, train, rng, augment=augment)
