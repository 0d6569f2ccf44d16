"""Charmer (Abad Rocamora et al., 2024): greedy single-character edits anywhere, places first and then characters.

Each step tries a probe character at every place of the text, keeps the most promising places, tries every character of the
alphabet there, and takes the best edit. Differs from the paper: texts with the probe character are candidates too, the first
success ends the search, and the alphabet is fixed instead of gathered from the data set.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from heapq import nsmallest
from itertools import islice
from random import Random
from string import ascii_lowercase, digits, punctuation
from typing import Any, ClassVar, NamedTuple

from robustbench_nlp.attack import Request, Sample, Score, Scores, Steps
from robustbench_nlp.constraints.words import inside
from robustbench_nlp.edits.characters import bare
from robustbench_nlp.errors import UsageError
from robustbench_nlp.text import Text, edges_of
from robustbench_nlp.threat import Threat

__all__ = ["Charmer"]

CHAR_10 = Threat(name="char_10", unit="char", max_edits=10)
PROBE = " "
_CHUNK = 256
_EDITS = 10
"""The number of edits under a threat that doesn't limit it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Charmer:
    """Deterministic. `places` is the paper's n, its k is the threat's `max_edits`.

    An edit costs two queries a character of the text, and then `places` times the alphabet: some 1,600 by default for a
    line of text. `places=1` (Charmer-Fast) is the better choice for budgets below a few thousand queries.
    """

    threat: Threat = CHAR_10
    places: int = 20
    alphabet: str = PROBE + ascii_lowercase + digits + punctuation
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.places < 1 or not self.alphabet:
            raise UsageError("charmer wants places of 1 or more and an alphabet of at least one character")

    def run(self, sample: Sample, rng: Random) -> Steps:
        whole = str(sample.text)
        end = max((end for _, end in sample.text.spans), default=0)
        current, tail = whole[:end], whole[end:]
        allowed = partial(inside, sample.threat, whole)
        limit = sample.threat.max_edits
        for _ in range(_EDITS if limit is None else limit):
            probes = ((place, "" if _at(current, place) == PROBE else PROBE) for place in _places(current))
            probed = yield from _tried(current, probes, tail, allowed)
            if probed.success is not None:
                return probed.success
            best = nsmallest(self.places, probed.rows)
            edits = {
                _edited(current, place, new): (place, new)
                for _, place, probe in best
                for new in ("", *self.alphabet)
                if new != probe
            }
            tried = yield from _tried(current, edits.values(), tail, allowed)
            if tried.success is not None:
                return tried.success
            rows = best + tried.rows
            if not rows:
                return None
            _, place, new = min(rows)
            current = _edited(current, place, new)
        return None


class _Tried(NamedTuple):
    """The edits tried, (-score, place, character) each, so that the best sort first; and a success among them."""

    rows: list[tuple[float, int, str]]
    success: Text | None


def _tried(
    string: str, edits: Iterable[tuple[int, str]], tail: str, allowed: Callable[[list[Text]], list[Text]]
) -> Generator[Request, Any, _Tried]:
    """Score the edits that change something and are allowed, a chunk at a time, until one holds a success."""
    rows: list[tuple[float, int, str]] = []
    source: Iterator[tuple[int, str]] = (edit for edit in edits if _edited(string, *edit) != string)
    while chunk := list(islice(source, _CHUNK)):
        made = [(Text(_edited(string, *edit) + tail, end=0), edit) for edit in chunk]
        inner = set(allowed([text for text, _ in made]))
        made = [(text, edit) for text, edit in made if text in inner]
        if not made:
            continue
        texts = [text for text, _ in made]
        answer: Scores = yield Score(texts)
        good = [i for i, success in enumerate(answer.success) if success]
        if good:
            return _Tried(rows, texts[max(good, key=answer.score.__getitem__)])
        rows += [(-score, *edit) for score, (_, edit) in zip(answer.score, made, strict=True)]
    return _Tried(rows, None)


def _places(string: str) -> list[int]:
    """Those of the expanded text that part no mark from its letter."""
    return sorted([2 * i for i in edges_of(string)] + [2 * i + 1 for i in bare(string)])


def _at(string: str, place: int) -> str:
    """What stands at a place of the expanded text: between two characters (even places) nothing, else a character."""
    return string[place // 2] if place % 2 else ""


def _edited(string: str, place: int, new: str) -> str:
    """An insertion at an even place, a substitution or (of nothing) a deletion at an odd one."""
    start = place // 2
    return string[:start] + new + string[start + place % 2 :]
