"""Which words an attack may touch, and how far a text may move."""

from __future__ import annotations

from collections.abc import Iterable

from rapidfuzz.distance import Levenshtein

from robustbench_nlp.lexicon.stopwords import stopwords
from robustbench_nlp.text import Text, words_of
from robustbench_nlp.threat import DELETION, Threat, leaves_out, violations

__all__ = ["content_words", "inside"]


def content_words(text: Text, min_length: int = 1, language: str = "en") -> list[int]:
    """The slots that hold at least `min_length` characters and no stop word of the language (case-sensitive: 'The' is
    none)."""
    stops = stopwords(language)
    return [number for number, word in enumerate(text.words) if len(word) >= min_length and word not in stops]


def inside(threat: Threat, original: str, texts: Iterable[Text]) -> list[Text]:
    """The texts within the threat's limits on edits, each once and without the original."""
    distinct = {string: text for text in texts if (string := str(text)) != original}
    words = (threat.max_words_changed, threat.max_words_share, threat.max_words_exchanged, threat.max_edits_per_word)
    if any(limit is not None for limit in words):
        return [text for string, text in distinct.items() if not violations(threat, original, string)]
    if threat.candidates == DELETION:
        before = words_of(original)
        distinct = {string: text for string, text in distinct.items() if leaves_out(before, words_of(string))}
    if (most := threat.max_edits) is None:
        return list(distinct.values())
    near = (string for string in distinct if Levenshtein.distance(original, string, score_cutoff=most) <= most)
    return [distinct[string] for string in near]
