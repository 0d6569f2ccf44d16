"""nlpaug:AUGMENTER: noise from an augmenter of the nlpaug library (Ma, 2019) at its default strength, without a search.

Those that need no download: KeyboardAug, OcrAug, RandomCharAug, RandomWordAug, SplitAug, SpellingAug. The library splits
and joins texts by its own rules, so spaces and punctuation may change beside the words.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any, ClassVar

from robustbench_nlp.attack import Sample, Score, Scores, Steps
from robustbench_nlp.bridge import GlobalGenerators
from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat, Unit

__all__ = ["NlpAug"]

AUGMENTERS: dict[str, Unit] = {
    "KeyboardAug": "char",
    "OcrAug": "char",
    "RandomCharAug": "char",
    "RandomWordAug": "word",
    "SpellingAug": "word",
    "SplitAug": "word",
}
"""The library's modules of the augmenters that work as they come."""
GENERIC = Threat(name="nlpaug")


@dataclass(frozen=True, kw_only=True, slots=True)
class NlpAug:
    """Draws `draws` texts; the first that fools the victim is returned, else the first."""

    augmenter: str
    draws: int = 1
    threat: Threat = GENERIC
    version: ClassVar[int] = 1
    mode: ClassVar[str] = "noise"

    def __post_init__(self) -> None:
        if self.augmenter not in AUGMENTERS:
            raise unknown("nlpaug augmenter", self.augmenter, AUGMENTERS)
        if self.draws < 1:
            raise UsageError(f"nlpaug cannot draw {self.draws} texts; set draws to 1 or more")
        if self.threat == GENERIC:
            threat = Threat(name=f"nlpaug_{self.augmenter.lower()}", unit=AUGMENTERS[self.augmenter])
            object.__setattr__(self, "threat", threat)

    def run(self, sample: Sample, rng: Random) -> Steps:
        augmenter, original = _augmenter(self.augmenter), str(sample.text)
        with GlobalGenerators(rng).installed():
            drawn = [_first(augmenter.augment(original), original) for _ in range(self.draws)]
        texts = [Text(string) for string in drawn if string != original]
        if not texts:
            return None
        answer: Scores = yield Score(texts, confirm="all")
        return texts[answer.success.index(True) if True in answer.success else 0]


def _first(augmented: Any, original: str) -> str:
    """The library's answer is a list of one text, or an empty one where there was nothing to change."""
    return str(augmented[0]) if augmented else original


@cache
def _augmenter(name: str) -> Any:
    """One augmenter per process. Raises `UsageError` without the library."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from nlpaug.augmenter import char, word

            return getattr(char if AUGMENTERS[name] == "char" else word, name)()
    except ImportError as problem:
        raise UsageError(f"nlpaug:{name} needs the library; install robustbench-nlp[nlpaug]") from problem
