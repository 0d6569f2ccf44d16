"""Does a candidate keep the meaning? By part of speech, and by the sentence encoder around the change.

Parts of speech are looked up, not tagged: WordNet's table is in the package, loads in 0.1 s and needs no model. No tagger
is as lean here: NLTK's perceptron must be downloaded from NLTK's server, spaCy's small model brings spaCy with it. A
look-up knows what a word can be, not what it is in this sentence, so of a word with several parts of speech the rare ones
are left out (fewer than a third of the senses of the commonest).
"""

from __future__ import annotations

import gzip
from collections import defaultdict
from collections.abc import Generator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np

from robustbench_nlp.attack import Encode, Request
from robustbench_nlp.lexicon.wordnet import Part, base_forms, senses
from robustbench_nlp.text import Text

__all__ = ["Close", "Form", "close_in_meaning", "forms", "indirect_antonyms", "parts_of_speech", "same_part", "window"]

_PARTS: tuple[Part, ...] = ("n", "v", "a", "r")
_RARE = 1 / 3
_DERIVED: tuple[tuple[str, Part], ...] = (
    ("ly", "r"),
    *(
        (ending, "a")
        for ending in ("able", "ible", "less", "ful", "ish", "esque", "worthy", "ous", "ive", "dic", "tic")
    ),
    *((ending, "n") for ending in ("ness", "ment", "tion", "ism")),
)
"""Endings that tell the part of speech of a word that WordNet lacks."""


class Form(NamedTuple):
    """One reading of a word: part of speech, inflection ("" for the dictionary form, else s, ed, ing, er, est), lemma."""

    part: Part
    inflection: str
    lemma: str


@cache
def forms(word: str) -> frozenset[Form]:
    """Every reading of a word by WordNet's forms and endings; a word that it lacks is read by its ending, or not at all."""
    word = word.lower()
    found = {
        Form(part, "" if lemma == word else _inflection(word, part), lemma)
        for part in _PARTS
        for lemma in base_forms(word, part)
    }
    if not found:
        found = {Form(part, "", word) for ending, part in _DERIVED if word.endswith(ending)}
    return frozenset(found)


def _inflection(word: str, part: Part) -> str:
    """What an inflected form is; irregular nouns are plurals, irregular verbs past forms."""
    if part == "v":
        return next((ending for ending in ("ing", "s") if word.endswith(ending)), "ed")
    if part == "a":
        return "est" if word.endswith("st") else "er"
    return "s"


@cache
def parts_of_speech(word: str) -> frozenset[Part]:
    """What a word commonly is: n, v, a, r; empty for a word that is unknown, as function words are."""
    counts = {part: len(senses(word, part)) for part in _PARTS}
    most = max(counts.values())
    if not most:
        return frozenset(form.part for form in forms(word))
    return frozenset(part for part, count in counts.items() if count and count >= _RARE * most)


def same_part(word: str, other: str, verb_noun_swap: bool = False) -> bool:
    """Whether two words share a part of speech; unknown words pass. With the swap verbs and nouns are one part."""
    mine, theirs = parts_of_speech(word), parts_of_speech(other)
    swapped = verb_noun_swap and mine & {"n", "v"} and theirs & {"n", "v"}
    return bool(not mine or not theirs or mine & theirs or swapped)


@cache
def indirect_antonyms(word: str) -> frozenset[str]:
    """The adjectives at the opposite pole of an adjective: the antonyms of what it is similar to, and what is similar to
    those ("boring": interesting, fascinating, …), by WordNet. From a table of two poles a line."""
    return frozenset(other for pole in _opposite_poles().get(word.lower(), ()) for other in pole)


@cache
def _opposite_poles() -> dict[str, list[list[str]]]:
    packed = files("robustbench_nlp.lexicon").joinpath("poles.tsv.gz").read_bytes()
    found: dict[str, list[list[str]]] = defaultdict(list)
    for line in gzip.decompress(packed).decode("utf-8").splitlines():
        if not line.startswith("#"):
            one, other = (pole.split(",") for pole in line.split("\t"))
            for mine, theirs in ((one, other), (other, one)):
                for word in mine:
                    found[word].append(theirs)
    return found


def window(text: Text, number: int, words: int | None) -> str:
    """The part of a text that spans `words` word slots, slot `number` in the middle or as near to it as the ends of the
    text allow; all of it for None or fewer."""
    if words is None or len(text) <= words:
        return str(text)
    first = min(max(0, number - words // 2), len(text) - words)
    return str(text)[text.spans[first][0] : text.spans[first + words - 1][1]]


class Close(NamedTuple):
    """The candidates that passed, in their order, and each one's cosine with the original."""

    texts: list[Text]
    cosines: list[float]


def close_in_meaning(
    original: Text,
    candidates: Sequence[Text],
    number: int,
    *,
    min_cosine: float,
    words: int | None = None,
    model: str = "embedded",
) -> Generator[Request, Any, Close]:
    """The candidates whose encoder cosine with the original, within `words` words around slot `number`, is high enough.

    One `Encode` request for the original and all candidates; none where there are no candidates.
    """
    if not candidates:
        return Close([], [])
    vectors = yield Encode([window(text, number, words) for text in (original, *candidates)], model)
    first, *others = np.asarray(vectors)
    cosines = [round(float(first @ other), 5) for other in others]
    kept = [i for i, cosine in enumerate(cosines) if cosine >= min_cosine]
    return Close([candidates[i] for i in kept], [cosines[i] for i in kept])
