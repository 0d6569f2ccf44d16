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

from robustbench_nlp.attack import FillMask
from robustbench_nlp.data.example import Example, Input, content_hash
from robustbench_nlp.drawing import Ask, distinct, drawn
from robustbench_nlp.edits.blanks import Blanks, substitutes
from robustbench_nlp.errors import UsageError
from robustbench_nlp.helpers import identity, provider
from robustbench_nlp.text import Text
from robustbench_nlp.victim import Probabilities, Victim

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
        self.forwards_per_prediction: int = settings.copies * getattr(victim, "forwards_per_prediction", 1)
        self._victim = victim
        self._settings = settings
        self._fill = provider(FillMask, settings.model)
        self._model = identity(FillMask, settings.model)

    @property
    def fingerprint(self) -> str:
        parts = ["mask_purify", self._settings.version, asdict(self._settings), self._model]
        return content_hash(self._victim.fingerprint, *parts)[:16]

    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        """The mean answer to the copies."""
        return self._purified(inputs, [draw] * len(inputs), lambda items, _: self._victim.predict(items, draw))

    def predict_drawn(self, inputs: Sequence[Input], draws: Sequence[int], exact: bool = False) -> Probabilities:
        """The same, each input under its own draw."""
        return self._purified(inputs, draws, partial(drawn, self._victim, exact=exact))

    def _purified(self, inputs: Sequence[Input], draws: Sequence[int], ask: Ask) -> Probabilities:
        if not inputs:
            return ask(inputs, draws)
        fields = [(item,) if isinstance(item, str) else item for item in inputs]
        strings = list(dict.fromkeys(part for item in fields for part in item))
        copies = dict(zip(strings, self._copies(strings), strict=True))
        asked: list[Input] = []
        for item in fields:
            for i in range(self._settings.copies):
                parts = tuple(copies[part][i] for part in item)
                asked.append(parts if len(parts) > 1 else parts[0])
        own = [draw for draw in draws for _ in range(self._settings.copies)]
        answers = distinct(ask, asked, own).reshape(len(inputs), self._settings.copies, -1)
        mean: Probabilities = answers.mean(axis=1, dtype=np.float32)
        return mean

    def _copies(self, strings: Sequence[str]) -> list[list[str]]:
        """Each string's copies; one request to the language model for all."""
        texts = [Text(string) for string in strings]
        step = self._settings.copies
        asked = [(text, range(start, len(text), step)) for text in texts for start in range(step)]
        fills = iter(self._fill([blank for text, chosen in asked for blank in Blanks(text).together(chosen)], k=1))
        made = [
            str(text.replace({n: next(iter(substitutes(next(fills), "")), text.word(n)) for n in chosen}))
            for text, chosen in asked
        ]
        return [made[at : at + step] for at in range(0, len(made), step)]
