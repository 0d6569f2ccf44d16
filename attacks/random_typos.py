"""Random typos: everyday typing and scanning errors in a share of the words, without any search; the noise baseline."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from robustbench_nlp.attack import Sample, Score, Scores, Steps
from robustbench_nlp.edits.characters import NOISE_KINDS, random_typos
from robustbench_nlp.errors import UsageError
from robustbench_nlp.lexicon.keyboard import keys
from robustbench_nlp.threat import Threat, violations

__all__ = ["RandomTypos"]

TYPOS = Threat(name="typos", unit="char", max_edits_per_word=2)
_REDRAWS = 20
"""Typos of neighbouring words may, rarely, read as whole words changed; such a draw is drawn again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomTypos:
    """One typo in `share` of the words (a fraction in [0, 1], at least one word); the worst of `draws` is returned.
    `layout` names the keyboard (us, de, fr, es)."""

    threat: Threat = TYPOS
    share: float = 0.15
    draws: int = 1
    layout: str = "us"
    version: ClassVar[int] = 1
    mode: ClassVar[str] = "noise"
    drawn_from: ClassVar[tuple[str, ...]] = NOISE_KINDS

    def __post_init__(self) -> None:
        keys(self.layout)
        if not (0 <= self.share <= 1 and self.draws >= 1):
            raise UsageError("random_typos wants a share of the words between 0 and 1, and at least one draw")

    def run(self, sample: Sample, rng: Random) -> Steps:
        original, texts = str(sample.text), []
        for _ in range(self.draws):
            drawn = (random_typos(sample.text, rng, self.share, self.layout) for _ in range(_REDRAWS))
            allowed = (t for t in drawn if t == sample.text or not violations(sample.threat, original, str(t)))
            text = next(allowed, sample.text)
            if text != sample.text:
                texts.append(text)
        if not texts:
            return None
        answer: Scores = yield Score(texts)
        return max(zip(answer.success, answer.score, texts, strict=True), key=lambda row: row[:2])[2]
