"""Word recognition by edit distance in front of the victim (cf. Pruthi et al., 2019), with the training split's vocabulary.

Differs from the paper, whose recogniser is a semi-character RNN: candidates come from symmetric deletion (SymSpell), and
a word that is known, frequent in English at large, or capitalised inside a sentence is left alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import version as installed
from importlib.util import find_spec
from random import Random
from typing import ClassVar

import regex

from robustbench_nlp.data.example import Example, content_hash
from robustbench_nlp.errors import UsageError
from robustbench_nlp.rewriting import Rewritten
from robustbench_nlp.text import Text, words_of
from robustbench_nlp.victim import Victim

__all__ = ["Spell", "corrector"]

CACHE = 100_000
"""Words whose corrections are kept in memory."""
_JOINTS = regex.compile(r"(['’\-‐‑_])")
_SENTENCE_END = regex.compile(r"[.!?\n]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Spell:
    """Replaces an unknown word by the nearest word of the training split, the more frequent one of equally near ones.

    A word is known when the training split holds it or when its frequency in English at large (`wordfreq`, Zipf scale:
    log10 of occurrences per 10⁹ words) reaches `known_zipf`. Words of fewer than `min_length` letters are left alone;
    `max_edits` is the Damerau–Levenshtein distance in letters, one for words of fewer than `two_edits_length`. Candidates
    occur at least `min_count` times in the training split. Words with more than one digit or without an ASCII letter
    are left alone.
    """

    version: ClassVar[int] = 1

    max_edits: int = 2
    min_length: int = 3
    two_edits_length: int = 5
    known_zipf: float = 2.5
    min_count: int = 2

    def __post_init__(self) -> None:
        missing = [name for name in ("symspellpy", "wordfreq") if find_spec(name) is None]
        if missing:
            raise UsageError(f"defense spell needs {' and '.join(missing)}; pip install 'robustbench-nlp[spell]'")
        if self.max_edits < 1 or self.min_count < 1:
            raise UsageError(f"spell needs max_edits and min_count of at least 1, not {self.max_edits}, {self.min_count}")

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        counts = vocabulary(string for example in train for string in example.fields.values())
        libraries = [installed("symspellpy"), installed("wordfreq")]
        parts = ["spell", self.version, asdict(self), libraries, content_hash(sorted(counts.items()))]
        return Rewritten(victim, rewriter(corrector(self, counts)), parts)


def vocabulary(strings: Iterable[str]) -> Counter[str]:
    """How often each lower-case part of a word (parted at apostrophes and hyphens) occurs."""
    return Counter(part for string in strings for word in words_of(string.lower()) for part in _JOINTS.split(word)[::2])
