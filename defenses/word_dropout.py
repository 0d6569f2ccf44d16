"""Word dropout (Iyyer et al., 2015): words are left out at random while the model learns, so that it leans on no single one.

Differs from the paper: whole words are left out of the text, where the paper leaves vectors out of an average.
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

__all__ = ["WordDropout"]


@dataclass(frozen=True, kw_only=True, slots=True)
class WordDropout:
    """Of each batch the share `noisy` of the texts is changed: the share `share` of their words is left out."""

    share: float = 0.2
    noisy: float = 0.5
    epochs: int = 2
    learning_rate: float = 5e-5
    known: ClassVar[tuple[str, ...]] = KNOWN_FROM["drop"]

    def __post_init__(self) -> None:
        check_shares("word_dropout", share=self.share, noisy=self.noisy)

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        augment = on_share(NOISES["drop"], share=self.share, of=self.noisy)
        return further(self, victim, train, rng, augment=augment)
