"""Word substitutions by the name of a candidate set, and the limits of a threat on them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from operator import ne
from typing import Any

from robustbench_nlp.errors import UsageError
from robustbench_nlp.lexicon.wordnet import synonyms
from robustbench_nlp.text import Text, is_word, words_of
from robustbench_nlp.threat import Threat, violations

__all__ = ["Limits", "candidate_maker", "candidate_words", "follow_candidates", "word_threat"]

Candidates = Callable[[Text, int], Sequence[Text]]
_NAME = re.compile(
    r"(?P<kind>wordnet)|(?P<near>neighbours)(\((?P<k>[1-9]\d*)(,(?P<least>0?\.\d+))?\))?|(?P<own>vectors):(?P<path>.+)",
    re.DOTALL,
)
NEIGHBOURS = 50
"""Neighbours of a word where the name of the set says no number."""


@cache
def candidate_maker(name: str) -> Candidates:
    """The texts in which one slot holds another word of a candidate set; always a single word by the rule of `Text`.

    "wordnet": all synonyms; "neighbours", "neighbours(25)" or "neighbours(25,0.6)": the nearest of the embedding table, of
    that cosine or above, in the case of the word that they replace; "vectors:PATH": the same from a file of the user's.
    Tables load at the first word. Raises `UsageError` for another name.
    """
    _parsed(name)

    def candidates(text: Text, number: int) -> list[Text]:
        return [text.swap(number, other) for other in words(text.word(number))]

    words = candidate_words(name)
    return candidates


@cache
def candidate_words(name: str) -> Callable[[str], tuple[str, ...]]:
    """The words of a candidate set for a word, the nearest first where it has an order (wordnet's is the alphabet); see `candidate_maker`."""
    _parsed(name)

    @cache
    def words(word: str) -> tuple[str, ...]:
        return tuple(other for other in _lookup(name)(word) if is_word(other) and other != word)

    return words


def _parsed(name: str) -> re.Match[str]:
    match = _NAME.fullmatch(name)
    if match is None:
        raise UsageError(
            f"no candidates '{name}'; write wordnet, neighbours, neighbours(25), neighbours(25,0.6) or vectors:PATH"
        )
    return match


@cache
def _lookup(name: str) -> Callable[[str], Sequence[str]]:
    """The words of a set for a word."""
    match = _parsed(name)
    if match["kind"]:
        return synonyms
    from robustbench_nlp.lexicon import neighbours as table

    near = table.from_vectors(match["path"]) if match["own"] else table.neighbours
    k, least = int(match["k"] or NEIGHBOURS), float(match["least"] or -1)
    return lambda word: [other for other, cosine in near(word, k) if cosine >= least]


def word_threat(candidates: str, share: float) -> Threat:
    """The threat that changes at most a share of the words, in [0, 1], to candidates of the named set."""
    kind = candidates.partition("(")[0].partition(":")[0]
    known = "wordnet-3.0" if kind == "wordnet" else candidates
    return Threat(name=f"{kind}_{share * 100:.0f}", unit="word", max_words_share=share, candidates=known)


def follow_candidates(attack: Any, default: Threat, threat_of: Callable[[str], Threat]) -> None:
    """For an attack's `__post_init__`: the default threat names the attack's candidates, any other stays as it is.

    Raises `UsageError` for an unknown name.
    """
    candidate_maker(attack.candidates)
    if attack.threat == default:
        object.__setattr__(attack, "threat", threat_of(attack.candidates))


class Limits:
    """A threat's limits, and at most `most` changed words, on texts whose slots hold single words: a changed word is a changed
    slot.

    Where words stand side by side, as ideographs do, a new one may run into its neighbour: there the strings are measured.
    """

    def __init__(self, threat: Threat, original: Text, most: int | None = None) -> None:
        self._threat = threat
        self._original = original
        self._words = original.words
        total = len(words_of(str(original)))
        self.most = min(limit for limit in (total, most, threat.most_words(total)) if limit is not None)
        apart = len(words_of(str(original.replace(dict.fromkeys(range(len(original)), "x"))))) == total
        self._measured = threat.max_edits is not None or threat.max_edits_per_word is not None or not apart

    def allow(self, text: Text) -> bool:
        """Whether the text is inside the threat."""
        if sum(map(ne, text.words, self._words)) > self.most:
            return False
        return not (self._measured and violations(self._threat, str(self._original), str(text)))

    def within(self, candidates: Candidates) -> Candidates:
        """The candidates that are inside the threat, without the original."""

        def limited(text: Text, number: int) -> Sequence[Text]:
            old = self._original.word(number)
            others = sum(map(ne, text.words, self._words)) - (text.word(number) != old)
            if others >= self.most:
                return []
            found = [other for other in candidates(text, number) if others or other.word(number) != old]
            return [other for other in found if self.allow(other)] if self._measured else found

        return limited
