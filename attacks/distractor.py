"""Distractors (after Ribeiro et al., 2020, and Jia & Liang, 2017): a clause, link or handle that says nothing, at one end.

Differs from the papers: CheckList adds random links and handles and counts changed predictions, Jia & Liang write
sentences against a question; here the worst of `k` draws from links, handles and general clauses is kept, no search.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from string import ascii_letters, digits
from typing import ClassVar

from robustbench_nlp.attack import Sample, Score, Steps
from robustbench_nlp.constraints.words import inside
from robustbench_nlp.errors import UsageError
from robustbench_nlp.text import Text, words_of
from robustbench_nlp.threat import Threat

__all__ = ["Distractor"]

CLAUSES = (
    "It was raining that day.",
    "The bus stops at the corner.",
    "Today is Tuesday.",
    "The meeting starts at noon.",
    "Water boils at one hundred degrees.",
    "My neighbour has two cats.",
    "The shop opens at nine.",
    "Lunch was served in the garden.",
    "The train to the coast takes two hours.",
    "There are seven days in a week.",
    "The library is next to the school.",
    "My phone number has changed.",
)
"""Statements with no opinion in them."""
_ID = ascii_letters + digits
LONGEST = max(len(words_of(clause)) for clause in CLAUSES)
DISTRACTION = Threat(
    name="distraction", unit="sentence", max_words_changed=LONGEST, max_edits=1 + max(map(len, CLAUSES))
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Distractor:
    """Draws `k` additions, each with the end that it goes to; the best of them is the result."""

    threat: Threat = DISTRACTION
    k: int = 20
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UsageError(f"distractor cannot draw {self.k} additions; set k to 1 or more")

    def run(self, sample: Sample, rng: Random) -> Steps:
        original, drawn = str(sample.text), []
        for _ in range(self.k):
            words = rng.choice((_link, _handle, _clause))(rng)
            drawn.append(f"{words} {original}" if rng.random() < 0.5 else f"{original} {words}")
        texts = inside(sample.threat, original, map(Text, drawn))
        if texts:
            yield Score(texts)
        return None


def _clause(rng: Random) -> str:
    return rng.choice(CLAUSES)


def _link(rng: Random) -> str:
    """A shortened link of ten random letters and digits."""
    return "https://t.co/" + "".join(rng.choices(_ID, k=10))


def _handle(rng: Random) -> str:
    """The name of an account, of six random letters and digits."""
    return "@" + "".join(rng.choices(_ID, k=6))
