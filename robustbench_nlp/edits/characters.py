"""Edits of one word's characters: random ones, and every one that leaves the ends of the word alone."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from string import ascii_letters, ascii_lowercase

from robustbench_nlp.lexicon.keyboard import neighbours
from robustbench_nlp.lexicon.ocr import confusions
from robustbench_nlp.text import Text, words_of

__all__ = [
    "NOISE",
    "Typo",
    "delete",
    "insert",
    "internal_edits",
    "keyboard",
    "ocr",
    "one_of_each",
    "one_typo",
    "random_typos",
    "substitute",
    "swap",
]

Typo = Callable[[str, Random], str]
"""One random edit of a word; the word itself where the edit can't be made."""


def _below(rng: Random, n: int) -> int:
    """A whole number in [0, n): several times faster than `randrange`, in the inner loop of attacks."""
    return int(rng.random() * n)


def swap(word: str, rng: Random) -> str:
    """Two neighbouring characters change places."""
    if len(word) < 2:
        return word
    i = _below(rng, len(word) - 1)
    return word[:i] + word[i + 1] + word[i] + word[i + 2 :]


def substitute(word: str, rng: Random) -> str:
    """An ASCII letter of either case stands in place of a character."""
    if not word:
        return word
    i = _below(rng, len(word))
    return word[:i] + ascii_letters[_below(rng, 52)] + word[i + 1 :]


def delete(word: str, rng: Random) -> str:
    """One character is dropped; never the only one."""
    if len(word) < 2:
        return word
    i = _below(rng, len(word))
    return word[:i] + word[i + 1 :]


def insert(word: str, rng: Random) -> str:
    """An ASCII letter of either case comes in before a character."""
    if not word:
        return word
    i = _below(rng, len(word))
    return word[:i] + ascii_letters[_below(rng, 52)] + word[i:]


def keyboard(word: str, rng: Random) -> str:
    """A letter becomes one whose key touches its own."""
    places = [i for i, letter in enumerate(word) if neighbours(letter)]
    if not places:
        return word
    i = rng.choice(places)
    return word[:i] + rng.choice(neighbours(word[i])) + word[i + 1 :]


def ocr(word: str, rng: Random) -> str:
    """A character or a pair of them becomes what a scanner might read: 'm' as 'rn', 'l' as '1'."""
    table = confusions()
    places = [(i, n) for n in (1, 2) for i in range(len(word) - n + 1) if word[i : i + n] in table]
    if not places:
        return word
    i, n = rng.choice(places)
    return word[:i] + rng.choice(table[word[i : i + n]]) + word[i + n :]


EACH: tuple[Typo, ...] = (swap, substitute, delete, insert)
NOISE: tuple[Typo, ...] = (keyboard, ocr, swap, delete, insert)


def one_of_each(word: str, rng: Random) -> list[str]:
    """One random swap, substitution, deletion and insertion; repeats and the word itself left out; none for one letter."""
    if len(word) < 2:
        return []
    edited = dict.fromkeys([edit(word, rng) for edit in EACH])
    edited.pop(word, None)
    return list(edited)


def internal_edits(word: str, rng: Random | None = None) -> list[str]:
    """Every swap, deletion, insertion and neighbouring key that leaves the first and last character in place.

    Each place takes all 26 lower-case letters as insertions or, with `rng`, one random letter of either case. What is no
    longer one word is left out.
    """
    last = len(word) - 1
    edited = [word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(1, last - 1)]
    edited += [word[:i] + word[i + 1 :] for i in range(1, last)]
    for i in range(1, last if rng else last + 1):
        letters = ascii_letters[_below(rng, 52)] if rng else ascii_lowercase
        edited += [word[:i] + letter + word[i:] for letter in letters]
    edited += [word[:i] + key + word[i + 1 :] for i in range(1, last) for key in neighbours(word[i])]
    distinct = dict.fromkeys(edited)
    distinct.pop(word, None)
    return list(distinct) if word.isalnum() else [new for new in distinct if words_of(new) == [new]]


def one_typo(word: str, rng: Random) -> str:
    """A typing or scanning error of a random kind that leaves one word, another one; the word itself if there is none."""
    for edit in rng.sample(NOISE, len(NOISE)):
        new = edit(word, rng)
        if new != word and words_of(new) == [new]:
            return new
    return word


def random_typos(text: Text, rng: Random, share: float) -> Text:
    """The text with one typo in a share of its words of two or more characters, at least one word where there is any."""
    numbers = [number for number, word in enumerate(text.words) if len(word) >= 2]
    if not numbers:
        return text
    count = max(1, round(share * len(numbers)))
    return text.replace({number: one_typo(text.word(number), rng) for number in rng.sample(numbers, count)})
