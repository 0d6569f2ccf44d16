"""Recommended: what stood best on dev at no more than two points of clean accuracy (docs/defenses.md says how it was found).

Unusual characters are folded, typos taken back by the noisy channel, and the victim learns to answer alike to a text with
synonyms, typos or a tautology.
"""

from __future__ import annotations

from dataclasses import dataclass

from robustbench_nlp.defense import Composed, Defense
from robustbench_nlp.defenses.consistency import Consistency
from robustbench_nlp.defenses.noisy_channel import NoisyChannel
from robustbench_nlp.defenses.unicode_normalize import UnicodeNormalize

__all__ = ["Recommended"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recommended(Composed):
    """The recipe: `parts` in the order in which a text meets them."""

    parts: tuple[Defense, ...] = (
        UnicodeNormalize(),
        NoisyChannel(),
        Consistency(noises=("tautology", "wordnet", "typos")),
    )
