"""FGWS (Mozes et al., 2021): a text whose rare words have frequent synonyms, and whose answer changes with them, is suspicious.

Attacks by substitution put in rarer words. Each rare word gives way to its most frequent synonym, and how much less sure the
victim then is of its answer is the suspicion. Predictions are the victim's own. Differs from the paper: synonyms are WordNet's
and the neighbours' of this project, and the threshold of rarity is a quantile of the training split's words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp.data.example import Example, Input, content_hash
from robustbench_nlp.detection import Watched, settings_of, threshold
from robustbench_nlp.edits.words import candidate_words
from robustbench_nlp.errors import UsageError
from robustbench_nlp.lexicon.case import in_case_of
from robustbench_nlp.synonym_hull import known_sets
from robustbench_nlp.text import Text
from robustbench_nlp.victim import Victim

__all__ = ["FrequencyGuided"]

TUNED = 500
"""Training texts that the threshold of suspicion is chosen on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FrequencyGuided:
    """A word is rare when it occurs no more often than the `rare` quantile of the training split's running words; the
    threshold rejects at most `false_alarms` of clean training texts. `evaded`: attacks must pass it, too."""

    rare: float = 0.2
    false_alarms: float = 0.1
    evaded: bool = False
    candidates: tuple[str, ...] = ("wordnet", "neighbours(8)")
    version: ClassVar[int] = 1
    detects: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (0 <= self.rare <= 1 and 0 <= self.false_alarms <= 1):
            raise UsageError("frequency_guided wants rare and false_alarms between 0 and 1")
        for name in self.candidates:
            candidate_words(name)

    @property
    def known(self) -> tuple[str, ...]:
        """The sets of words among which it looks for frequent ones."""
        return known_sets(self.candidates)

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        """Raises `UsageError` without training examples: there would be no frequencies."""
        counts = Counter(
            word.lower() for example in train for part in example.fields.values() for word in Text(part).words
        )
        if not counts:
            raise UsageError(
                "frequency_guided counts a training split's words, and there is none; name one with --train"
            )
        floor = float(np.quantile([counts[word] for word in counts.elements()], self.rare))
        others = [candidate_words(name) for name in self.candidates]

        @lru_cache(100_000)
        def frequent(word: str) -> str:
            near = [other.lower() for lookup in others for other in lookup(word)]
            best = max(near, key=lambda other: counts[other], default=word)
            return best if counts[best] > counts[word] else word

        def replaced(string: str) -> str:
            text = Text(string)
            rare = {i: word for i, word in enumerate(text.words) if counts[word.lower()] <= floor}
            return str(text.replace({i: in_case_of(frequent(word.lower()), word) for i, word in rare.items()}))

        def suspicion(inputs: Sequence[Input]) -> NDArray[np.float32]:
            if not inputs:
                return np.zeros(0, np.float32)
            others = [replaced(item) if isinstance(item, str) else tuple(map(replaced, item)) for item in inputs]
            before, after = victim.predict(list(inputs)), victim.predict(others)
            answers = before.argmax(axis=1)
            rows = np.arange(len(answers))
            lost: NDArray[np.float32] = before[rows, answers] - after[rows, answers]
            return lost

        tuned = suspicion([example.input for example in rng.sample(list(train), min(TUNED, len(train)))])
        parts = ["frequency_guided", self.version, settings_of(self), content_hash(sorted(counts.items()))]
        return Watched(victim, suspicion, threshold(tuned, self.false_alarms), parts, evaded=self.evaded)
