"""Two words of one kind that change places: "sad and funny" and "funny and sad"."""

from __future__ import annotations

from collections.abc import Iterator

import regex

from robustbench_nlp.constraints.meaning import parts_of_speech
from robustbench_nlp.edits.clauses import DETERMINERS, FINITE
from robustbench_nlp.lexicon.clauses import clause_words
from robustbench_nlp.lexicon.stopwords import stopwords
from robustbench_nlp.lexicon.wordnet import senses

__all__ = ["swapped_pairs"]

_WORD = r"[\w'’-]"
_PAIR = regex.compile(
    rf"(?P<before>{_WORD}+|[^\w\s]|^)(?P<space>\s*)(?<!{_WORD})"
    rf"(?P<one>[^\W\d][\w-]*)(?P<link> and | or | ?, )(?P<two>[^\W\d][\w-]*)(?P<after>\s*(?:{_WORD}+|[^\w\s]|$))"
)
_COPULAS = clause_words("copula")
_PREPOSITIONS = clause_words("preposition")
_JOINTS = frozenset((",", "but", "yet", ""))
_FIXED = {frozenset(pair.split()) for pair in clause_words("fixed pair")}
"""Pairs that have one order."""


def swapped_pairs(body: str) -> Iterator[str]:
    """Each pair of adjectives, nouns or adverbs of manner around "and" or "or", or of adjectives around a comma before a
    noun, in its other order; "a" and "an" follow. Left alone: pairs whose first word may be what an adverb or adjective
    before them goes with, or whose second one goes with what follows."""
    for match in _PAIR.finditer(body, overlapped=True):
        one, two, before, after = (match[part].strip().lower() for part in ("one", "two", "before", "after"))
        if one == two or {one, two} in _FIXED or {one, two} & stopwords():
            continue
        closed = not after[:1].isalnum() or after == "but"
        comma = "," in match["link"]
        if _adjectives(one, two, before, after, closed=closed, comma=comma) or (
            not comma and (_nouns(one, two, before, after, closed) or _manners(one, two, after, closed))
        ):
            article = _article(two, match["before"]) if before in ("a", "an") else match["before"]
            swap = article + match["space"] + match["two"] + match["link"] + match["one"]
            yield body[: match.start()] + swap + body[match.end("two") :]


def _adjectives(one: str, two: str, before: str, after: str, *, closed: bool, comma: bool) -> bool:
    if not (_adjective(one) and _adjective(two)):
        return False
    if before in _COPULAS | _JOINTS and closed:
        return not comma
    if before not in DETERMINERS | _PREPOSITIONS | _JOINTS and not before.endswith("'s"):
        return False
    return (closed and not comma) or (after not in stopwords() and "n" in parts_of_speech(after))


def _adjective(word: str) -> bool:
    """Whether the word is an adjective in more senses than it is a noun, and no adverb."""
    parts = parts_of_speech(word)
    return "a" in parts and "r" not in parts and ("n" not in parts or len(senses(word, "a")) > len(senses(word, "n")))


def _nouns(one: str, two: str, before: str, after: str, closed: bool) -> bool:
    if parts_of_speech(one) != {"n"} or parts_of_speech(two) != {"n"}:
        return False
    shared = before in DETERMINERS - {"a", "an"} and one.endswith("s") == two.endswith("s")  # "the lambs and hannibal"
    return (shared or before in _PREPOSITIONS) and (closed or after in FINITE)


def _manners(one: str, two: str, after: str, closed: bool) -> bool:
    if not (one.endswith("ly") and two.endswith("ly") and parts_of_speech(one) == parts_of_speech(two) == {"r"}):
        return False
    return closed or bool(parts_of_speech(after) & {"a", "v"})


def _article(word: str, old: str) -> str:
    """ "a" or "an" in the case of the old one, by the word's first letters."""
    silent = word.startswith(("hour", "honest", "honor", "honour", "heir"))
    vowel = word[0] in "aeiou" and not word.startswith(("uni", "use", "usu", "eu", "one", "once", "ubi", "uti"))
    return old[0] + ("n" if silent or vowel else "")
