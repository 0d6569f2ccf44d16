"""Reordering (after Iyyer et al., 2018): clauses, remarks, pairs of words and sentences change places; the words stay.

Differs from the paper: a network there gives a sentence the shape of a parse template; here rules move what can move with
its meaning kept (see `edits.reorderings`): "when A, B" and "B when A", "A, but B" and "although A, B", "sad and funny" and
"funny and sad". Of all single moves the best is kept if it raises the score, and the text that it makes is reordered again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from robustbench_nlp.attack import Sample, Steps
from robustbench_nlp.constraints.words import inside
from robustbench_nlp.edits.reorderings import reorderings
from robustbench_nlp.errors import UsageError
from robustbench_nlp.search.greedy import in_order
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat

__all__ = ["Reorder"]

REORDERED = Threat(name="reordered", unit="sentence", max_words_exchanged=2, candidates="reorderings-1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reorder:
    """At most `max_moves` reorderings on top of each other. Deterministic: no randomness is drawn."""

    threat: Threat = REORDERED
    max_moves: int = 3
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.max_moves < 1:
            raise UsageError(f"reorder cannot make {self.max_moves} moves; set max_moves to 1 or more")

    def run(self, sample: Sample, rng: Random) -> Steps:
        seen: set[str] = set()

        def candidates(text: Text, move: int) -> Sequence[Text]:
            made = inside(sample.threat, str(sample.text), reorderings(text))
            new = [text for text in made if str(text) not in seen]
            seen.update(map(str, new))
            return new

        return (yield from in_order(sample.text, sample.score, range(self.max_moves), candidates))
