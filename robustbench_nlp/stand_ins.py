"""Victims that cost nothing and stand for one that does, to see how often an attack would ask it: one that is easily fooled, and
one that never is.

Both read a text as the words that it holds, each of which speaks for a class by its hash, so that scores move with words and
characters as a model's do. They count what they are asked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np

from robustbench_nlp.data.example import Input
from robustbench_nlp.errors import VictimError
from robustbench_nlp.text import words_of
from robustbench_nlp.victim import Probabilities

__all__ = ["StandIn"]


@dataclass(kw_only=True)
class StandIn:
    """`fooled` by other words, or always right that it is the first class. `calls` holds the inputs of each call
    of several, which go in requests of `batch` inputs, `alone` counts those that must be asked alone, `characters` all of their characters."""

    label_names: tuple[str, ...]
    fooled: bool
    batch: int
    name: str = "stand-in"
    random: bool = False
    calls: list[int] = field(default_factory=list)
    alone: int = 0
    characters: int = 0

    @property
    def fingerprint(self) -> str:
        return f"{self.name} {self.fooled}"

    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        if len(inputs) > 1:
            self.calls.append(len(inputs))
        else:
            self.alone += len(inputs)
        return self._answers(inputs)

    def predict_apart(self, inputs: Sequence[Input]) -> list[Probabilities | VictimError]:
        self.alone += len(inputs)
        return [self._answers([item]) for item in inputs]

    def forget(self) -> None:
        """Count from 0."""
        self.calls.clear()
        self.alone = self.characters = 0

    def _answers(self, inputs: Sequence[Input]) -> Probabilities:
        self.characters += sum(len(item) if isinstance(item, str) else sum(map(len, item)) for item in inputs)
        share = 1 / (1 + np.exp(-np.array([_leaning(item) for item in inputs], np.float32)))
        first = share if self.fooled else 0.55 + 0.4 * share
        rows = np.zeros((len(inputs), max(len(self.label_names), 2)), np.float32)
        rows[:, 0], rows[:, 1] = first, 1 - first
        return rows


def _leaning(item: Input) -> float:
    """How much the words speak for the first class; 0 has the sign of the first."""
    words = words_of(item if isinstance(item, str) else "\n".join(item))
    weights = [crc32(word.encode("utf-8", "surrogatepass")) / 2**31 - 1 for word in words]
    return 4 * sum(weights) / math.sqrt(max(len(weights), 1))
