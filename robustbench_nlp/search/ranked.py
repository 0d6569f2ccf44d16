"""The search of most greedy attacks: words ranked by leaving them out, then edited one after another."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from robustbench_nlp.attack import Request, Sample, Steps
from robustbench_nlp.constraints.words import within_edits
from robustbench_nlp.search.greedy import Candidates, in_order
from robustbench_nlp.search.importance import descending, probed
from robustbench_nlp.text import Text

__all__ = ["by_deletion", "deleted_scores"]


def deleted_scores(text: Text, numbers: Sequence[int]) -> Generator[Request, Any, list[float]]:
    """The score without each numbered word; higher fools the victim better. One query each; none for a single word,
    whose rank is known."""
    if len(numbers) < 2:
        return [0.0] * len(numbers)
    return (yield from probed(text.delete(number) for number in numbers))


def by_deletion(sample: Sample, candidates: Candidates) -> Steps:
    """Visit all words in the order of their importance; at each keep the candidate that raises the score most.

    Candidates beyond the threat's `max_edits`, and any that lead back to the original, are left out.
    """
    original = str(sample.text)

    def allowed(text: Text, number: int) -> Sequence[Text]:
        edited = within_edits(candidates(text, number), original, sample.threat.max_edits)
        return [new for new in edited if str(new) != original]

    scores = yield from deleted_scores(sample.text, range(len(sample.text)))
    return (yield from in_order(sample.text, sample.score, descending(scores), allowed))
