"""VIPER (Eger et al., 2019): every letter is replaced, with a fixed probability, by one that looks similar.

Differs from the paper: the neighbours are the accented forms of the letter (after its description-based space) or the
letters of other scripts that look the same, drawn uniformly and not by their nearness in a space of images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Literal

from robustbench_nlp.attack import Sample, Score, Scores, Steps
from robustbench_nlp.edits.visual import accented, homoglyphs
from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat, violations

__all__ = ["Viper"]

VISUAL = Threat(name="visual", unit="char", candidates="visual-neighbours")

SPACES: dict[str, Callable[[str], str]] = {"accents": accented, "homoglyphs": homoglyphs}


@dataclass(frozen=True, kw_only=True, slots=True)
class Viper:
    """Replaces each letter with `probability` (in [0, 1]) by a neighbour in `space`; the worst of `draws` is returned."""

    threat: Threat = VISUAL
    probability: float = 0.3
    space: Literal["accents", "homoglyphs"] = "accents"
    draws: int = 3
    version: ClassVar[int] = 1
    mode: ClassVar[str] = "noise"

    def __post_init__(self) -> None:
        if self.space not in SPACES:
            raise unknown("space of viper", self.space, SPACES)
        if not (0 <= self.probability <= 1 and self.draws >= 1):
            raise UsageError("viper wants a probability between 0 and 1, and at least one draw")

    @property
    def drawn_from(self) -> tuple[str, ...]:
        """The letters that it puts in."""
        return (self.space,)

    def run(self, sample: Sample, rng: Random) -> Steps:
        original = str(sample.text)
        drawn = dict.fromkeys(self._draw(sample.text, rng) for _ in range(self.draws))
        texts = [new for new in drawn if str(new) != original and not violations(sample.threat, original, str(new))]
        if not texts:
            return None
        answer: Scores = yield Score(texts)
        return max(zip(answer.success, answer.score, texts, strict=True), key=lambda row: row[:2])[2]

    def _draw(self, text: Text, rng: Random) -> Text:
        def redrawn(letter: str) -> str:
            near = SPACES[self.space](letter)
            return rng.choice(near) if near and rng.random() < self.probability else letter

        return text.replace({number: "".join(map(redrawn, word)) for number, word in enumerate(text.words)})
