"""SAFER (Ye et al., 2020): the vote over copies in which words are replaced by random synonyms, certified against synonyms.

Differs from the paper: synonyms are mutual neighbours in the embedded table, not counter-fitted vectors; a word's
perturbation set is the first words reached from it along synonyms (all of them, where they are few, as in the paper); sets
of unequal size are allowed, and the certificate takes the exact distance of the two draws and the bound of Clopper and
Pearson instead of Hoeffding's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from random import Random
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp.data.example import Example, content_hash
from robustbench_nlp.errors import UsageError
from robustbench_nlp.lexicon.case import in_case_of
from robustbench_nlp.lexicon.neighbours import KEPT, near_words
from robustbench_nlp.smoothing import replaced_words, smooth
from robustbench_nlp.text import Text, words_of
from robustbench_nlp.training import Recipe
from robustbench_nlp.victim import Victim

__all__ = ["Safer", "Synonyms", "overlap", "perturbations", "synonyms"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Safer:
    """Each word of each of `samples` copies is drawn from its perturbation set of at most `size` words; synonyms have a cosine
    of at least `min_cosine`. With `train` the victim first learns from such copies.

    With `votes` an answer is the shares of the copies' classes, which can be certified; attacks search in the mean of the copies'
    probabilities all the same. Without, that mean is the answer.
    """

    min_cosine: float = 0.75
    size: int = 100
    samples: int = 25
    votes: bool = True
    train: bool = True
    epochs: int = 2
    learning_rate: float = 5e-5
    known: ClassVar[tuple[str, ...]] = ("neighbours",)

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        """Raises `UsageError` for a victim that can't be trained, `TrainingCollapsed` where nothing was learned."""
        noise = Synonyms(min_cosine=self.min_cosine, size=self.size)
        recipe = Recipe(epochs=self.epochs, learning_rate=self.learning_rate) if self.train else None
        return smooth(victim, train, rng, noise, kind="safer", samples=self.samples, votes=self.votes, recipe=recipe)


@dataclass(frozen=True, kw_only=True, slots=True)
class Synonyms:
    """Puts a word of its perturbation set in the place of each word, every one equally likely, in the case of the word.

    Words of mixed case or of one letter stay, and are nobody's synonyms."""

    version: ClassVar[int] = 3

    min_cosine: float
    size: int

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UsageError(f"the size of a perturbation set is {self.size}; give at least 1")

    @property
    def edit(self) -> str:
        return f"words replaced by mutual neighbours with a cosine of at least {self.min_cosine}"

    def draw(self, string: str, rng: Random) -> Text:
        text = Text(string)
        keys = [rng.getrandbits(64) for _ in range(len(text))]
        drawn = {
            place: in_case_of(_drawn(key, word.lower(), self.min_cosine, self.size), word)
            for place, (key, word) in enumerate(zip(keys, text.words, strict=True))
            if _plain(word)
        }
        return text.replace(drawn)

    def overlaps(self, string: str) -> list[float]:
        """The product of the d smallest overlaps of a word's perturbation set with a synonym's."""
        curve = [1.0]
        for least in sorted(self._overlap(word) for word in words_of(string)):
            curve.append(curve[-1] * least)
        return curve

    def edits(self, original: str, changed: str) -> int | None:
        replaced = replaced_words(original, changed)
        if replaced is None or not all(self._synonymous(old, new) for old, new in replaced):
            return None
        return len(replaced)

    def _perturbations(self, word: str) -> tuple[str, ...]:
        return perturbations(word.lower(), self.min_cosine, self.size) if _plain(word) else (word,)

    def _overlap(self, word: str) -> float:
        return overlap(word.lower(), self.min_cosine, self.size) if _plain(word) else 1.0

    def _synonymous(self, old: str, new: str) -> bool:
        same_case = _plain(old) and in_case_of(new.lower(), old) == new
        return same_case and new.lower() in synonyms(old.lower(), self.min_cosine)


def _plain(word: str) -> bool:
    """Whether the case of a word is one that a synonym can take."""
    return len(word) > 1 and in_case_of(word.lower(), word) == word


@lru_cache(100_000)
def _drawn(key: int, word: str, min_cosine: float, size: int) -> str:
    """The word of a perturbation set that chance ranks first, each equally likely; another word in its place has the same one drawn as
    often as their sets overlap (consistent sampling: Manasse, McSherry and Talwar, 2010)."""
    ranks = _numbers(word, min_cosine, size) ^ np.uint64(key)
    ranks = (ranks ^ (ranks >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)  # the mixing of SplitMix64
    ranks = (ranks ^ (ranks >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return perturbations(word, min_cosine, size)[int((ranks ^ (ranks >> np.uint64(31))).argmin())]


@cache
def _numbers(word: str, min_cosine: float, size: int) -> NDArray[np.uint64]:
    """A number for each word of a perturbation set, the same in all sets."""
    return np.array([int(content_hash(other)[:16], 16) for other in perturbations(word, min_cosine, size)], np.uint64)


@cache
def synonyms(word: str, min_cosine: float) -> tuple[str, ...]:
    """The neighbours of a lower-case word whose neighbour it is in turn, so that the relation is symmetric; best first."""
    if len(word) < 2:
        return ()
    near = near_words(word, KEPT, min_cosine)
    return tuple(other for other in near if len(other) > 1 and word in near_words(other, KEPT, min_cosine))


@cache
def perturbations(word: str, min_cosine: float, size: int) -> tuple[str, ...]:
    """The first `size` words reached from a word along synonyms, breadth first, the word itself first."""
    found = {word: None}
    queue = [word]
    for current in queue:
        for other in synonyms(current, min_cosine):
            if len(found) >= size:
                return tuple(found)
            if other not in found:
                found[other] = None
                queue.append(other)
    return tuple(found)


@cache
def overlap(word: str, min_cosine: float, size: int) -> float:
    """The least share of its draws that a word has in common with a synonym, in [0, 1]: one minus the total variation distance
    of two uniform distributions, |A ∩ B| / max(|A|, |B|)."""
    own = set(perturbations(word, min_cosine, size))
    others = (set(perturbations(other, min_cosine, size)) for other in synonyms(word, min_cosine))
    return min((len(own & other) / max(len(own), len(other)) for other in others), default=1.0)
