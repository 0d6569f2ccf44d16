"""No defense: the victim as it is, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from robustbench_nlp.data.example import Example
from robustbench_nlp.victim import Victim

__all__ = ["NoDefense"]


@dataclass(frozen=True, kw_only=True, slots=True)
class NoDefense:
    """The identity."""

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        return victim
