"""Parts of speech of words in their sentence, by the Hanover Tagger (Wartena, 2019), whose models come with its package."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.lexicon.wordnet import Part
from robustbench_nlp.resources import verified

__all__ = ["LANGUAGES", "parts_in", "tagger_of"]

LANGUAGES = {"en": "morphmodel_en.pgz", "de": "morphmodel_ger.pgz"}
_BEGINNINGS: dict[str, dict[str, Part]] = {
    "en": {"NN": "n", "NP": "n", "VV": "v", "AJ": "a", "AV": "r"},
    "de": {"NN": "n", "NE": "n", "VV": "v", "ADJ": "a", "ADV": "r"},
}
"""How the tags of content words begin: CLAWS C5 and STTS; auxiliary and modal verbs are function words."""
_LETTERS = 30
"""Of a longer word the end is read: it tells the part, and the library's time grows with the square of the length."""


@cache
def tagger_of(language: str = "en") -> Any:
    """The library's tagger. Raises `UsageError` without the extra, for a language that it has no model of, and for a damaged model: it
    is a pickle."""
    if language not in LANGUAGES:
        raise unknown("language of the tagger", language, LANGUAGES)
    try:
        from HanTa.HanoverTagger import HanoverTagger
    except ImportError as problem:
        raise UsageError("the tagger is not installed; pip install 'robustbench-nlp[tagger]'") from problem
    return HanoverTagger(
        str(verified("tagger") / LANGUAGES[language])
    )  # a bare name is looked for in the current folder first


@lru_cache(maxsize=4096)
def _tagged(words: tuple[str, ...], language: str) -> tuple[Part | None, ...]:
    tagged = tagger_of(language).tag_sent(list(words), taglevel=1)
    known = _BEGINNINGS[language].items()
    return tuple(next((part for start, part in known if tag.startswith(start)), None) for *_, tag in tagged)


def parts_in(words: Sequence[str], language: str = "en") -> list[Part | None]:
    """The part of speech of each word of a sentence, None for function words and for empty ones."""
    found = iter(_tagged(tuple(word[-_LETTERS:] for word in words if word), language))
    return [next(found) if word else None for word in words]
