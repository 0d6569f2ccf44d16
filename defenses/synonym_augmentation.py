"""Random synonyms while the model learns (after Zhang et al., 2015; online, as Ivgi and Berant, 2021, recommend).

Differs from Zhang et al.: words are drawn evenly instead of by a geometric distribution, anew at each step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from robustbench_nlp.augmentation import check_shares, on_share, synonyms
from robustbench_nlp.data.example import Example
from robustbench_nlp.training import further
from robustbench_nlp.victim import Victim

__all__ = ["SynonymAugmentation"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SynonymAugmentation:
    """Of each batch the share `noisy` of the texts is changed: the share `share` of their words become a word of `candidates`:
    "wordnet", "neighbours(8)", ... (see `edits.words`)."""

    candidates: str = "wordnet"
    share: float = 0.3
    noisy: float = 0.5
    epochs: int = 2
    learning_rate: float = 5e-5

    def __post_init__(self) -> None:
        check_shares("synonym_augmentation", share=self.share, noisy=self.noisy)
        synonyms(self.candidates)

    @property
    def known(self) -> tuple[str, ...]:
        """The set that substitutes are learned from."""
        return (self.candidates.partition("(")[0].partition(":")[0],)

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        return further(
            self, victim, train, rng, augment=on_share(synonyms(self.candidates), share=self.share, of=self.noisy)
        )
