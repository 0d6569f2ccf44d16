"""Corruptions of a whole text without a search: each strikes a share of the places where it can.

With one seed a larger share keeps what a smaller one did and adds to it, so noise grows with its share text by text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from random import Random

from robustbench_nlp.edits.characters import Typo, bare, delete, keyboard, ocr, swap
from robustbench_nlp.errors import unknown
from robustbench_nlp.lexicon.case import in_case_of
from robustbench_nlp.lexicon.homophones import homophones
from robustbench_nlp.lexicon.keyboard import keys
from robustbench_nlp.lexicon.misspellings import misspellings
from robustbench_nlp.text import Text, edges_of, is_word, words_of

__all__ = ["NOISES", "Noise", "noise_named", "repeat"]

Noise = Callable[[Text, Random, float], Text]
"""The text with a share (a fraction in [0, 1]) of the places struck, at least one; the text itself where there are none."""

_MARKS = ",.!?;:"
_WIDE_MARKS = "，。！？；："
"""The same behind the words of scripts that write no spaces."""
_DROPPED = _MARKS + _WIDE_MARKS + "、،؛؟।"
_TRIES = 5
"""How often an edit is drawn for a word before the word is given up: 'll' swapped is 'll'."""


def repeat(word: str, rng: Random) -> str:
    """One character is typed twice, one without marks."""
    places = bare(word)
    if not places:
        return word
    i = places[rng.randrange(len(places))]
    return word[: i + 1] + word[i:]


def _count(share: float, places: Sequence[int]) -> int:
    return max(1, round(share * len(places))) if places else 0


def _shuffled(places: Iterable[int], rng: Random) -> list[int]:
    places = list(places)
    return rng.sample(places, len(places))


def _word_noise(edit: Typo, min_length: int = 1, table: Callable[[], Mapping[str, object]] | None = None) -> Noise:
    """Edit a share of the words of at least `min_length` characters (with a table: of the words it lists), once each.

    An edit counts when it leaves one word, another one; words without such an edit are passed over for the next.
    """

    def noise(text: Text, rng: Random, share: float) -> Text:
        known = table() if table else None
        words = text.words
        places = [i for i, word in enumerate(words) if len(word) >= min_length]
        if known is not None:
            places = [i for i in places if _plain(words[i]) in known]
        new: dict[int, str] = {}
        wanted = _count(share, places)
        for i in _shuffled(places, rng):
            if len(new) == wanted:
                break
            for _ in range(_TRIES):
                word = edit(words[i], rng)
                if word != words[i] and is_word(word):
                    new[i] = word
                    break
        return text.replace(new)

    return noise


def _plain(word: str) -> str:
    return word.lower().replace("’", "'")


def _from(table: Callable[[], Mapping[str, Sequence[str]]]) -> Typo:
    """The edit that puts another word of the table in a word's place, in its case."""

    def edit(word: str, rng: Random) -> str:
        others = table().get(_plain(word), ())
        return in_case_of(rng.choice(others), word) if others else word

    return edit


def _recase(word: str, rng: Random) -> str:
    """The word in capitals, in small letters, with its first letter's case turned, or every letter's."""
    forms = dict.fromkeys([word.upper(), word.lower(), word[:1].swapcase() + word[1:], word.swapcase()])
    forms.pop(word, None)
    return rng.choice(list(forms)) if forms else word


def _pieces(text: Text) -> list[str]:
    """The text as gap, word, gap, word, …, gap."""
    string, pieces, last = str(text), [], 0
    for start, end in text.spans:
        pieces += [string[last:start], string[start:end]]
        last = end
    return [*pieces, string[last:]]


def punctuation(text: Text, rng: Random, share: float) -> Text:
    """In a share of the gaps after words, a mark is dropped where there is one or, as often, a mark comes in; words stay."""
    pieces = _pieces(text)
    places = range(len(text))
    for i in _shuffled(places, rng)[: _count(share, places)]:
        gap = pieces[2 * i + 2]
        marks = [at for at, letter in enumerate(gap) if letter in _DROPPED]
        at = rng.choice(marks) if marks and rng.random() < 0.5 else -1
        cut = gap[:at] + gap[at + 1 :]
        around = text.words[i : i + 2]
        keeps = at >= 0 and words_of(cut.join(around)) == around
        pieces[2 * i + 2] = cut if keeps else rng.choice(_WIDE_MARKS if _spaceless(text.word(i)) else _MARKS) + gap
    return Text("".join(pieces))


def whitespace(text: Text, rng: Random, share: float) -> Text:
    """At a share of the single spaces between words: the space is dropped, doubled, or moved into the word before it."""
    pieces = _pieces(text)
    places = [i for i in range(len(text) - 1) if pieces[2 * i + 2] == " "]
    for i in _shuffled(places, rng)[: _count(share, places)]:
        word, kind = pieces[2 * i + 1], rng.randrange(3)
        edges = edges_of(word)
        if kind == 2 and len(edges) > 2:
            at = edges[rng.randrange(1, len(edges) - 1)]
            pieces[2 * i + 1], pieces[2 * i + 2] = f"{word[:at]} {word[at:]}", ""
        else:
            pieces[2 * i + 2] = "  " if kind == 1 else ""
    return Text("".join(pieces))


def drop_words(text: Text, rng: Random, share: float) -> Text:
    """A share of the words is left out; never the only one."""
    places = range(len(text)) if len(text) > 1 else range(0)
    for i in _shuffled(places, rng)[: min(_count(share, places), len(text) - 1)]:
        text = text.delete(i)
    return text


def repeat_words(text: Text, rng: Random, share: float) -> Text:
    """A share of the words is written twice, with a space between where two words would be one without."""
    places = range(len(text))
    chosen = _shuffled(places, rng)[: _count(share, places)]
    return text.replace({i: ("" if _spaceless(word := text.word(i)) else " ").join((word, word)) for i in chosen})


def _spaceless(word: str) -> bool:
    """Whether the word's script parts words by nothing."""
    return words_of(word + word) == [word, word]


def swap_words(text: Text, rng: Random, share: float) -> Text:
    """A share of the words changes places with the next; no word moves twice."""
    places = [i for i in range(len(text) - 1) if text.word(i) != text.word(i + 1)]
    new: dict[int, str] = {}
    wanted = 2 * _count(share, places)
    for i in _shuffled(places, rng):
        if len(new) < wanted and not {i, i + 1} & new.keys():
            new |= {i: text.word(i + 1), i + 1: text.word(i)}
    return text.replace(new)


NOISES: dict[str, Noise] = {
    "keyboard": _word_noise(keyboard, 2),
    "ocr": _word_noise(ocr, 2),
    "misspellings": _word_noise(_from(misspellings), table=misspellings),
    "casing": _word_noise(_recase),
    "punctuation": punctuation,
    "whitespace": whitespace,
    "drop_chars": _word_noise(delete, 2),
    "repeat_chars": _word_noise(repeat, 2),
    "swap_chars": _word_noise(swap, 2),
    "drop_words": drop_words,
    "repeat_words": repeat_words,
    "swap_words": swap_words,
    "homophones": _word_noise(_from(homophones), table=homophones),
}
"""Every noise by name."""


def noise_named(kind: str, layout: str = "us") -> Noise:
    """The noise of a kind; the one of neighbouring keys on a keyboard layout. Raises `UsageError` for unknown names."""
    if kind not in NOISES:
        raise unknown("kind of noise", kind, NOISES)
    keys(layout)
    other = kind == "keyboard" and layout != "us"
    return _word_noise(partial(keyboard, layout=layout), 2) if other else NOISES[kind]
