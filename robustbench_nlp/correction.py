"""The likeliest sentence that could have been mistyped as what is read: a lattice of readings, scored by pairs of words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, log
from typing import Any, NamedTuple

from robustbench_nlp.bigrams import MARK, Bigrams, counted, counts_of, has_mark, pieces
from robustbench_nlp.lexicon.case import in_case_of

__all__ = ["Channel", "Corrector"]

CACHE = 100_000
"""Words whose readings are kept in memory."""
NAMES = 0.001
"""The share of capitalised words from which on capitals are taken to mean something."""
RARER = 0.05
"""A known word is taken for no other that is so much rarer."""
COMMON = 1e-5
"""Two words that are this likely are not read as one with a space and a further edit."""
_READINGS = 12
_SLIPS = 6
"""The most readings of an unknown word, and of a known one."""
_OPENERS = frozenset(".!?\n")


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """What the corrector takes for likely, as the defense `noisy_channel` tells it; `smoothing` is that of `Bigrams`."""

    edit: float = 5.0
    slip: float = 11.0
    novelty: float = 12.0
    per_letter: float = 1.2
    corpus: str = "imdb"
    min_count: int = 4
    weight: int = 3
    smoothing: float = 1000.0


class _Reading(NamedTuple):
    """What may have been meant, and what it costs that something else stands there."""

    words: tuple[str, ...]
    cost: float


class _State(NamedTuple):
    """The best way to a word: the score, the state before it, and what was read there of how many words."""

    score: float
    before: tuple[int, str]
    reading: tuple[str, ...]


class Corrector:
    """A function from a string to the likeliest string that was meant; `strings` are the training split."""

    def __init__(self, settings: Channel, strings: Sequence[str]) -> None:
        from symspellpy import SymSpell

        words, pairs = counted(strings)
        own = frozenset(words)
        capitals = sum(word[0].isupper() for string in strings for word in pieces(string)[1::2])
        self._names = capitals > NAMES * sum(words.values())
        words = Counter({word: settings.weight * n for word, n in words.items()})
        pairs = Counter({pair: settings.weight * n for pair, n in pairs.items()})
        if settings.corpus:
            more, neighbours = counts_of(settings.corpus)
            words.update({word: n for word, n in more.items() if n >= settings.min_count or word in own})
            pairs.update(neighbours)
        self._settings = settings
        self._known = frozenset(words) - {MARK}
        self._longest = max(map(len, self._known), default=0)
        self._language = Bigrams((words, pairs), smoothing=settings.smoothing, unseen=self._new)
        self._speller: Any = SymSpell(max_dictionary_edit_distance=2)
        for word in sorted(self._known):
            if len(word) > 1 and word.replace("'", "").isalpha():
                self._speller.create_dictionary_entry(word, words[word])
        self._readings = lru_cache(CACHE)(self._all_readings)

    def __call__(self, string: str) -> str:
        parts = pieces(string)
        typed = parts[1::2]
        words = [word.lower().replace("’", "'") for word in typed]
        path = self._best(words, parts[::2], self._kept(parts))
        made, at = [], 0
        for count, meant in path:
            made.append(parts[2 * at])
            same = count == 1 and meant == (words[at],)
            made.append(typed[at] if same else self._cased(" ".join(meant), typed[at]))
            at += count
        return "".join([*made, parts[-1]])

    def _cased(self, meant: str, typed: str) -> str:
        return in_case_of(meant, typed) if self._names else meant

    def _kept(self, parts: Sequence[str]) -> list[bool]:
        """Of each word, whether it is a name."""
        found: list[bool] = []
        for gap, word in zip(parts[:-1:2], parts[1::2], strict=True):
            opens = not found or not _OPENERS.isdisjoint(gap)
            found.append(self._names and any(map(str.isupper, word[1:] if opens else word)))
        return found

    def _best(
        self, words: Sequence[str], gaps: Sequence[str], kept: Sequence[bool]
    ) -> list[tuple[int, tuple[str, ...]]]:
        """The likeliest sequence: of how many words each reading is, and what was meant (Viterbi over the last word)."""
        after = self._language.after
        ends: list[dict[str, _State]] = [{} for _ in range(len(words) + 1)]
        ends[0][MARK] = _State(0.0, (0, MARK), ())
        for at in range(len(words)):
            marked = at > 0 and has_mark(gaps[at])
            starts = [
                (state.score + after(last, MARK), MARK, last) if marked else (state.score, last, last)
                for last, state in ends[at].items()
            ]
            for count, reading in self._steps(at, words, gaps, kept):
                for score, last, key in starts:
                    total = score - reading.cost
                    for word in reading.words:
                        total, last = total + after(last, word), word  # noqa: PLW2901
                    found = ends[at + count].get(last)
                    if found is None or total > found.score:
                        ends[at + count][last] = _State(total, (at, key), reading.words)
        at, last = len(words), max(ends[-1], key=lambda word: ends[-1][word].score + after(word, MARK))
        path: list[tuple[int, tuple[str, ...]]] = []
        while at:
            state = ends[at][last]
            path.append((at - state.before[0], state.reading))
            at, last = state.before
        return path[::-1]

    def _steps(
        self, at: int, words: Sequence[str], gaps: Sequence[str], kept: Sequence[bool]
    ) -> Iterator[tuple[int, _Reading]]:
        """What may have been meant by a word, and by it and the next together, with the one character between them a slip."""
        if kept[at]:
            yield 1, _Reading((words[at],), 0.0)
            return
        for reading in self._readings(words[at]):
            yield 1, reading
        if at + 1 == len(words) or kept[at + 1] or len(gaps[at + 1]) != 1:
            return
        pair = words[at : at + 2]
        if any(map(_stays, pair)):
            return
        joined = "".join(pair)
        common = gaps[at + 1].isspace() and all(len(word) > 1 and self._language.chance(word) > COMMON for word in pair)
        if joined in self._known:
            yield 2, _Reading((joined,), self._settings.edit)
        elif not common:
            for word, _ in self._near(joined, 1):
                yield 2, _Reading((word,), 2 * self._settings.edit)

    def _all_readings(self, word: str) -> list[_Reading]:
        """What may have been meant by a word alone, itself first."""
        itself = _Reading((word,), 0.0)
        if _stays(word):
            return [itself]
        chance = self._language.chance
        cost = self._settings.edit
        if word in self._known:
            floor = RARER * chance(word)
            others = [other for other, _ in self._near(word, 1) if other != word and chance(other) > floor]
            others.sort(key=lambda other: (-chance(other), other))
            return [itself, *(_Reading((other,), self._settings.slip) for other in others[:_SLIPS])]
        near = [_Reading((other,), cost * edits) for other, edits in self._near(word, 2 if len(word) >= 5 else 1)]
        near.sort(key=lambda reading: (reading.cost - log(chance(reading.words[0])), reading.words))
        cuts = range(max(1, len(word) - self._longest), min(len(word), self._longest + 1))
        halves = ((word[:i], word[i:]) for i in cuts)
        return [
            itself,
            *near[:_READINGS],
            *(_Reading(pair, cost) for pair in halves if all(half in self._known and _stands(half) for half in pair)),
        ]

    def _near(self, word: str, reach: int) -> list[tuple[str, int]]:
        """Known words within so many edits, a swap of neighbours being one, and how many they are."""
        from symspellpy import Verbosity

        found = self._speller.lookup(word, Verbosity.ALL, max_edit_distance=reach)
        return [(str(item.term), int(item.distance)) for item in found]

    def _new(self, word: str) -> float:
        """The chance of a word that isn't known: that of English at large, where it is more than a new word's."""
        from wordfreq import word_frequency

        fresh = exp(-self._settings.novelty - self._settings.per_letter * len(word))
        return max(fresh, float(word_frequency(word, "en")))


def _stays(word: str) -> bool:
    """Whether a word is no matter of spelling: two digits or more, or no letter a-z."""
    return sum(map(str.isdigit, word)) > 1 or not any("a" <= letter <= "z" for letter in word)


def _stands(word: str) -> bool:
    """Whether a part that was cut off can be a word."""
    return len(word) > 1 or word in ("a", "i")
