"""HotFlip (Ebrahimi et al., 2018): word flips ranked by the gradient at the input embeddings, by beam search.

The gain of a flip is estimated to first order: the loss gradient at the word's token times the difference of the two
words' embeddings. Differs from the paper: the `width` best estimates of all places are predicted before one is kept,
so that a wrong estimate costs queries and not the attack, and the victim's own embeddings stand for word vectors in the
condition that a flip keeps a cosine of at least `min_cosine`. Only words that are one token of the victim are flipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp.attack import Gradient, Gradients, Sample, Score, Scores, Steps, Vocabulary
from robustbench_nlp.constraints.words import content_words
from robustbench_nlp.edits.words import Limits
from robustbench_nlp.errors import UsageError
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat

__all__ = ["HotFlip"]

FLIPS = Threat(name="flips", unit="word", knowledge="gradient", max_words_share=0.2)


@dataclass(frozen=True, kw_only=True, slots=True)
class HotFlip:
    """At each step `width` flips are predicted, one a word at most `per_word`; the best goes on."""

    threat: Threat = FLIPS
    width: int = 10
    per_word: int = 3
    min_cosine: float = 0.4
    version: ClassVar[int] = 1

    def run(self, sample: Sample, rng: Random) -> Steps:
        vocabulary = sample.vocabulary
        if vocabulary is None:
            raise UsageError(
                "hotflip looks words up in the victim's embeddings; attack an hf: victim without rewriting"
            )
        text, best = sample.text, sample.score
        free, limits = set(content_words(text)), Limits(sample.threat, text)
        for _ in range(limits.most):
            (answer,) = yield Gradient([text])
            flips = sorted(self._flips(text, free, answer, vocabulary), key=lambda flip: -flip[0])
            allowed = ((number, new) for _, number, word in flips if limits.allow(new := text.swap(number, word)))
            found = list(islice(allowed, self.width))
            if not found:
                return None
            texts = [new for _, new in found]
            scores: Scores = yield Score(texts)
            if True in scores.success:
                return None  # the best confirmed one is the engine's to choose
            top = max(range(len(texts)), key=scores.score.__getitem__)
            if scores.score[top] <= best:
                return None
            text, best = texts[top], scores.score[top]
            free.discard(found[top][0])
        return None

    def _flips(
        self, text: Text, free: set[int], answer: Gradients, vocabulary: Vocabulary
    ) -> Iterator[tuple[float, int, str]]:
        """(estimated gain, slot, word): the best flips of each free word that is one token."""
        places = {word: i for i, word in enumerate(vocabulary.words)}
        unit = vocabulary.vectors / np.linalg.norm(vocabulary.vectors, axis=1, keepdims=True)
        for number in free:
            tokens = [i for i, slot in enumerate(answer.words) if slot == number]
            old = places.get(text.word(number), places.get(text.word(number).lower()))
            if len(tokens) != 1 or old is None:
                continue
            gains: NDArray[Any] = (vocabulary.vectors - vocabulary.vectors[old]) @ answer.gradient[tokens[0]]
            gains[(unit @ unit[old] < self.min_cosine) | (np.arange(len(gains)) == old)] = -np.inf
            for new in np.argsort(-gains)[: self.per_word]:
                if gains[new] > 0:
                    yield float(gains[new]), number, vocabulary.words[new]
