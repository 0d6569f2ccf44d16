"""Stop words: NLTK's list for English, function words (pronouns, prepositions, auxiliaries, …) for other languages."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from robustbench_nlp.errors import unknown

__all__ = ["LANGUAGES", "stopwords"]

LANGUAGES = ("en", "de", "es", "fr", "zh")
"""The languages that have a list, by their ISO 639-1 codes."""


@cache
def stopwords(language: str = "en") -> frozenset[str]:
    """The words of a language's list, lower case, 179 of them English; the look-up is case-sensitive, as in TextAttack, so
    'The' is none of them. Raises `UsageError` for a language without a list."""
    if language not in LANGUAGES:
        raise unknown("stop words for language", language, LANGUAGES)
    lines = files("robustbench_nlp.lexicon").joinpath(f"stopwords_{language}.txt").read_text("utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())
