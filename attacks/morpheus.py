"""Morpheus (Tan et al., 2020): each noun, verb and adjective in its most damaging inflection, greedily from the left.

Differs from the paper: without a tagger, a word takes the inflections of every part of speech that lemminflect knows for
it; capitalised words inside the text are taken for names and left, and so are forms that are not one word of ASCII
letters; the first success ends the search. The paper searches from either end and keeps the better: `backwards` is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from random import Random
from typing import ClassVar

from robustbench_nlp.attack import Sample, Steps
from robustbench_nlp.edits.words import Limits
from robustbench_nlp.errors import UsageError
from robustbench_nlp.lexicon.case import in_case_of
from robustbench_nlp.resources import verified
from robustbench_nlp.search.greedy import in_order
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat

__all__ = ["Morpheus"]

INFLECTION = Threat(name="inflection", unit="word", candidates="lemminflect")
PARTS = ("NOUN", "VERB", "ADJ")


@cache
def inflections(word: str) -> tuple[str, ...]:
    """The other inflected forms of a lower-case word as noun, verb and adjective, sorted; () for an unknown word. Raises
    `UsageError` where the library's data, pickles among them, are damaged."""
    verified("inflections")
    lemminflect = import_module("lemminflect")
    lemmas: dict[str, Sequence[str]] = lemminflect.getAllLemmas(word)
    forms: set[str] = set()
    for part in PARTS:
        for lemma in lemmas.get(part, ()):
            forms.update(form for found in lemminflect.getAllInflections(lemma, part).values() for form in found)
    return tuple(sorted(form for form in forms - {word} if form.isascii() and form.isalpha()))


@dataclass(frozen=True, kw_only=True, slots=True)
class Morpheus:
    """Deterministic: no randomness is drawn. Raises `UsageError` where lemminflect is not installed."""

    threat: Threat = INFLECTION
    backwards: bool = False
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if find_spec("lemminflect") is None:
            raise UsageError("morpheus needs lemminflect: pip install 'robustbench-nlp[inflect]'")

    def run(self, sample: Sample, rng: Random) -> Steps:
        numbers = range(len(sample.text))
        order = numbers[::-1] if self.backwards else numbers
        within = Limits(sample.threat, sample.text).within(_inflected)
        return (yield from in_order(sample.text, sample.score, order, within))


def _inflected(text: Text, number: int) -> list[Text]:
    word = text.word(number)
    if not (word.isascii() and word.isalpha()) or (number and word[0].isupper()):
        return []
    return [text.swap(number, in_case_of(form, word)) for form in inflections(word.lower())]
