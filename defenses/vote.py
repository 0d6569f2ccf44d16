"""Test-time augmentation (cf. Lu et al., 2022): the mean probabilities over copies of an input, most slightly changed.

Differs from the paper: the copies have typos, another case or other spaces, and they are chosen once for each text, so that
the victim answers one text always alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from robustbench_nlp.augmentation import KNOWN_FROM
from robustbench_nlp.data.example import Example
from robustbench_nlp.edits.characters import random_typos
from robustbench_nlp.errors import UsageError
from robustbench_nlp.smoothing import Smoothed
from robustbench_nlp.text import Text
from robustbench_nlp.victim import Victim

__all__ = ["Vote", "Variants"]  # noqa: RUF022 (the factory first)

KINDS = {"typo": KNOWN_FROM["typos"], "case": ("casing",), "space": ("whitespace",)}
"""The kinds of copies, and what each looks a text up among (`defense.knows`)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Vote:
    """`samples` copies, each changed in one of `kinds` or, as often as in each of them, not at all. A typo, a change between
    lower and capital letters, or a space before or after befalls a word with probability `share`.

    With `votes` an answer is the shares of the copies' classes: these hide from a search what moves the scores, which is no
    protection. Without, it is the mean of the copies' probabilities.
    """

    samples: int = 9
    kinds: tuple[str, ...] = tuple(KINDS)
    share: float = 0.2
    votes: bool = False

    @property
    def known(self) -> tuple[str, ...]:
        """What the copies are made of."""
        return tuple(name for kind in self.kinds for name in KINDS[kind])

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        noise = Variants(kinds=tuple(self.kinds), share=self.share)
        return Smoothed(victim, noise, samples=self.samples, votes=self.votes, seed=rng.getrandbits(32), random=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Variants:
    """One kind of change a copy, chosen by chance."""

    version: ClassVar[int] = 2

    kinds: tuple[str, ...]
    share: float

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in KINDS:
                raise UsageError(f"no kind of copy '{kind}'; known: {', '.join(KINDS)}")

    def draw(self, string: str, rng: Random) -> Text:
        kind = rng.choice(("", *self.kinds))
        text = Text(string)
        if kind == "typo":
            return random_typos(text, rng, self.share)
        chosen = [number for number in range(len(text)) if kind and rng.random() < self.share]
        change = str.swapcase if kind == "case" else lambda word: f" {word}"
        return text.replace({number: change(text.word(number)) for number in chosen})
