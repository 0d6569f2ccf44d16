"""RanMASK (Zeng et al., 2023): the vote over copies in which most words are masked, certified for words replaced in place.

Differs from the paper: words follow the project's rule, not a tokenizer's, and the certificate takes the paper's β at its
bound of 1, where the paper puts an estimate; the rate suits sentences of twenty words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from random import Random
from typing import ClassVar

from robustbench_nlp.data.example import Example
from robustbench_nlp.errors import UsageError
from robustbench_nlp.smoothing import replaced_words, smooth
from robustbench_nlp.text import Text
from robustbench_nlp.training import Recipe
from robustbench_nlp.victim import Victim

__all__ = ["RanMask", "Masking"]  # noqa: RUF022 (the factory first)


@dataclass(frozen=True, kw_only=True, slots=True)
class RanMask:
    """`rate` of the words, in [0, 1), are masked in each of `samples` copies; with `train` the victim first learns from such
    copies. `mask` is what stands for a masked word: "" for the victim's own mask token, `[UNK]` where it has none.

    With `votes` an answer is the shares of the copies' classes, which can be certified; attacks search in the mean of the copies'
    probabilities all the same. Without, that mean is the answer.
    """

    rate: float = 0.7
    samples: int = 25
    votes: bool = True
    mask: str = ""
    train: bool = True
    epochs: int = 2
    learning_rate: float = 5e-5

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        """Raises `UsageError` for a victim that can't be trained, `TrainingCollapsed` where nothing was learned."""
        noise = Masking(rate=self.rate, mask=self.mask or getattr(victim, "mask_token", None) or "[UNK]")
        recipe = Recipe(epochs=self.epochs, learning_rate=self.learning_rate) if self.train else None
        return smooth(victim, train, rng, noise, kind="ranmask", samples=self.samples, votes=self.votes, recipe=recipe)


@dataclass(frozen=True, kw_only=True, slots=True)
class Masking:
    """Keeps a fixed number of the words, every choice of them equally likely, and puts `mask` in place of the others."""

    version: ClassVar[int] = 3
    edit: ClassVar[str] = "words replaced in place"

    rate: float
    mask: str

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1:
            raise UsageError(f"the rate of masked words is {self.rate}; give a share from 0 to below 1")

    def kept(self, words: int) -> int:
        """How many of the words are kept; at least one, where there is one."""
        return max(min(words, 1), round((1 - self.rate) * words))

    def draw(self, string: str, rng: Random) -> Text:
        text = Text(string)
        ranks = [rng.random() for _ in range(len(text))]
        masked = sorted(range(len(text)), key=ranks.__getitem__)[self.kept(len(text)) :]
        return text.replace(dict.fromkeys(masked, self.mask))

    def overlaps(self, string: str) -> list[float]:
        """The chance that d given words are all masked: C(h − d, k) / C(h, k)."""
        words = len(Text(string))
        kept = self.kept(words)
        return [comb(words - edits, kept) / comb(words, kept) for edits in range(words + 1)]

    def edits(self, original: str, changed: str) -> int | None:
        replaced = replaced_words(original, changed)
        return None if replaced is None else len(replaced)
