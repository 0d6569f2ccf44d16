"""Beam search over word slots."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from robustbench_nlp.attack import Steps
from robustbench_nlp.search.greedy import Candidates
from robustbench_nlp.search.importance import descending
from robustbench_nlp.search.tried import Tried
from robustbench_nlp.text import Text

__all__ = ["beam"]


def beam(
    text: Text, clean: float, numbers: Sequence[int], candidates: Candidates, *, width: int = 1, target: float = 0.0
) -> Steps:
    """Change one word more at each step, in every way, and go on from the `width` best-scored texts.

    A word changes once. The step's best are kept even where they score below the step before; equal scores keep the
    order of the candidates. Ends at the best success of a step that scores `target` or more, or when nothing is left to
    change. Width 1 is greedy search over all words.
    """
    tried = Tried(text, clean, target)
    front = [text]
    for _ in numbers:
        moves = [
            (start, number, other.word(number))
            for start in front
            for number in numbers
            if start.word(number) == text.word(number)
            for other in candidates(start, number)
        ]
        scores = yield from tried.ask(start.swap(number, word) for start, number, word in moves)
        if tried.success is not None or not moves:
            return tried.success
        made = (moves[i][0].swap(*moves[i][1:]) for i in descending(scores))
        front = list(islice(dict.fromkeys(made), width))
    return None
