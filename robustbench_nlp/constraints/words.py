"""Which words an attack may touch, and how far a text may move."""

from __future__ import annotations

from collections.abc import Iterable

from rapidfuzz.distance import Levenshtein

from robustbench_nlp.lexicon.stopwords import stopwords
from robustbench_nlp.text import Text

__all__ = ["content_words", "within_edits"]


def content_words(text: Text, min_length: int = 1, language: str = "en") -> list[int]:
    """The slots that hold at least `min_length` characters and no stop word of the language (case-sensitive: 'The' is
    none)."""
    stops = stopwords(language)
    return [number for number, word in enumerate(text.words) if len(word) >= min_length and word not in stops]


def within_edits(texts: Iterable[Text], original: str, limit: int | None) -> list[Text]:
    """Those at a Levenshtein distance of at most `limit` code points from the original; None: all."""
    if limit is None:
        return list(texts)
    return [text for text in texts if Levenshtein.distance(original, str(text), score_cutoff=limit) <= limit]
