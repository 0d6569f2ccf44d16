"""The same words in another order: clauses moved across their comma, joined words that change places. Surface rules for English.

Meant to keep grammar and meaning, so each rule passes over whatever it isn't sure of: 234 of 4,000 MR training sentences have
a move. Of 42 moves read by one reader before `BOUND` was added, 5 read badly, 4 of them for such a word.
"""

from __future__ import annotations

from collections.abc import Iterator

import regex

from robustbench_nlp.constraints.meaning import parts_of_speech
from robustbench_nlp.edits.sentences import replaced, sentences
from robustbench_nlp.text import words_of

__all__ = ["reorderings"]

OPENERS = frozenset(
    [
        "when",
        "while",
        "although",
        "though",
        "because",
        "if",
        "since",
        "after",
        "before",
        "despite",
        "unless",
        "until",
        "without",
        "whenever",
        "wherever",
    ]
)
"""Words that begin a clause which may stand before or after its main clause."""
JOINERS = frozenset(
    ["and", "but", "or", "nor", "so", "yet", "which", "who", "whose", "that", "then", "than", "where", "not"]
)
"""Words that begin something which can't come first."""
BOUND = frozenset(["nonetheless", "nevertheless", "still", "also", "already", "instead", "then", "again", "anyway"])
"""Words that tie a clause to the one before it."""
DEGREES = frozenset(
    [
        "very",
        "so",
        "too",
        "more",
        "most",
        "less",
        "least",
        "as",
        "quite",
        "rather",
        "both",
        "either",
        "between",
        "not",
        "no",
    ]
)
BEFORE_NOUNS = frozenset(
    ["the", "of", "with", "in", "by", "from", "for", "its", "his", "her", "their", "our", "your", "my", "this"]
)
_TAIL = regex.compile(r"\s*[.!?…]*\s*\Z")
_COMMA = regex.compile(r"\s?,\s")
_PAIR = regex.compile(r"(?<![\w'’-])(?P<one>[a-z]+(?:-[a-z]+)*) and (?P<other>[a-z]+(?:-[a-z]+)*)(?![\w'’-])")
_SHORTEST = 3
"""The fewest words of a clause that moves, or that another moves across."""


def reorderings(string: str) -> Iterator[str]:
    """Each text that one move makes, sentence by sentence."""
    for start, end in sentences(string):
        sentence = string[start:end]
        for new in (*_clauses(sentence), *_pairs(sentence)):
            if new != sentence:
                yield replaced(string, (start, end), new)


def _clauses(sentence: str) -> Iterator[str]:
    """The two sides of the only comma change places, where one of them is a clause that may stand on either side."""
    tail = _TAIL.search(sentence)
    assert tail is not None
    body, close = sentence[: tail.start()], sentence[tail.start() :]
    commas = list(_COMMA.finditer(body))
    if len(commas) != 1 or regex.search(r"[;:()\[\]\"“”`—]|--|''", body):
        return
    left, right = body[: commas[0].start()], body[commas[0].end() :]
    first, second = words_of(left), words_of(right)
    if min(len(first), len(second)) < _SHORTEST or second[0].lower() in JOINERS:
        return
    if (first[0].lower() in OPENERS) == (second[0].lower() in OPENERS) or BOUND & {word.lower() for word in second}:
        return
    if first[0].lower() not in OPENERS and first[0].lower() in JOINERS:
        return
    if left[:1].isupper():
        left = left if first[0] == "I" or first[0][1:] != first[0][1:].lower() else left[0].lower() + left[1:]
        right = right[:1].upper() + right[1:]
    yield right + commas[0].group() + left + close


def _pairs(sentence: str) -> Iterator[str]:
    """Two adjectives, or two nouns, that "and" joins change places."""
    for match in _PAIR.finditer(sentence):
        one, other = match["one"], match["other"]
        before = words_of(sentence[: match.start()])
        last = before[-1].lower() if before else ""
        ahead = sentence[match.end() :].lstrip()
        kinds = parts_of_speech(one), parts_of_speech(other)
        if kinds[0] != kinds[1] or len(kinds[0]) != 1 or last in DEGREES or last.endswith("ly"):
            continue
        if sentence[: match.start()].rstrip().endswith(",") or ahead.startswith(("and ", ", and ", ",")):
            continue
        if kinds[0] == {"n"} and (last not in BEFORE_NOUNS or not ahead or ahead[0].isalpha()):
            continue
        if kinds[0] not in ({"a"}, {"n"}) or (last in ("a", "an") and (one[0] in "aeiou") != (other[0] in "aeiou")):
            continue
        yield f"{sentence[: match.start()]}{other} and {one}{sentence[match.end() :]}"
