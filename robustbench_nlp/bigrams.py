"""How likely a word is after another: counts of words and of pairs of neighbours, smoothed (Dirichlet, as in MacKay and Peto, 1995).

Words are lower case and end at hyphens; where a mark stands between two words, or a text begins or ends, stands `MARK`.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from math import log
from pathlib import Path

import regex

from robustbench_nlp import cache
from robustbench_nlp.data import Dataset, load_dataset

__all__ = ["MARK", "Bigrams", "Counts", "counted", "counts_of", "has_mark", "pieces", "recipe_of"]

MARK = "."
"""Stands for any mark."""
VERSION = 1
KEPT_PAIRS = 2
"""A corpus's pairs that occur less often are not kept on disk; under the smoothing they tell next to nothing."""
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}_]+(?:['’][\p{L}\p{M}\p{N}_]+)*")
_MARK = regex.compile(r"[^\s\-‐‑]")
Counts = tuple[Counter[str], Counter[tuple[str, str]]]
"""Of words, and of pairs of neighbours."""


def pieces(string: str) -> list[str]:
    """Gap, word, gap, …, gap, which together are the string."""
    found, last = [], 0
    for match in _WORD.finditer(string):
        found += [string[last : match.start()], match.group()]
        last = match.end()
    return [*found, string[last:]]


def has_mark(gap: str) -> bool:
    """Whether there is more between two words than spaces and hyphens."""
    return _MARK.search(gap) is not None


def counted(strings: Iterable[str]) -> Counts:
    """How often each word, and each pair of neighbours, occurs."""
    words: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for string in strings:
        sequence = list(_sequence(string))
        words.update(sequence)
        pairs.update(pairwise(sequence))
    return words, pairs


def counts_of(dataset: str) -> Counts:
    """The counts of a data set's training split, which are kept on disk. Raises `UsageError` for an unknown data set."""
    data = load_dataset(dataset, "train")

    def build(target: Path) -> None:
        words, pairs = counted(
            string.replace("<br />", "\n") for example in data.examples for string in example.fields.values()
        )
        often = {f"{a} {b}": count for (a, b), count in pairs.items() if count >= KEPT_PAIRS}
        (target / "counts.json").write_text(json.dumps([words, often], ensure_ascii=False), "utf-8")

    folder = cache.built("word-pairs", _recipe(data), build)
    words, often = json.loads((folder / "counts.json").read_text("utf-8"))
    return Counter(words), Counter({(a, b): count for key, count in often.items() for a, _, b in [key.partition(" ")]})


def recipe_of(dataset: str) -> list[object]:
    """All that decides the counts of a data set, its content too, JSON-able. Raises `UsageError` as `counts_of` does."""
    return _recipe(load_dataset(dataset, "train"))


def _recipe(data: Dataset) -> list[object]:
    return [VERSION, KEPT_PAIRS, data.fingerprint]


def _sequence(string: str) -> Iterator[str]:
    *parts, _ = pieces(string.lower().replace("’", "'"))
    yield MARK
    for number, (gap, word) in enumerate(zip(parts[::2], parts[1::2], strict=True)):
        if number and has_mark(gap):
            yield MARK
        yield word
    yield MARK


class Bigrams:
    """Of `counts`; a word's own chance counts as `smoothing` further neighbours of each word. `unseen` is the chance of a word
    without a count."""

    def __init__(self, counts: Counts, *, smoothing: float, unseen: Callable[[str], float]) -> None:
        self.words, self._pairs = counts
        self._total = sum(self.words.values())
        self._smoothing = smoothing
        self._unseen = unseen
        self.chance: Callable[[str], float] = lru_cache(100_000)(self._chance)

    def _chance(self, word: str) -> float:
        """A word's chance wherever it stands, in (0, 1]."""
        count = self.words[word]
        return count / self._total if count else self._unseen(word)

    def after(self, before: str, word: str) -> float:
        """The logarithm of the chance of a word after another, finite even where the chance is too small for a float."""
        weight = self._pairs.get((before, word), 0) + self._smoothing * self.chance(word)
        return log(max(weight, sys.float_info.min) / (self.words[before] + self._smoothing))
