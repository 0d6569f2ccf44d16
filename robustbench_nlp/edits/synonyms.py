"""Texts in which one word has become one of its synonyms."""

from __future__ import annotations

from robustbench_nlp.lexicon.wordnet import synonyms
from robustbench_nlp.text import Text

__all__ = ["with_synonyms"]


def with_synonyms(text: Text, number: int) -> list[Text]:
    """The text once per WordNet synonym of the word in slot `number`, in the order of the strings."""
    return sorted([text.swap(number, other) for other in synonyms(text.word(number))], key=str)
