"""Edits of one word's characters: random ones, and every one that leaves the ends of the word alone.

A character is what a reader takes for one (`text.edges_of`), so no edit parts a mark from its letter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random
from string import ascii_letters, ascii_lowercase

from robustbench_nlp.lexicon.keyboard import keys
from robustbench_nlp.lexicon.ocr import confusions
from robustbench_nlp.text import Text, edges_of, is_word

__all__ = [
    "INTERNAL_KINDS",
    "NOISE",
    "NOISE_KINDS",
    "Typo",
    "bare",
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
    """Two neighbouring characters change places, of which one at least has no marks."""
    edges = edges_of(word)
    places: Sequence[int] = range(len(edges) - 2)
    if len(edges) <= len(word):
        places = [i for i in places if 1 in (edges[i + 1] - edges[i], edges[i + 2] - edges[i + 1])]
    if not places:
        return word
    return _swapped(word, edges, places[_below(rng, len(places))])


def _swapped(word: str, edges: Sequence[int], i: int) -> str:
    start, middle, end = edges[i : i + 3]
    return word[:start] + word[middle:end] + word[start:middle] + word[end:]


def substitute(word: str, rng: Random) -> str:
    """An ASCII letter of either case stands in place of a character without marks."""
    places = bare(word)
    if not places:
        return word
    i = places[_below(rng, len(places))]
    return word[:i] + ascii_letters[_below(rng, 52)] + word[i + 1 :]


def delete(word: str, rng: Random) -> str:
    """One character is dropped, or the last mark of one that has marks; never the only one."""
    if len(word) < 2:
        return word
    edges = edges_of(word)
    i = edges[1 + _below(rng, len(edges) - 1)]
    return word[: i - 1] + word[i:]


def insert(word: str, rng: Random) -> str:
    """An ASCII letter of either case comes in before a character."""
    if not word:
        return word
    edges = edges_of(word)
    i = edges[_below(rng, len(edges) - 1)]
    return word[:i] + ascii_letters[_below(rng, 52)] + word[i:]


def bare(word: str) -> Sequence[int]:
    """The places of the characters that have no marks: those that an edit may replace or double."""
    return range(len(word)) if word.isascii() else [i for i, end in pairwise(edges_of(word)) if end == i + 1]


def keyboard(word: str, rng: Random, layout: str = "us") -> str:
    """A letter becomes one whose key touches its own."""
    table = keys(layout)
    places = [i for i in bare(word) if word[i] in table]
    if not places:
        return word
    i = rng.choice(places)
    return word[:i] + rng.choice(table[word[i]]) + word[i + 1 :]


def ocr(word: str, rng: Random) -> str:
    """A character or a pair of them becomes what a scanner might read: 'm' as 'rn', 'l' as '1'."""
    table, free = confusions(), {*bare(word)}
    places = [(i, n) for n in (1, 2) for i in range(len(word) - n + 1) if word[i : i + n] in table]
    places = [(i, n) for i, n in places if {i, i + n - 1} <= free]
    if not places:
        return word
    i, n = rng.choice(places)
    return word[:i] + rng.choice(table[word[i : i + n]]) + word[i + n :]


EACH: tuple[Typo, ...] = (swap, substitute, delete, insert)
NOISE: tuple[Typo, ...] = (keyboard, ocr, swap, delete, insert)
NOISE_KINDS = tuple(edit.__name__ for edit in NOISE)
INTERNAL_KINDS = ("swap", "delete", "insert", "keyboard")
"""What `one_typo` and `internal_edits` draw on (`defense.knows`)."""


def one_of_each(word: str, rng: Random) -> list[str]:
    """One random swap, substitution, deletion and insertion; repeats and the word itself left out; none for one letter."""
    if len(word) < 2:
        return []
    edited = dict.fromkeys([edit(word, rng) for edit in EACH])
    edited.pop(word, None)
    return list(edited)


def internal_edits(word: str, rng: Random | None = None, layout: str = "us") -> list[str]:
    """Every swap, deletion, insertion and neighbouring key that leaves the first and last character in place.

    Each place takes all 26 lower-case letters as insertions or, with `rng`, one random letter of either case. Marks stay
    with their letters, as in the random edits; what is no longer one word is left out.
    """
    edges, table = edges_of(word), keys(layout)
    inner = edges[1:-2]
    swaps = [i for i in range(1, len(edges) - 3) if 1 in (edges[i + 1] - edges[i], edges[i + 2] - edges[i + 1])]
    edited = [_swapped(word, edges, i) for i in swaps]
    edited += [word[: i - 1] + word[i:] for i in edges[2:-1]]
    for i in inner if rng else edges[1:-1]:
        letters = ascii_letters[_below(rng, 52)] if rng else ascii_lowercase
        edited += [word[:i] + letter + word[i:] for letter in letters]
    free = set(bare(word))
    edited += [word[:i] + key + word[i + 1 :] for i in inner if i in free for key in table.get(word[i], "")]
    distinct = dict.fromkeys(edited)
    distinct.pop(word, None)
    return list(distinct) if word.isalnum() else [new for new in distinct if is_word(new)]


def one_typo(word: str, rng: Random, layout: str = "us") -> str:
    """A typing or scanning error of a random kind that leaves one word, another one; the word itself if there is none."""
    for edit in rng.sample(NOISE, len(NOISE)):
        new = keyboard(word, rng, layout) if edit is keyboard else edit(word, rng)
        if new != word and is_word(new):
            return new
    return word


def random_typos(text: Text, rng: Random, share: float, layout: str = "us") -> Text:
    """The text with one typo in a share of its words of two or more characters, at least one word where there is any."""
    numbers = [number for number, word in enumerate(text.words) if len(word) >= 2]
    if not numbers:
        return text
    count = max(1, round(share * len(numbers)))
    return text.replace({number: one_typo(text.word(number), rng, layout) for number in rng.sample(numbers, count)})
