"""Word recognition (Pruthi et al., 2019): a small recurrent corrector, trained on mistyped training texts, reads first.

Differs from the paper: a word of the training split is left alone, and so is one that the corrector doesn't know (its
"pass-through" back-off); typos are those of a keyboard and a scanner in a share of the words; no attack on the corrector is
learned from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from random import Random
from typing import ClassVar

from robustbench_nlp.costs import seconds_trained
from robustbench_nlp.data.example import Example, content_hash
from robustbench_nlp.edits.characters import NOISE_KINDS
from robustbench_nlp.errors import UsageError
from robustbench_nlp.lexicon.case import in_case_of
from robustbench_nlp.rewriting import Rewritten
from robustbench_nlp.text import Text
from robustbench_nlp.victim import Victim
from robustbench_nlp.word_recogniser import UNKNOWN, Recogniser, recogniser, trained

__all__ = ["WordRecognition"]


@dataclass(frozen=True, kw_only=True, slots=True)
class WordRecognition:
    """The corrector knows the `size` most frequent words and learns `epochs` times from texts in which the share `noisy` of the words
    is mistyped."""

    size: int = 10_000
    epochs: int = 5
    noisy: float = 0.4
    version: ClassVar[int] = 1
    known: ClassVar[tuple[str, ...]] = NOISE_KINDS

    def __post_init__(self) -> None:
        if self.size < 1 or self.epochs < 1 or not 0 <= self.noisy <= 1:
            raise UsageError("word_recognition wants a size and epochs of 1 or more, and noisy between 0 and 1")

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        """Raises `UsageError` without training examples: there would be nothing to learn from."""
        strings = [string for example in train for string in example.fields.values()]
        if not strings:
            raise UsageError("word_recognition learns from a training split, and there is none; name one with --train")
        seed = rng.getrandbits(32)
        folder = trained(strings, seed, size=self.size, epochs=self.epochs, noisy=self.noisy)
        known = frozenset(word.lower() for string in strings for word in Text(string).words)
        rewrite = lru_cache(100_000)(_Corrector(recogniser(folder), known))
        parts = ["word_recognition", self.version, asdict(self), seed, content_hash(strings)]
        return Rewritten(victim, rewrite, parts, seconds=seconds_trained(folder))


@dataclass(frozen=True, slots=True)
class _Corrector:
    recognise: Recogniser
    known: frozenset[str]

    def __call__(self, string: str) -> str:
        text = Text(string)
        words = [word.lower() for word in text.words]
        odd = [i for i, word in enumerate(words) if word not in self.known and any(map(str.isalpha, word))]
        if not odd:
            return string
        meant = self.recognise(words)
        changes = {i: in_case_of(meant[i], text.word(i)) for i in odd if meant[i] != UNKNOWN}
        return str(text.replace(changes)) if changes else string
