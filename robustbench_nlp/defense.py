"""The Defense protocol: a function from victim to victim, and the composition a+b = a(b(victim))."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Protocol, runtime_checkable

from robustbench_nlp.data.example import Example
from robustbench_nlp.victim import Victim

__all__ = ["Defense"]


@runtime_checkable
class Defense(Protocol):
    """Makes a defended victim from a victim, the training split, and a generator that is its only randomness.

    A defense is a frozen, keyword-only dataclass: its settings are its identity. It must not look at dev or test data.
    """

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim: ...
