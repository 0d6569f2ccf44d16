"""Universal triggers (Wallace et al., 2019): a few words, learned on dev, that flip any text they are put before.

For each label one trigger, started from "the the the" and improved word by word: the mean loss gradient at the trigger's
token over a batch of dev texts ranks all words of the victim, and the best of the first `candidates` by predicted score
stays. Differs from the paper: greedy instead of beam search, and untargeted. On a test example it costs one query.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

import numpy as np

from robustbench_nlp.attack import Gradient, Gradients, Probe, Sample, Score, Steps, Together, Vocabulary
from robustbench_nlp.errors import UsageError
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat

__all__ = ["UniversalTriggers"]

TRIGGER = Threat(name="trigger_3", unit="word", knowledge="gradient", max_words_changed=3)


@dataclass(frozen=True, kw_only=True, slots=True)
class UniversalTriggers:
    """A trigger has as many words as the threat may change; `rounds` passes over them, `batch` dev texts a step."""

    threat: Threat = TRIGGER
    rounds: int = 2
    batch: int = 32
    candidates: int = 20
    version: ClassVar[int] = 1

    def prepare(self, samples: Sequence[Sample], rng: Random) -> Generator[Together, Any, dict[int, tuple[str, ...]]]:
        """The trigger of each label that the samples have."""
        triggers = {}
        for label in sorted({sample.label for sample in samples}):
            own = [sample for sample in samples if sample.label == label]
            triggers[label] = yield from self._learned(own, rng)
        return triggers

    def _learned(self, samples: Sequence[Sample], rng: Random) -> Generator[Together, Any, tuple[str, ...]]:
        vocabulary = samples[0].vocabulary
        if vocabulary is None:
            raise UsageError("universal_triggers looks words up in the victim's embeddings; attack an hf: victim")
        words = ["the"] * (self.threat.max_words_changed or 3)
        for _ in range(self.rounds):
            for place in range(len(words)):
                batch = rng.sample(samples, min(self.batch, len(samples)))
                pairs = [(sample, _triggered(sample.text, words)) for sample in batch]
                answers: list[Gradients] = yield Together(Gradient, pairs)
                found = [words[place], *self._best(answers, place, vocabulary)]
                reached = []
                for word in found:
                    tried = [*words[:place], word, *words[place + 1 :]]
                    scores = yield Together(Probe, [(sample, _triggered(sample.text, tried)) for sample in batch])
                    reached.append(sum(score.score[0] for score in scores))
                words[place] = found[reached.index(max(reached))]
        return tuple(words)

    def _best(self, answers: Sequence[Gradients], place: int, vocabulary: Vocabulary) -> list[str]:
        """The words whose embeddings lie furthest along the mean gradient at the trigger's word."""
        rows = [answer.gradient[answer.words.index(place)] for answer in answers if place in answer.words]
        if not rows:
            return []
        gains = vocabulary.vectors @ np.mean(rows, axis=0)
        return [vocabulary.words[i] for i in np.argsort(-gains)[: self.candidates]]

    def run(self, sample: Sample, rng: Random) -> Steps:
        words = (sample.prepared or {}).get(sample.label)
        if words:
            yield Score([_triggered(sample.text, words)])
        return None


def _triggered(text: Text, words: Sequence[str]) -> Text:
    return Text(f"{' '.join(words)} {text}")
