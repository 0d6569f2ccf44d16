"""Masked purification (Li et al., 2023): a masked language model rewrites a share of the words before the victim answers.

Several copies of a text have different words masked and filled in again, so that what an attacker put in is written over in
some; the victim's answers to the copies are averaged. Differs from the paper: each copy masks every k-th word instead of
random ones, so that the defended victim is deterministic and each word is rewritten once; no copies with inserted masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from random import Random
from typing import ClassVar

import numpy as np

from robustbench_nlp.attack import FillMask, Vocabulary
from robustbench_nlp.data.example import Example, Input, content_hash, fields_of
from robustbench_nlp.drawing import Ask, distinct, drawn
from robustbench_nlp.edits.blanks import Blanks, substitutes
from robustbench_nlp.errors import UsageError
from robustbench_nlp.gradients import inner_draws, over_copies
from robustbench_nlp.helpers import identity, provider
from robustbench_nlp.text import Text
from robustbench_nlp.victim import Placed, Probabilities, TokenGradients, Victim

__all__ = ["MaskPurify"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskPurify:
    """`copies` of each text, in the i-th of which every word i, i + copies, i + 2 · copies, ... is the likeliest one that
    the masked language model named `model` reads there, all of a copy at once."""

    copies: int = 4
    model: str = "embedded"
    version: ClassVar[int] = 2
    known: ClassVar[tuple[str, ...]] = ("masked-lm",)

    def __post_init__(self) -> None:
        if self.copies < 1:
            raise UsageError(f"mask_purify cannot make {self.copies} copies; set copies to 1 or more")

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        """Raises `UsageError` where the language model can't be had."""
        return _Purified(victim, self)


class _Purified:
    def __init__(self, victim: Victim, settings: MaskPurify) -> None:
        self.name = victim.name
        self.label_names = victim.label_names
        self.random = victim.random
        self.added_seconds: float = getattr(victim, "added_seconds", 0.0)
        self.forwards_per_prediction: int = settings.copies * (1 + getattr(victim, "forwards_per_prediction", 1))
        """The language model reads a text for each copy too."""
        self._victim = victim
        self._settings = settings
        self._fill = provider(FillMask, settings.model)
        self._model = identity(FillMask, settings.model)
        if hasattr(victim, "gradients"):
            self.gradients = self._gradients
        if hasattr(victim, "vocabulary"):
            self.vocabulary: Vocabulary = victim.vocabulary

    @property
    def fingerprint(self) -> str:
        parts = ["mask_purify", self._settings.version, asdict(self._settings), self._model]
        return content_hash(self._victim.fingerprint, *parts)[:16]

    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        """The mean answer to the copies."""
        return self._purified(inputs, [draw] * len(inputs), partial(drawn, self._victim))

    def predict_drawn(self, inputs: Sequence[Input], draws: Sequence[int], exact: bool = False) -> Probabilities:
        """The same, each input under its own draw."""
        return self._purified(inputs, draws, partial(drawn, self._victim, exact=exact))

    def _purified(self, inputs: Sequence[Input], draws: Sequence[int], ask: Ask) -> Probabilities:
        if not inputs:
            return ask(inputs, draws)
        asked: list[Input] = []
        for item, copies in zip(inputs, self._copies(inputs), strict=True):
            asked += [str(copy[0]) if isinstance(item, str) else tuple(map(str, copy)) for copy in copies]
        own = [inner for draw in draws for inner in inner_draws(draw, self._settings.copies)]
        answers = distinct(ask, asked, own if self._victim.random else [0] * len(own)).reshape(
            len(inputs), self._settings.copies, -1
        )
        mean: Probabilities = answers.mean(axis=1, dtype=np.float32)
        return mean

    def _gradients(
        self, inputs: Sequence[Input], labels: Sequence[int], placed: Sequence[Placed] | None = None, draw: int = 0
    ) -> list[TokenGradients]:
        return over_copies(
            self._victim,
            inputs,
            self._copies(inputs),
            labels,
            placed=placed,
            draws=inner_draws(draw, self._settings.copies),
        )

    def _copies(self, inputs: Sequence[Input]) -> list[list[tuple[Text, ...]]]:
        """Each input's copies, field by field; one request to the language model for all."""
        texts = [Text(part) for part in dict.fromkeys(part for item in inputs for part in fields_of(item))]
        step = self._settings.copies
        asked = [(text, range(start, len(text), step)) for text in texts for start in range(step)]
        fills = iter(self._fill([blank for text, chosen in asked for blank in Blanks(text).together(chosen)], k=1))
        made = [
            text.replace({n: next(iter(substitutes(next(fills), "")), text.word(n)) for n in chosen})
            for text, chosen in asked
        ]
        copies = {str(text): made[at * step : (at + 1) * step] for at, text in enumerate(texts)}
        return [list(zip(*(copies[part] for part in fields_of(item)), strict=True)) for item in inputs]
