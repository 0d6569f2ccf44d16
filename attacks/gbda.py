"""GBDA (Guo et al., 2021): gradient descent on a distribution over texts, then texts drawn from it.

Each word has a distribution over its candidates, softened by Gumbel noise; the victim reads the mean embedding of each word,
and Adam moves the distributions up the loss. Texts drawn from the result are scored as they are, so that nothing counts but
what the victim makes of real text. Differs from the paper: a word's candidates are its neighbours in the embedding table
that are one token of the victim, not its whole vocabulary, which stands for the paper's terms for fluency and similarity;
a price on every changed word keeps texts inside the threat; the loss is the cross-entropy of the label instead of a
margin; fewer steps and draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp.attack import Gradient, Gradients, Sample, Score, Scores, Steps
from robustbench_nlp.constraints.words import content_words
from robustbench_nlp.edits.words import Limits
from robustbench_nlp.errors import UsageError
from robustbench_nlp.lexicon.case import in_case_of
from robustbench_nlp.lexicon.neighbours import near_words
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat

__all__ = ["GBDA"]

SOFT = Threat(
    name="neighbours_gradient_20", unit="word", knowledge="gradient", max_words_share=0.2, candidates="neighbours"
)
BETAS, EPSILON = (0.9, 0.999), 1e-8
"""Adam's."""
_CHUNK = 25


@dataclass(frozen=True, kw_only=True, slots=True)
class GBDA:
    """`iterations` steps of `learning_rate`, each over `samples` draws at `temperature`, from distributions that begin at
    `start` (a logit) for the original word; `price` is the cost of a changed word in nats; `texts` are drawn at the end."""

    threat: Threat = SOFT
    k: int = 30
    min_cosine: float = 0.6
    iterations: int = 30
    samples: int = 4
    learning_rate: float = 0.3
    temperature: float = 1.0
    start: float = 3.0
    price: float = 0.1
    texts: int = 50
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if min(self.k, self.samples, self.texts) < 1 or self.iterations < 0 or self.temperature <= 0:
            raise UsageError(
                "gbda wants k, samples and texts of 1 or more, no negative iterations, a temperature above 0"
            )

    def run(self, sample: Sample, rng: Random) -> Steps:
        choices = self._choices(sample)
        if not choices:
            return None
        draws = np.random.default_rng(rng.getrandbits(64))
        theta = {slot: np.zeros(len(words)) for slot, (words, _) in choices.items()}
        for logits in theta.values():
            logits[0] = self.start
        adam = _Adam(self.learning_rate)
        for step in range(self.iterations):
            soft = [self._softened(theta, draws) for _ in range(self.samples)]
            vectors = [{slot: weights @ choices[slot][1] for slot, weights in drawn.items()} for drawn in soft]
            answers: list[Gradients] = yield Gradient([sample.text] * self.samples, vectors)
            for slot, logits in theta.items():
                slopes = [
                    self._slope(answer, slot, drawn[slot], choices[slot][1])
                    for answer, drawn in zip(answers, soft, strict=True)
                ]
                theta[slot] = logits + adam.move(slot, np.mean(slopes, axis=0), step + 1)
        limits, tried = Limits(sample.threat, sample.text), {str(sample.text)}
        for start in range(0, self.texts, _CHUNK):
            count = min(_CHUNK, self.texts - start)
            drawn_texts = [self._drawn(sample.text, theta, choices, limits, draws) for _ in range(count)]
            fresh = {str(text): text for text in drawn_texts if str(text) not in tried and limits.allow(text)}
            tried |= fresh.keys()
            if fresh:
                answer: Scores = yield Score(list(fresh.values()))
                if True in answer.success:
                    return None  # the best confirmed one is the engine's to choose
        return None

    def _choices(self, sample: Sample) -> dict[int, tuple[list[str], NDArray[np.float32]]]:
        """By slot: the word itself and its candidates, and the victim's embeddings of them."""
        vocabulary = sample.vocabulary
        if vocabulary is None:
            raise UsageError("gbda looks words up in the victim's embeddings; attack an hf: victim without rewriting")
        places = {word: i for i, word in enumerate(vocabulary.words)}
        found = {}
        for slot in content_words(sample.text):
            word = sample.text.word(slot)
            own = places.get(word, places.get(word.lower()))
            others = [other for other in near_words(word, self.k, self.min_cosine) if other.lower() in places]
            if own is not None and others:
                rows = [own, *(places[other.lower()] for other in others)]
                found[slot] = [word, *(in_case_of(other, word) for other in others)], vocabulary.vectors[rows]
        return found

    def _softened(self, theta: dict[int, NDArray[Any]], draws: np.random.Generator) -> dict[int, NDArray[np.float32]]:
        """Gumbel-softmax weights of each word's candidates."""
        return {
            slot: _softmax((logits + draws.gumbel(size=len(logits))) / self.temperature)
            for slot, logits in theta.items()
        }

    def _slope(
        self, answer: Gradients, slot: int, weights: NDArray[np.float32], vectors: NDArray[np.float32]
    ) -> NDArray[Any]:
        """How the loss, less the price of change, grows with a word's logits."""
        at = answer.words.index(slot) if slot in answer.words else None
        gain = np.zeros(len(weights)) if at is None else vectors @ answer.gradient[at]
        gain[0] += self.price
        slope: NDArray[Any] = weights * (gain - weights @ gain) / self.temperature
        return slope

    def _drawn(
        self,
        text: Text,
        theta: dict[int, NDArray[Any]],
        choices: dict[int, tuple[list[str], NDArray[np.float32]]],
        limits: Limits,
        draws: np.random.Generator,
    ) -> Text:
        """A text of one draw a word; of too many changed words those change that were likeliest to."""
        chosen: dict[int, int] = {slot: int(draws.choice(len(p), p=p)) for slot, p in _shares(theta)}
        changed = [slot for slot, number in chosen.items() if number]
        changed.sort(key=lambda slot: theta[slot][0] - theta[slot].max())
        return text.replace({slot: choices[slot][0][chosen[slot]] for slot in changed[: limits.most]})


class _Adam:
    """Steps up a slope, a state a word."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._moments: dict[int, tuple[Any, Any]] = {}

    def move(self, key: int, slope: NDArray[Any], step: int) -> NDArray[Any]:
        """The change of the logits at the given step, counted from 1."""
        first, second = self._moments.get(key, (0.0, 0.0))
        first = BETAS[0] * first + (1 - BETAS[0]) * slope
        second = BETAS[1] * second + (1 - BETAS[1]) * slope**2
        self._moments[key] = first, second
        unbiased = np.sqrt(second / (1 - BETAS[1] ** step)) + EPSILON
        change: NDArray[Any] = self.rate * first / (1 - BETAS[0] ** step) / unbiased
        return change


def _softmax(logits: NDArray[Any]) -> NDArray[np.float32]:
    weights = np.exp(logits - logits.max())
    shares: NDArray[np.float32] = (weights / weights.sum()).astype(np.float32)
    return shares


def _shares(theta: dict[int, NDArray[Any]]) -> Sequence[tuple[int, NDArray[Any]]]:
    """Each word's distribution, in double precision, summing to one."""
    found = []
    for slot, logits in theta.items():
        weights = np.exp(logits - logits.max())
        found.append((slot, weights / weights.sum()))
    return found
