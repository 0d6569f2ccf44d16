"""Noise suites after Hendrycks & Dietterich (2019), for text: one kind of corruption at severity 1 to 5, no search.

Differs from the paper, which corrupts images: the kinds are what typing, scanning, listening and sloppy editing do to a
text, and `severity` is the share of the places that are struck (`SHARES`). One draw a text: average over several seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from robustbench_nlp.attack import Sample, Score, Steps
from robustbench_nlp.edits.noise import NOISES, noise_named
from robustbench_nlp.errors import UsageError
from robustbench_nlp.plugins import Choice
from robustbench_nlp.threat import Threat, violations

__all__ = ["Noise", "choices"]

_LETTERS = (0.1, 0.2, 0.3, 0.45, 0.6)
_WORDS = (0.05, 0.1, 0.15, 0.25, 0.35)
_LISTED = (0.2, 0.4, 0.6, 0.8, 1.0)

SHARES: dict[str, tuple[float, ...]] = {
    **dict.fromkeys(("keyboard", "ocr", "drop_chars", "repeat_chars", "swap_chars", "casing"), _LETTERS),
    **dict.fromkeys(("punctuation", "whitespace"), _LETTERS),
    **dict.fromkeys(("drop_words", "repeat_words", "swap_words"), _WORDS),
    **dict.fromkeys(("misspellings", "homophones"), _LISTED),
}
"""By kind, the share of the places struck at severities 1 to 5, always at least one place. Places are words (of two or
more letters, for character noise), gaps between words, or the words that a list knows."""

_LIMITS: dict[str, dict[str, Any]] = {
    "keyboard": {"unit": "char", "max_edits_per_word": 1},
    "ocr": {"unit": "char", "max_edits_per_word": 2},
    "misspellings": {"max_edits_per_word": 3, "candidates": "misspellings-1"},
    "casing": {"unit": "char"},
    "punctuation": {"unit": "char", "max_words_changed": 0},
    "whitespace": {"unit": "char"},
    "drop_chars": {"unit": "char", "max_edits_per_word": 1},
    "repeat_chars": {"unit": "char", "max_edits_per_word": 1},
    "swap_chars": {"unit": "char", "max_edits_per_word": 2},
    "homophones": {"candidates": "homophones-1"},
}
"""What can be checked of a kind from the two strings alone; how many places are struck is no limit but a share."""
_EDITS = {"drop_chars": "delete", "swap_chars": "swap"}
_REDRAWS = 20
"""Edits of neighbouring words may, rarely, read as whole words changed; such a draw is drawn again."""


def choices() -> list[Choice]:
    """The kinds."""
    return [Choice(kind) for kind in NOISES]


@dataclass(frozen=True, kw_only=True, slots=True)
class Noise:
    """`kind` names the corruption, `severity` (1 to 5) how much of it; the threat follows the kind. `layout` names
    the keyboard (us, de, fr, es) of the kind `keyboard`."""

    kind: str = "keyboard"
    severity: int = 3
    layout: str = "us"
    version: ClassVar[int] = 1
    mode: ClassVar[str] = "noise"

    def __post_init__(self) -> None:
        noise_named(self.kind, self.layout)
        if self.severity not in range(1, 6):
            raise UsageError(f"noise has no severity {self.severity!r}; give a whole number from 1 to 5")

    @property
    def threat(self) -> Threat:
        """Named after the kind; each limit is the most that the kind does to a word."""
        return Threat(name=f"noise_{self.kind}", **_LIMITS.get(self.kind, {}))

    @property
    def drawn_from(self) -> tuple[str, ...]:
        """What strikes a place: the edit of a random typo where it is one."""
        return (_EDITS.get(self.kind, self.kind),)

    @property
    def suite(self) -> str:
        """The kind, and the keyboard's layout where it isn't the usual one: what a curve is named after."""
        return self.kind if self.layout == "us" else f"{self.kind} ({self.layout})"

    @property
    def share(self) -> float:
        """The share of the places struck."""
        return SHARES[self.kind][self.severity - 1]

    def run(self, sample: Sample, rng: Random) -> Steps:
        original = str(sample.text)
        noise = noise_named(self.kind, self.layout)
        drawn = (noise(sample.text, rng, self.share) for _ in range(_REDRAWS))
        allowed = (t for t in drawn if str(t) == original or not violations(sample.threat, original, str(t)))
        text = next(allowed, sample.text)
        if str(text) == original:
            return None
        yield Score([text])
        return text
