"""Random deletion (CERT-ED, Huang et al., 2024): the vote over copies without most words, certified in word edit distance.

Differs from the paper: the victim reads nothing but the kept words, one space between them, so that the certificate holds
for words inserted, deleted and replaced by the project's rule, whatever becomes of the marks between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from rapidfuzz.distance import Levenshtein

from robustbench_nlp.augmentation import KNOWN_FROM
from robustbench_nlp.data.example import Example
from robustbench_nlp.errors import UsageError
from robustbench_nlp.smoothing import smooth
from robustbench_nlp.text import Text, words_of
from robustbench_nlp.training import Recipe
from robustbench_nlp.victim import Victim

__all__ = ["RandomDeletion", "Deletion"]  # noqa: RUF022 (the factory first)


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomDeletion:
    """Each word is left out with probability `rate`, in [0, 1), in each of `samples` copies; with `train` the victim first
    learns from such copies.

    With `votes` an answer is the shares of the copies' classes, which can be certified; attacks search in the mean of the copies'
    probabilities all the same. Without, that mean is the answer.
    """

    rate: float = 0.7
    samples: int = 25
    votes: bool = True
    train: bool = True
    epochs: int = 2
    learning_rate: float = 5e-5
    known: ClassVar[tuple[str, ...]] = KNOWN_FROM["drop"]

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        """Raises `UsageError` for a victim that can't be trained, `TrainingCollapsed` where nothing was learned."""
        recipe = Recipe(epochs=self.epochs, learning_rate=self.learning_rate) if self.train else None
        return smooth(
            victim,
            train,
            rng,
            Deletion(rate=self.rate),
            kind="random_deletion",
            samples=self.samples,
            votes=self.votes,
            recipe=recipe,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Deletion:
    """Leaves out each word by itself with probability `rate`, and everything that is no word."""

    version: ClassVar[int] = 3
    edit: ClassVar[str] = "words inserted, deleted or replaced"

    rate: float

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1:
            raise UsageError(f"the rate of deleted words is {self.rate}; give a share from 0 to below 1")

    def draw(self, string: str, rng: Random) -> Text:
        gap, pieces = "", list[str]()
        for word in words_of(string):
            if rng.random() >= self.rate:
                pieces += gap, word
                gap = " "
            else:
                pieces += "", ""
        return Text.of([*pieces, ""])

    def overlaps(self, string: str) -> list[float]:
        """The chance that whatever d edits touch is left out of both texts: rate ** d."""
        curve = [1.0]
        while (next_one := curve[-1] * self.rate) > 0.5:
            curve.append(next_one)
        return curve

    def edits(self, original: str, changed: str) -> int | None:
        return Levenshtein.distance(words_of(original), words_of(changed))
