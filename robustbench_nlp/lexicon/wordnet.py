"""WordNet 3.0 (Miller, 1995): synonyms and antonyms of single words, inflected forms included.

The table is a data file made by `scripts/build_wordnet.py`; it is read at the first look-up (about 0.1 s).
"""

from __future__ import annotations

import gzip
from functools import cache
from importlib.resources import files
from typing import Literal

__all__ = ["antonyms", "base_forms", "senses", "synonyms"]

Part = Literal["n", "v", "a", "r"]

_PARTS: tuple[Part, ...] = ("n", "v", "a", "r")
_ENDINGS: dict[Part, tuple[tuple[str, str], ...]] = {
    "n": (
        ("s", ""),
        ("ses", "s"),
        ("ves", "f"),
        ("xes", "x"),
        ("zes", "z"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("men", "man"),
        ("ies", "y"),
    ),
    "v": (("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    "a": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "r": (),
}
"""Endings that an inflected form may lose for a base form, by part of speech (WordNet's morphology)."""


@cache
def _table() -> dict[str, dict[str, str]]:
    """By part of speech, and by part + '!' for irregular forms: each form's line, unparsed."""
    packed = files("robustbench_nlp.lexicon").joinpath("wordnet.tsv.gz").read_bytes()
    table: dict[str, dict[str, str]] = {part + mark: {} for part in _PARTS for mark in ("", "!")}
    for line in gzip.decompress(packed).decode("utf-8").splitlines():
        if line[0] != "#":
            part, form, rest = line.split("\t", 2)
            table[part][form] = rest
    return table


def base_forms(word: str, part: Part) -> list[str]:
    """The dictionary forms of a word: itself if it is one, then its irregular bases, or else those made by endings."""
    word = word.lower()
    known, irregular = _table()[part], _table()[part + "!"].get(word)
    if irregular is not None:
        bases = irregular.split(",")
    else:
        bases = [word[: -len(old)] + new for old, new in _ENDINGS[part] if word.endswith(old)]
    return [form for form in dict.fromkeys((word, *bases)) if form in known]


def senses(word: str, part: Part) -> list[list[str]]:
    """The single-word lemmas of each sense, the most frequent sense of the first base form first."""
    rows = (_table()[part][form].partition("\t")[0] for form in base_forms(word, part))
    return [[lemma for lemma in sense.split(",") if lemma] for row in rows for sense in row.split(";")]


@cache
def synonyms(word: str) -> tuple[str, ...]:
    """Every other single-word lemma of every sense of every part of speech, sorted by code point."""
    found = {lemma for part in _PARTS for sense in senses(word, part) for lemma in sense}
    return tuple(sorted(found - {word}))


@cache
def antonyms(word: str) -> tuple[str, ...]:
    """The direct antonyms, single words only, of every part of speech, sorted by code point."""
    rows = (_table()[part][form].partition("\t")[2] for part in _PARTS for form in base_forms(word, part))
    return tuple(sorted({lemma for row in rows for lemma in row.split(",") if lemma}))
