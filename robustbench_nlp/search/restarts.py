"""Searches by chance: words in random order, random texts, and random restarts of any search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from random import Random

from robustbench_nlp.attack import Score, Scores, Steps
from robustbench_nlp.search.greedy import Candidates
from robustbench_nlp.search.tried import Tried
from robustbench_nlp.text import Text

__all__ = ["random_order", "random_search", "random_text", "restarted"]

Search = Callable[[Text, float], Steps]
"""A search from a text and its score; it returns a text only after a success."""


def random_order(numbers: Sequence[int], rng: Random) -> list[int]:
    """The slots, shuffled: the order for searches that rank no words."""
    return rng.sample(numbers, len(numbers))


def random_text(text: Text, numbers: Sequence[int], candidates: Candidates, rng: Random, changes: int) -> Text:
    """The text with random candidates in up to `changes` random slots; fewer where the candidates run out."""
    current = text
    for number in random_order(numbers, rng):
        if changes < 1:
            break
        if found := candidates(current, number):
            current = rng.choice(found)
            changes -= 1
    return current


def random_search(
    text: Text,
    clean: float,
    numbers: Sequence[int],
    candidates: Candidates,
    rng: Random,
    *,
    texts: int = 1000,
    changes: int | None = None,
    at_once: int = 50,
) -> Steps:
    """Draw random texts until one fools the victim, `at_once` a request, at most `texts` in all.

    Each changes a random number of words, from 1 to `changes` (None: all).
    """
    most = len(numbers) if changes is None else min(changes, len(numbers))
    if not most:
        return None
    tried = Tried(text, clean)
    drawn = (random_text(text, numbers, candidates, rng, rng.randint(1, most)) for _ in range(texts))
    while tried.success is None and (batch := list(islice(drawn, at_once))):
        yield from tried.ask(batch)
    return tried.success


def restarted(
    search: Search,
    text: Text,
    clean: float,
    *,
    numbers: Sequence[int],
    candidates: Candidates,
    rng: Random,
    restarts: int = 4,
    changes: int = 2,
) -> Steps:
    """Run a search from the text, then from random texts that differ from it in up to `changes` words, until a success."""
    found = yield from search(text, clean)
    for _ in range(restarts):
        if found is not None:
            break
        start = random_text(text, numbers, candidates, rng, changes)
        if start == text:
            continue
        answer: Scores = yield Score([start])
        found = start if answer.success[0] else (yield from search(start, answer.score[0]))
    return found
