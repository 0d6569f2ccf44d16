"""What is surely an English clause, and what points back to words before it: by closed lists and WordNet's parts of speech."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import regex

from robustbench_nlp.constraints.meaning import forms, parts_of_speech
from robustbench_nlp.lexicon.clauses import clause_words
from robustbench_nlp.text import words_of

__all__ = ["BE", "DETERMINERS", "FINITE", "LINKS", "SUBJECTS", "USUAL", "is_clause", "pointers", "small_words", "stem"]


SUBJECTS = clause_words("subject")
DETERMINERS = clause_words("determiner")
BE = clause_words("be")
FINITE = clause_words("be", "auxiliary")
USUAL = clause_words("verb")
LINKS = clause_words("link")
_PERSONAL = frozenset(("i", "you", "he", "she", "it", "we", "they"))
_CLITIC = regex.compile(r"(?:'s|'re|'ve|'ll|'d|'m)$")


def small_words(string: str) -> list[str]:
    """The words in lower case, with straight apostrophes."""
    return words_of(string.lower().replace("’", "'"))


def stem(word: str) -> str:
    """A small word without what is contracted with it: "it" of "it's"."""
    return _CLITIC.sub("", word)


def is_clause(string: str) -> bool:
    """Whether the string has, at its head, a subject of a few words and a verb that is nothing else."""
    words = small_words(string)
    if len(words) < 2 or not _begins(words):
        return False
    if stem(words[0]) != words[0] or (words[0] in _PERSONAL and "v" in parts_of_speech(words[1])):
        return True
    for before, word in pairwise(words[:8]):
        if word in FINITE or (word in USUAL and before not in DETERMINERS):
            return True
        if parts_of_speech(word) == {"v"} and any(form.inflection in ("s", "ed") for form in forms(word)):
            return True
        if word in LINKS:
            return False
    return False


def _begins(words: Sequence[str]) -> bool:
    """Whether the words begin with a pronoun, a determiner, a noun or a name."""
    first = stem(words[0])
    if words[0] == "that" and words[1] in SUBJECTS | DETERMINERS:
        return False
    if words[0] in SUBJECTS | DETERMINERS or (first != words[0] and first in SUBJECTS):
        return True
    return first == words[0] and words[0] not in LINKS | FINITE and not parts_of_speech(words[0]) - {"n"}


def pointers(string: str) -> set[str]:
    """The words of the string that may mean something that stands before it."""
    return set(map(stem, small_words(string))) & clause_words("pointer")
