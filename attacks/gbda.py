"""GBDA (Guo et al., 2021): gradient descent on a distribution over texts, then texts drawn from it.

Each word has a distribution over its candidates, softened by Gumbel noise; the victim reads the mean embedding of each
word, and Adam moves the distributions towards a wrong class, until it leads by a margin. Texts drawn from the result are
scored as they are: nothing counts but what the victim makes of real text. Differs from the paper: only words that are one
token change, each to words that are one token too, so that a text is read as it was optimised; in place of the paper's
terms for fluency and similarity, a word's candidates are its neighbours in the embedding table (or in the victim's own,
`candidates="vocabulary"`) and a changed word has a price, a Lagrange multiplier that holds their mean number to the
threat's limit; the margin is the log-odds of the label, not over the highest other class; fewer steps and draws, from a
flatter start.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from math import exp, expm1, log1p
from random import Random
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp.attack import Gradient, Gradients, Request, Sample, Score, Scores, Steps, Vocabulary
from robustbench_nlp.attacks.hotflip import FLIPS
from robustbench_nlp.constraints.words import content_words
from robustbench_nlp.edits.words import Limits
from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.lexicon.case import in_case_of
from robustbench_nlp.lexicon.neighbours import near_words
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat

__all__ = ["GBDA"]

NEIGHBOURS = Threat(
    name="neighbours_gradient_20", unit="word", knowledge="gradient", max_words_share=0.2, candidates="neighbours"
)
THREATS = {"neighbours": NEIGHBOURS, "vocabulary": FLIPS}
BETAS, EPSILON = (0.9, 0.999), 1e-8
"""Adam's."""
_CHUNK = 25

Logits = dict[int, NDArray[np.float64]]
"""A number a candidate, by word slot."""


class Choices(NamedTuple):
    """A slot's candidates, its own word first, and the victim's embeddings of them, float32 (candidates, dimensions)."""

    words: list[str]
    vectors: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class GBDA:
    """`k` candidates a word, of at least `min_cosine`; the default threat follows the set. `iterations` steps of
    `learning_rate`, each over `samples` draws at `temperature`, from distributions that begin at `start` (a logit) for the
    original word, towards log-odds of `kappa` for a wrong class. The price of a changed word, in log-odds, rises by
    `price_rate` at each step in which twice the words change that may. `texts` are drawn at the end."""

    threat: Threat = NEIGHBOURS
    candidates: Literal["neighbours", "vocabulary"] = "neighbours"
    k: int = 30
    min_cosine: float = 0.6
    iterations: int = 30
    samples: int = 4
    learning_rate: float = 0.3
    temperature: float = 1.0
    start: float = 3.0
    kappa: float = 5.0
    price_rate: float = 0.1
    texts: int = 50
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.candidates not in THREATS:
            raise unknown("candidates of gbda", self.candidates, THREATS)
        if min(self.k, self.samples, self.texts) < 1 or self.iterations < 0 or self.temperature <= 0:
            raise UsageError(
                "gbda wants k, samples and texts of 1 or more, no negative iterations, a temperature above 0"
            )
        if self.threat == NEIGHBOURS:
            object.__setattr__(self, "threat", THREATS[self.candidates])

    def run(self, sample: Sample, rng: Random) -> Steps:
        if sample.vocabulary is None:
            raise UsageError("gbda looks words up in the victim's embeddings; attack an hf: victim without rewriting")
        limits = Limits(sample.threat, sample.text)
        (answer,) = yield Gradient([sample.text])
        choices = self._choices(sample.text, answer, sample.vocabulary)
        if not choices or not limits.most:
            return None
        draws = np.random.default_rng(rng.getrandbits(64))
        theta = yield from self._descended(sample.text, choices, limits.most, draws)
        tried = {str(sample.text)}
        for start in range(0, self.texts, _CHUNK):
            count = min(_CHUNK, self.texts - start)
            drawn = [_drawn(sample.text, theta, choices, limits.most, draws) for _ in range(count)]
            fresh = {str(text): text for text in drawn if str(text) not in tried and limits.allow(text)}
            tried |= fresh.keys()
            if fresh:
                scores: Scores = yield Score(list(fresh.values()))
                if True in scores.success:
                    return None  # the best confirmed one is the engine's to choose
        return None

    def _descended(
        self, text: Text, choices: dict[int, Choices], most: int, draws: np.random.Generator
    ) -> Generator[Request, Any, Logits]:
        """The distributions after all steps; `most` words are meant to change."""
        theta: Logits = {slot: np.zeros(len(words)) for slot, (words, _) in choices.items()}
        for logits in theta.values():
            logits[0] = self.start
        adam, price = _Adam(self.learning_rate), 0.0
        for step in range(1, self.iterations + 1):
            soft = [self._softened(theta, draws) for _ in range(self.samples)]
            vectors = [
                {slot: (weights @ choices[slot].vectors).astype(np.float32) for slot, weights in shares.items()}
                for shares in soft
            ]
            answers: list[Gradients] = yield Gradient([text] * self.samples, vectors)
            for slot, logits in theta.items():
                slopes = [
                    self._slope(answer, slot, shares[slot], choices[slot].vectors, price)
                    for answer, shares in zip(answers, soft, strict=True)
                ]
                theta[slot] = logits + adam.move(slot, np.mean(slopes, axis=0), step)
            changed = sum(1 - shares[slot][0] for shares in soft for slot in theta) / self.samples
            price = max(0.0, price + self.price_rate * (changed / most - 1))
        return theta

    def _choices(self, text: Text, answer: Gradients, vocabulary: Vocabulary) -> dict[int, Choices]:
        """By slot: what the content words that are one token may become."""
        places = {word: i for i, word in enumerate(vocabulary.words)}
        unit = vocabulary.vectors / np.maximum(np.linalg.norm(vocabulary.vectors, axis=1, keepdims=True), EPSILON)
        tokens, found = Counter(answer.words), {}

        def place(word: str) -> int | None:
            return places.get(word, places.get(word.lower()))

        for slot in content_words(text):
            word = text.word(slot)
            if tokens[slot] != 1 or (own := place(word)) is None:
                continue
            if self.candidates == "neighbours":
                near = [in_case_of(other, word) for other in near_words(word, self.k, self.min_cosine)]
            else:
                cosines = unit @ unit[own]
                nearest = np.argsort(-cosines, kind="stable")[: self.k + 1]
                near = [in_case_of(vocabulary.words[i], word) for i in nearest if cosines[i] >= self.min_cosine]
            rows = {other: row for other in near if (row := place(other)) is not None and row != own}
            if rows:
                found[slot] = Choices([word, *rows], vocabulary.vectors[[own, *rows.values()]])
        return found

    def _softened(self, theta: Logits, draws: np.random.Generator) -> Logits:
        """Gumbel-softmax weights of each word's candidates."""
        return {
            slot: _softmax((logits + draws.gumbel(size=len(logits))) / self.temperature)
            for slot, logits in theta.items()
        }

    def _slope(
        self, answer: Gradients, slot: int, weights: NDArray[np.float64], vectors: NDArray[np.float32], price: float
    ) -> NDArray[np.float64]:
        """How the margin, less the price of change, grows with a word's logits.

        1 − p(label) is what the gradient of the cross-entropy has that the log-odds' lacks; at `kappa` the margin is full.
        """
        full = answer.loss >= log1p(exp(self.kappa))
        gain = vectors @ answer.gradient[answer.words.index(slot)].astype(np.float64)
        gain *= 0.0 if full else 1 / max(-expm1(-answer.loss), 1e-6)
        gain[0] += price
        slope: NDArray[np.float64] = weights * (gain - weights @ gain) / self.temperature
        return slope


def _drawn(text: Text, theta: Logits, choices: dict[int, Choices], most: int, draws: np.random.Generator) -> Text:
    """A text of one draw a word; of more than `most` changed words those change that are likelier to, by chance."""
    chosen = {slot: int(draws.choice(len(logits), p=_softmax(logits))) for slot, logits in theta.items()}
    changed = [slot for slot, number in chosen.items() if number]
    changed.sort(key=lambda slot: theta[slot][0] - theta[slot].max() - draws.gumbel())
    return text.replace({slot: choices[slot].words[chosen[slot]] for slot in changed[:most]})


class _Adam:
    """Steps up a slope, a state a word."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._moments: dict[int, tuple[Any, Any]] = {}

    def move(self, key: int, slope: NDArray[np.float64], step: int) -> NDArray[np.float64]:
        """The change of the logits at the given step, counted from 1."""
        first, second = self._moments.get(key, (0.0, 0.0))
        first = BETAS[0] * first + (1 - BETAS[0]) * slope
        second = BETAS[1] * second + (1 - BETAS[1]) * slope**2
        self._moments[key] = first, second
        unbiased = np.sqrt(second / (1 - BETAS[1] ** step)) + EPSILON
        change: NDArray[np.float64] = self.rate * first / (1 - BETAS[0] ** step) / unbiased
        return change


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(logits - logits.max())
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares
