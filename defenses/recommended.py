"""Recommended: the recipe that stood best on dev, for two or three points of clean accuracy (docs/defenses.md: how it was found).

Unusual characters are folded, typos are taken back by the noisy channel, and the mean is taken over copies without a fifth of
the words, of a victim that learned to answer alike to a text with a tautology, other words or fewer. It is random: 20 draws
make an answer that is worth something.
"""

from __future__ import annotations

from dataclasses import dataclass

from robustbench_nlp.defense import Composed, Defense
from robustbench_nlp.defenses.consistency import Consistency
from robustbench_nlp.defenses.noisy_channel import NoisyChannel
from robustbench_nlp.defenses.random_deletion import RandomDeletion
from robustbench_nlp.defenses.unicode_normalize import UnicodeNormalize

__all__ = ["Recommended"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recommended(Composed):
    """The recipe: `parts` in the order in which a text meets them."""

    parts: tuple[Defense, ...] = (
        UnicodeNormalize(),
        NoisyChannel(),
        RandomDeletion(rate=0.2, samples=1, votes=False, train=False),
        Consistency(noises=("tautology", "wordnet", "neighbours", "drop"), share=0.6, weight=5.0, epochs=4),
    )
