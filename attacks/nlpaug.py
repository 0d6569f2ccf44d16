"""nlpaug:AUGMENTER: noise from an augmenter of the nlpaug library (Ma, 2019) at its default strength, without a search.

`robustbench-nlp list attacks` says which augmenters run here. The library splits and joins texts by its own rules, so
spaces and punctuation may change beside the words. Sentences end at a full stop, question or exclamation mark.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from random import Random
from typing import Any, ClassVar

from robustbench_nlp.adapters import state, states
from robustbench_nlp.attack import Sample, Score, Scores, Steps
from robustbench_nlp.attacks.textattack import silent
from robustbench_nlp.bridge import GlobalGenerators
from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.nltk_data import find_nltk_data
from robustbench_nlp.plugins import Choice
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat, Unit

__all__ = ["NlpAug", "choices"]

AUGMENTERS: dict[str, Unit] = {
    "AntonymAug": "word",
    "KeyboardAug": "char",
    "OcrAug": "char",
    "RandomCharAug": "char",
    "RandomSentAug": "sentence",
    "RandomWordAug": "word",
    "SpellingAug": "word",
    "SplitAug": "word",
    "SynonymAug": "word",
}
"""The library's modules of the augmenters that work as they come."""
TAGGED = ("AntonymAug", "SynonymAug")
"""They look words up in NLTK's data."""
SETTINGS: dict[str, dict[str, Any]] = {"RandomSentAug": {"tokenizer": re.compile(r"(?<=[.!?…])\s+").split}}
"""In place of NLTK's tokenizer, which needs a download."""
GENERIC = Threat(name="nlpaug")


def choices() -> list[Choice]:
    """Every augmenter of texts that the library has, with its state."""
    return states("nlpaug")


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
            never = {choice.argument: choice.line for choice in choices()}.get(self.augmenter)
            if never:
                raise UsageError(f"nlpaug:{self.augmenter} {never}")
            raise unknown("nlpaug augmenter", self.augmenter, AUGMENTERS)
        if self.draws < 1:
            raise UsageError(f"nlpaug cannot draw {self.draws} texts; set draws to 1 or more")
        if self.threat == GENERIC:
            threat = Threat(name=f"nlpaug_{self.augmenter.lower()}", unit=AUGMENTERS[self.augmenter])
            object.__setattr__(self, "threat", threat)

    def run(self, sample: Sample, rng: Random) -> Steps:
        augmenter, original = _augmenter(self.augmenter), str(sample.text)
        with silent(), GlobalGenerators(rng).installed():
            try:
                drawn = [_first(augmenter.augment(original), original) for _ in range(self.draws)]
            except LookupError as problem:
                if isinstance(problem, IndexError | KeyError):  # look-up errors too, but the library's own faults
                    raise
                raise UsageError(f"nlpaug:{self.augmenter} {state('nlpaug', self.augmenter)}") from problem
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
            if name in TAGGED:
                find_nltk_data()
            module = import_module(f"nlpaug.augmenter.{AUGMENTERS[name]}")
            return getattr(module, name)(**SETTINGS.get(name, {}))
    except ImportError as problem:
        raise UsageError(f"nlpaug:{name} needs the library; install robustbench-nlp[nlpaug]") from problem
