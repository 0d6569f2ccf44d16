"""Recommended: the recipe that was chosen on dev (docs/defenses.md: how it was found, and what it leaves of the test split).

Unusual characters are folded and typos are taken back by the noisy channel before three victims read the text and their
probabilities are averaged. All three go on from one that was trained on perturbed embeddings; each learned by itself, in its own
order, to answer alike to a text and to a copy with other words, fewer, misspelt ones or a tautology behind it, or with a few words
that are aimed by the gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

from robustbench_nlp.defense import Composed, Defense
from robustbench_nlp.defenses.ensemble import Ensemble
from robustbench_nlp.defenses.freelb_plus import FreeLBPlus
from robustbench_nlp.defenses.noisy_channel import NoisyChannel
from robustbench_nlp.defenses.unicode_normalize import UnicodeNormalize

__all__ = ["Recommended", "ALIKE"]  # noqa: RUF022 (the factory first)

ALIKE = (
    "consistency(noises=('typos','tautology','wordnet','neighbours','drop','refill'),share=0.6,weight=5.0,"
    "aim=0.15,aimed_share=0.1,epochs=4)"
)
"""How each of the three victims is trained, from where the perturbed embeddings left off."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recommended(Composed):
    """The recipe: `parts` in the order in which a text meets them."""

    parts: tuple[Defense, ...] = (
        UnicodeNormalize(),
        NoisyChannel(),
        Ensemble(of=(ALIKE,)),
        FreeLBPlus(steps=4, step=0.15, init=0.05, epochs=2, learning_rate=5e-5),
    )
