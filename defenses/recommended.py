"""Recommended: the recipe that stood best on dev, for about a point of clean accuracy (docs/defenses.md: how it was found).

Unusual characters are folded, typos are taken back by the noisy channel, and each draw is a copy without three tenths of the words,
read by one of three victims that learned, in different ways, to answer alike to a text with a tautology, other words or fewer.
One draw is worth little: ask for some twenty, as a run does, and take what most of them say.
"""

from __future__ import annotations

from dataclasses import dataclass

from robustbench_nlp.defense import Composed, Defense
from robustbench_nlp.defenses.ensemble import Ensemble
from robustbench_nlp.defenses.noisy_channel import NoisyChannel
from robustbench_nlp.defenses.random_deletion import RandomDeletion
from robustbench_nlp.defenses.unicode_normalize import UnicodeNormalize

__all__ = ["Recommended", "CONSISTENT", "REFILLED"]  # noqa: RUF022 (the factory first)

CONSISTENT = "consistency(noises=('tautology','wordnet','neighbours','drop'),share=0.6,weight=5.0,epochs=4)"
REFILLED = CONSISTENT.replace("'drop'", "'drop','refill'")
"""How the three victims are trained: without and with words that a masked language model fills in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recommended(Composed):
    """The recipe: `parts` in the order in which a text meets them."""

    parts: tuple[Defense, ...] = (
        UnicodeNormalize(),
        NoisyChannel(),
        RandomDeletion(rate=0.3, samples=1, votes=False, train=False),
        Ensemble(in_turns=True, of=(REFILLED, CONSISTENT, f"{REFILLED}+freelb_plus(steps=5,step=0.06)")),
    )
