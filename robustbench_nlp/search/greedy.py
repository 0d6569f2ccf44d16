"""Greedy searches: word by word in a given order, or over all words at once."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from robustbench_nlp.attack import Request, Sample, Score, Scores, Steps
from robustbench_nlp.constraints.meaning import Close
from robustbench_nlp.constraints.words import inside
from robustbench_nlp.search.importance import deleted_scores, descending
from robustbench_nlp.text import Text

__all__ = ["Best", "best_single", "by_deletion", "closest_in_order", "closest_success", "in_order"]

Place = TypeVar("Place")
Candidates = Callable[[Text, int], Sequence[Text]]
"""The texts in which one word slot of a text is changed."""


def in_order(text: Text, clean: float, order: Iterable[int], candidates: Candidates) -> Steps:
    """Visit the words once, in order; keep the best candidate of each if it beats the score so far.

    Ends at the first confirmed success: the highest-scored one of its request. Never goes back.
    """
    current, best = text, clean
    for number in order:
        texts = candidates(current, number)
        if not texts:
            continue
        answer: Scores = yield Score(texts)
        if True in answer.success:
            return _top(texts, answer, True).text
        top = _top(texts, answer, False)
        if top.score > best:
            current, best = top.text, top.score
    return None


def by_deletion(sample: Sample, candidates: Candidates) -> Steps:
    """Visit all words in the order of their importance; at each keep the candidate that raises the score most.

    Candidates outside the threat, and any that lead back to the original, are left out.
    """
    original = str(sample.text)

    def allowed(text: Text, number: int) -> Sequence[Text]:
        return inside(sample.threat, original, candidates(text, number))

    scores = yield from deleted_scores(sample.text, range(len(sample.text)))
    return (yield from in_order(sample.text, sample.score, descending(scores), allowed))


class Best(NamedTuple):
    """The winning candidate of a step: a success where there is one."""

    text: Text
    score: float
    number: int
    success: bool


def best_single(
    text: Text, numbers: Iterable[int], candidates: Candidates, *, first_success: bool
) -> Generator[Request, Any, Best | None]:
    """Score every change of every numbered word, one request a word; the best of all, or None if there are no changes.

    Successes stand above the rest, then scores decide, then the order of the strings. With `first_success` the first
    word that yields a success ends it.
    """
    best: Best | None = None
    for number in numbers:
        texts = candidates(text, number)
        if not texts:
            continue
        answer: Scores = yield Score(texts)
        top = _top(texts, answer, True in answer.success, number)
        if best is None or _above(top, best):
            best = top
        if best.success and first_success:
            break
    return best


def closest_in_order(
    sample: Sample, places: Iterable[Place], near: Callable[[Text, Place], Generator[Request, Any, Close]]
) -> Steps:
    """Visit the places once, in order: end with the closest success of a place's candidates, else keep the one that scores
    highest if it beats the score so far."""
    current, best = sample.text, sample.score
    for place in places:
        close = yield from near(current, place)
        if not close.texts:
            continue
        found = yield from closest_success(close.texts, close.cosines)
        if found.success:
            return found.text
        if found.score > best:
            current, best = found.text, found.score
    return None


def closest_success(texts: Sequence[Text], cosines: Sequence[float]) -> Generator[Request, Any, Best]:
    """Score the texts: of those that fool the victim the one closest to the original, else the one that scores highest."""
    answer: Scores = yield Score(texts, preference=cosines)
    fooled = [i for i, success in enumerate(answer.success) if success]
    if fooled:
        at = max(fooled, key=cosines.__getitem__)
        return Best(texts[at], answer.score[at], -1, True)
    return _top(texts, answer, False)


def _top(texts: Sequence[Text], answer: Scores, success: bool, number: int = -1) -> Best:
    """The first of the highest-scored candidates, among the successes only if `success`."""
    scores = answer.score
    at = max((i for i, good in enumerate(answer.success) if good or not success), key=scores.__getitem__)
    return Best(texts[at], scores[at], number, success)


def _above(one: Best, other: Best) -> bool:
    rank, rival = (one.success, one.score), (other.success, other.score)
    return rank > rival or (rank == rival and str(one.text) < str(other.text))
