"""A spelling corrector in front of the victim (cf. Pruthi et al., 2019), by edit distance to the training split's words.

Differs from the paper, which recognises words by a semi-character RNN (`word_recognition`): candidates come by symmetric
deletion (SymSpell), and a word that is known, frequent in English at large, or capitalised inside a sentence is left alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import version as installed
from importlib.util import find_spec
from random import Random
from typing import ClassVar

import regex

from robustbench_nlp.data.example import Example, content_hash
from robustbench_nlp.errors import UsageError
from robustbench_nlp.rewriting import Rewrite, Rewritten
from robustbench_nlp.text import Text, words_of
from robustbench_nlp.victim import Victim

__all__ = ["Spell", "rewriter", "vocabulary"]

CACHE = 100_000
"""Words whose corrections are kept in memory."""
_JOINTS = regex.compile(r"(['’\-‐‑_]+)")
_SENTENCE_END = regex.compile(r"[.!?\n]")
_LETTER = regex.compile(r"[a-z]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Spell:
    """Replaces an unknown word by the nearest word of the training split, the most frequent of equally near ones.

    `max_edits` bounds the Damerau-Levenshtein distance in letters; it is 1 for words shorter than `two_edits_length`, and
    words shorter than `min_length` are left alone. A word that English at large has (`wordfreq`) gives way only to one
    that is `min_gain` more frequent there (Zipf scale: 3 is a thousandfold), so names and rare words stay. Words without
    a letter a-z or with more than one digit stay too. Candidates occur at least `min_count` times in the training split.
    """

    version: ClassVar[int] = 1

    max_edits: int = 2
    two_edits_length: int = 6
    min_length: int = 3
    min_gain: float = 3.0
    min_count: int = 1

    def __post_init__(self) -> None:
        missing = [name for name in ("symspellpy", "wordfreq") if find_spec(name) is None]
        if missing:
            raise UsageError(f"defense spell needs {' and '.join(missing)}: pip install 'robustbench-nlp[spell]'")
        for name in ("max_edits", "min_count"):
            if getattr(self, name) < 1:
                raise UsageError(f"spell's {name} is {getattr(self, name)}; give at least 1")

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        """Raises `UsageError` without training examples: there would be no word to correct to."""
        if not train:
            raise UsageError(
                "defense spell takes its words from a training split, and there is none; name one with --train"
            )
        counts = vocabulary(string for example in train for string in example.fields.values())
        libraries = [installed("symspellpy"), installed("wordfreq")]
        parts = ["spell", self.version, asdict(self), libraries, content_hash(sorted(counts.items()))]
        return Rewritten(victim, rewriter(self, counts), parts)


def vocabulary(strings: Iterable[str]) -> Counter[str]:
    """How often each lower-case part of a word (parted at apostrophes and hyphens) occurs."""
    return Counter(part for string in strings for word in words_of(string.lower()) for part in _JOINTS.split(word)[::2])


def rewriter(settings: Spell, counts: Counter[str]) -> Rewrite:
    """A function that corrects a string word by word; everything between the words stays as it is."""
    nearest = _nearest(settings, counts)

    @lru_cache(CACHE)
    def corrected(word: str, opens: bool) -> str:
        """A word, `opens` where it opens a sentence and is capitalised for that alone."""
        parts = _JOINTS.split(word)
        for i in range(0, len(parts), 2):
            part = parts[i]
            if part[:1].isupper() and (not opens or i > 0 or part[1:] != part[1:].lower()):
                continue
            fixed = nearest(part.lower())
            if fixed is not None:
                parts[i] = fixed[0].upper() + fixed[1:] if part[0].isupper() else fixed
        return "".join(parts)

    def rewrite(string: str) -> str:
        text, last = Text(string), 0
        changes: dict[int, str] = {}
        for number, (start, end) in enumerate(text.spans):
            opens = number == 0 or _SENTENCE_END.search(string, last, start) is not None
            word, last = string[start:end], end
            fixed = corrected(word, opens)
            if fixed != word:
                changes[number] = fixed
        return str(text.replace(changes)) if changes else string

    return rewrite


def _nearest(settings: Spell, counts: Counter[str]) -> Callable[[str], str | None]:
    """A function from a lower-case word to its correction, or None where it stays."""
    from symspellpy import SymSpell, Verbosity
    from wordfreq import zipf_frequency

    speller = SymSpell(max_dictionary_edit_distance=settings.max_edits)
    for word, count in sorted(counts.items()):
        if count >= settings.min_count and len(word) > 1 and word.isalpha():
            speller.create_dictionary_entry(word, count)

    def nearest(word: str) -> str | None:
        digits = sum(map(str.isdigit, word))
        if word in counts or len(word) < settings.min_length or digits > 1 or not _LETTER.search(word):
            return None
        reach = settings.max_edits if len(word) >= settings.two_edits_length else 1
        near = speller.lookup(word, Verbosity.ALL, max_edit_distance=reach)
        floor = zipf_frequency(word, "en")
        if floor:
            near = [item for item in near if zipf_frequency(item.term, "en") >= floor + settings.min_gain]
        best = min(near, key=lambda item: (item.distance, -item.count, item.term), default=None)
        return None if best is None else str(best.term)

    return nearest
