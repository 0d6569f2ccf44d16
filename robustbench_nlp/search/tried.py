"""What all wide searches share: a memory of the scores of texts, and the choices of each word slot."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from typing import Any

from robustbench_nlp.attack import Request, Score, Scores
from robustbench_nlp.search.greedy import Candidates
from robustbench_nlp.text import Text

__all__ = ["Tried", "choices_of"]

_SLOTS = 500_000
"""The most word slots of one request: whole generations of sentences, and few enough documents to fit in memory."""
_IDLE = 6
"""After so many times without a new text to ask for, a population has seen what it can reach."""


class Tried:
    """The scores of all texts that a search has asked for: nothing is asked twice, and never the original.

    `success` is the best confirmed success whose score reaches `target`, once there is one. The search is `over` then, or
    when it has asked for nothing new for a while.
    """

    def __init__(self, text: Text, clean: float, target: float = 0.0) -> None:
        self.target = target
        self.success: Text | None = None
        self._scores = {str(text): clean}
        self._most = max(1, _SLOTS // (len(text) + 1))
        self._idle = 0

    @property
    def over(self) -> bool:
        return self.success is not None or self._idle >= _IDLE

    def ask(self, texts: Iterable[Text]) -> Generator[Request, Any, list[float]]:
        """The scores of the texts, in order, by one request (several for very long texts, which are made as they are asked
        for). After a success the list is cut short."""
        scores: list[float] = []
        self._idle += 1
        source: Iterator[Text] = iter(texts)
        while chunk := list(islice(source, self._most)):
            new = {str(text): text for text in chunk if str(text) not in self._scores}
            if new:
                self._idle = 0
                answer: Scores = yield Score(list(new.values()))
                self._scores.update(zip(new, answer.score, strict=True))
                good = [i for i, success in enumerate(answer.success) if success and answer.score[i] >= self.target]
                if good:
                    self.success = list(new.values())[max(good, key=answer.score.__getitem__)]
                    break
            scores += [self._scores[str(text)] for text in chunk]
        return scores


def choices_of(text: Text, numbers: Iterable[int], candidates: Candidates) -> dict[int, list[str]]:
    """What each numbered slot may become; slots without candidates are left out."""
    words = {number: [other.word(number) for other in candidates(text, number)] for number in numbers}
    return {number: found for number, found in words.items() if found}
