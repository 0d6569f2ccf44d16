"""A text as numbered words over an untouched string: an edit disturbs nothing but the word that it edits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import regex

__all__ = ["Text", "edges_of", "is_word", "words_of"]

_ALONE = r"[\w&&[\p{Han}\p{Hiragana}]]\p{M}*"
_RUN = r"[\w--[\p{Han}\p{Hiragana}\p{M}\u200c\u200d]][\w--[\p{Han}\p{Hiragana}]]*"
_WORD = regex.compile(rf"({_RUN}(?:['’\-‐‑]{_RUN})*|{_ALONE})", regex.V1)
_ASCII_WORD = re.compile(r"(\w+(?:['\-]\w+)*)", re.ASCII)
"""The same rule where the string is ASCII, in half the time. Both are groups, so that a string split by one is gap, word, …, gap."""
_CHARACTER = regex.compile(r"\X")


def words_of(string: str) -> list[str]:
    """The words of a string, a function of the string alone.

    A word is a run of letters, digits or underscores and the marks and joiners behind them; apostrophes and hyphens inside
    it belong to it. As in UAX #29, an ideograph (Han) or a Hiragana letter is a word of its own, with the marks and
    variation selectors behind it, for its scripts write no spaces; Katakana, Hangul, Thai and all other scripts make runs.
    """
    return _ASCII_WORD.findall(string) if string.isascii() else _WORD.findall(string)


def is_word(string: str) -> bool:
    """Whether the string is one word and nothing else."""
    return (string.isascii() and string.isalnum()) or words_of(string) == [string]


def edges_of(string: str) -> Sequence[int]:
    """Where each character begins, in code points, and where the last one ends; a letter and its marks are one character
    (UAX #29's grapheme clusters), so an edit between two edges parts no mark from its letter."""
    if string.isascii():
        return range(len(string) + 1)
    return [0, *(match.end() for match in _CHARACTER.finditer(string))]


class Text:
    """An immutable text whose words keep their numbers under every edit.

    The string is held as gap, word, gap, word, …, gap. A replaced word stays in its slot whatever it becomes (two
    words, one word, nothing), so word 7 of the original is slot 7 of every text edited from it. Only words that lie
    within the first `end` code points get a slot: a victim that reads no further can't be attacked further.
    """

    __slots__ = ("_pieces", "_string")

    def __init__(self, string: str, end: int | None = None) -> None:
        pieces: list[str] = (_ASCII_WORD if string.isascii() else _WORD).split(string)
        if end is not None and end < len(string):
            position = 0
            for i in range(0, len(pieces) - 1, 2):
                position += len(pieces[i]) + len(pieces[i + 1])
                if position > end:
                    pieces[i:] = ["".join(pieces[i:])]
                    break
        self._pieces = pieces
        self._string: str | None = string

    @classmethod
    def of(cls, pieces: list[str]) -> Text:
        """The text of such `pieces` as another has."""
        text = cls.__new__(cls)
        text._pieces = pieces
        text._string = None
        return text

    @property
    def pieces(self) -> list[str]:
        """Gap, word, gap, word, …, gap, which together are the string."""
        return self._pieces.copy()

    @property
    def words(self) -> list[str]:
        """What stands in each word slot now; an emptied slot is ''."""
        return self._pieces[1::2]

    @property
    def spans(self) -> list[tuple[int, int]]:
        """The slots' (start, end) in `str(self)`, in code points."""
        spans, position = [], 0
        for i, piece in enumerate(self._pieces):
            if i % 2:
                spans.append((position, position + len(piece)))
            position += len(piece)
        return spans

    def __len__(self) -> int:
        """The number of word slots."""
        return len(self._pieces) // 2

    def __str__(self) -> str:
        if self._string is None:
            self._string = "".join(self._pieces)
        return self._string

    def __repr__(self) -> str:
        return f"Text({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Text) and self._pieces == other._pieces

    def __hash__(self) -> int:
        return hash(str(self))

    def word(self, number: int) -> str:
        """What stands in slot `number` now."""
        return self._pieces[2 * number + 1]

    def replace(self, words: Mapping[int, str]) -> Text:
        """The text with each numbered slot holding the given string."""
        pieces = self._pieces.copy()
        for number, word in words.items():
            pieces[2 * number + 1] = word
        return Text.of(pieces)

    def swap(self, number: int, word: str) -> Text:
        """`replace` for one slot: the inner loop of most attacks."""
        pieces = self._pieces.copy()
        pieces[2 * number + 1] = word
        return Text.of(pieces)

    def insert(self, number: int, words: str) -> Text:
        """The text with `words` and a space put before slot `number`; at `len(self)`, a space and `words` after the last."""
        pieces = self._pieces.copy()
        if number < len(self):
            pieces[2 * number] += words + " "
        elif len(self):
            pieces[-1] = " " + words + pieces[-1]
        else:
            pieces[-1] += words
        return Text.of(pieces)

    def delete(self, *numbers: int) -> Text:
        """The text with the numbered slots emptied, from left to right in whatever order they are named, and with each one
        neighbouring space dropped: the one before it, else the one after."""
        pieces = self._pieces.copy()
        for number in sorted(numbers):
            at = 2 * number + 1
            pieces[at] = ""
            if pieces[at - 1].endswith(" "):
                pieces[at - 1] = pieces[at - 1][:-1]
            elif pieces[at + 1].startswith(" "):
                pieces[at + 1] = pieces[at + 1][1:]
        return Text.of(pieces)
