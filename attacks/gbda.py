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
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from math import exp, expm1, log, log1p
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
MIN_COSINE = {"neighbours": 0.6, "vocabulary": 0.4}
BETAS, EPSILON = (0.9, 0.999), 1e-8
"""Adam's."""
_CHUNK = 25


class Choices(NamedTuple):
    """What may become of the words that are one token: their slots and tokens in the text, each one's candidates, its own
    word first, and the candidates' places in the vocabulary (slots, most candidates), filled up by the word's own."""

    slots: list[int]
    tokens: list[int]
    words: list[list[str]]
    rows: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class GBDA:
    """`k` candidates a word, of at least `min_cosine` (None: what `MIN_COSINE` says); the default threat follows the set. `iterations` steps of
    `learning_rate`, each over `samples` draws at `temperature`, from distributions that leave the original word its share
    `keep` (the paper's: 0.84), towards log-odds of `kappa` for a wrong class. The price of a changed word, in log-odds,
    rises by `price_rate` at each step in which twice the words change that may. `texts` are drawn at the end."""

    threat: Threat = NEIGHBOURS
    candidates: Literal["neighbours", "vocabulary"] = "neighbours"
    k: int = 30
    min_cosine: float | None = None
    iterations: int = 30
    samples: int = 4
    learning_rate: float = 0.3
    temperature: float = 1.0
    keep: float = 0.8
    kappa: float = 5.0
    price_rate: float = 0.1
    texts: int = 50
    version: ClassVar[int] = 1
    places_embeddings: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.candidates not in THREATS:
            raise unknown("candidates of gbda", self.candidates, THREATS)
        if min(self.k, self.samples, self.texts) < 1 or self.iterations < 0:
            raise UsageError("gbda wants k, samples and texts of 1 or more, and no negative iterations")
        if self.temperature <= 0 or not 0 < self.keep < 1:
            raise UsageError("gbda wants a temperature above 0 and a keep between 0 and 1")
        if self.threat == NEIGHBOURS:
            object.__setattr__(self, "threat", THREATS[self.candidates])

    def run(self, sample: Sample, rng: Random) -> Steps:
        if sample.vocabulary is None:
            raise UsageError("gbda looks words up in the victim's embeddings; attack an hf: victim without rewriting")
        limits = Limits(sample.threat, sample.text)
        (answer,) = yield Gradient([sample.text])
        choices = self._choices(sample.text, answer, sample.vocabulary)
        if choices is None or not limits.most:
            return None
        draws = np.random.default_rng(rng.getrandbits(64))
        theta = yield from self._descended(sample.text, choices, sample.vocabulary.vectors, limits.most, draws)
        tried = {str(sample.text)}
        for first in range(0, self.texts, _CHUNK):
            count = min(_CHUNK, self.texts - first)
            drawn = [_drawn(sample.text, theta, choices, limits.most, draws) for _ in range(count)]
            fresh = {str(text): text for text in drawn if str(text) not in tried and limits.allow(text)}
            tried |= fresh.keys()
            if fresh:
                scores: Scores = yield Score(list(fresh.values()))
                if True in scores.success:
                    return None  # the best confirmed one is the engine's to choose
        return None

    def _choices(self, text: Text, answer: Gradients, vocabulary: Vocabulary) -> Choices | None:
        """What the content words that are one token may become; None where none of them may."""
        places = {word: i for i, word in enumerate(vocabulary.words)}
        unit = vocabulary.vectors / np.maximum(np.linalg.norm(vocabulary.vectors, axis=1, keepdims=True), EPSILON)
        least = MIN_COSINE[self.candidates] if self.min_cosine is None else self.min_cosine
        tokens, counts = {slot: token for token, slot in enumerate(answer.words)}, Counter(answer.words)
        found: dict[int, dict[str, int]] = {}

        def place(word: str) -> int | None:
            return places.get(word, places.get(word.lower()))

        for slot in content_words(text):
            word = text.word(slot)
            if counts[slot] != 1 or (own := place(word)) is None:
                continue
            if self.candidates == "neighbours":
                near = [in_case_of(other, word) for other in near_words(word, self.k, least)]
            else:
                cosines = unit @ unit[own]
                nearest = np.argsort(-cosines, kind="stable")[: self.k + 1]
                near = [in_case_of(vocabulary.words[i], word) for i in nearest if cosines[i] >= least]
            others = {other: row for other in near if (row := place(other)) is not None and row != own}
            if others:
                found[slot] = {word: own, **others}
        if not found:
            return None
        longest = max(map(len, found.values()))
        rows = [[*entry.values()] + [next(iter(entry.values()))] * (longest - len(entry)) for entry in found.values()]
        return Choices(
            [*found], [tokens[slot] for slot in found], [[*entry] for entry in found.values()], np.array(rows)
        )

    def _descended(
        self, text: Text, choices: Choices, table: NDArray[np.float32], most: int, draws: np.random.Generator
    ) -> Generator[Request, Any, NDArray[np.float64]]:
        """The distributions' logits (slots, candidates) after all steps; `most` words are meant to change."""
        theta = self._start(choices)
        adam, price = _Adam(self.learning_rate), 0.0
        for _ in range(self.iterations):
            noise = draws.gumbel(size=(self.samples, *theta.shape))
            shares = _softmax((theta + noise) / self.temperature)
            means = np.einsum("skn,knd->skd", shares.astype(np.float32), table[choices.rows])
            vectors = [dict(zip(choices.slots, mean, strict=True)) for mean in means]
            answers: list[Gradients] = yield Gradient([text] * self.samples, vectors)
            theta = theta + adam.step(self._slopes(answers, choices, shares, table, price).mean(axis=0))
            changed = float((1 - shares[:, :, 0]).sum()) / self.samples
            price = max(0.0, price + self.price_rate * (changed / most - 1))
        return theta

    def _start(self, choices: Choices) -> NDArray[np.float64]:
        theta = np.full(choices.rows.shape, -np.inf)
        for row, words in enumerate(choices.words):
            theta[row, : len(words)] = 0.0
            theta[row, 0] = log(self.keep / (1 - self.keep) * (len(words) - 1))
        return theta

    def _slopes(
        self,
        answers: Sequence[Gradients],
        choices: Choices,
        shares: NDArray[np.float64],
        table: NDArray[np.float32],
        price: float,
    ) -> NDArray[np.float64]:
        """How the margin, less the price of change, grows with the logits, at each draw: (draws, slots, candidates).

        1 − p(label) is what the gradient of the cross-entropy has that the log-odds' lacks; at `kappa` the margin is full.
        """
        full = log1p(exp(self.kappa))
        scale = [0.0 if answer.loss >= full else 1 / max(-expm1(-answer.loss), 1e-6) for answer in answers]
        pulls = np.array([answer.gradient[choices.tokens] * by for answer, by in zip(answers, scale, strict=True)])
        gains = np.einsum("knd,skd->skn", table[choices.rows], pulls).astype(np.float64)
        gains[:, :, 0] += price
        slopes: NDArray[np.float64] = shares * (gains - (shares * gains).sum(axis=-1, keepdims=True)) / self.temperature
        return slopes


def _drawn(text: Text, theta: NDArray[np.float64], choices: Choices, most: int, draws: np.random.Generator) -> Text:
    """A text of one draw a word; of more than `most` changed words those change that are likelier to, by chance."""
    chosen = (theta + draws.gumbel(size=theta.shape)).argmax(axis=1)
    surest = np.argsort(theta[:, 0] - theta.max(axis=1) - draws.gumbel(size=len(theta)))
    changed = [row for row in surest.tolist() if chosen[row]][:most]
    return text.replace({choices.slots[row]: choices.words[row][chosen[row]] for row in changed})


class _Adam:
    """Steps up a slope."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._steps = 0
        self._first: Any = 0.0
        self._second: Any = 0.0

    def step(self, slope: NDArray[np.float64]) -> NDArray[np.float64]:
        """The change of the logits."""
        self._steps += 1
        self._first = BETAS[0] * self._first + (1 - BETAS[0]) * slope
        self._second = BETAS[1] * self._second + (1 - BETAS[1]) * slope**2
        unbiased = np.sqrt(self._second / (1 - BETAS[1] ** self._steps)) + EPSILON
        change: NDArray[np.float64] = self.rate * self._first / (1 - BETAS[0] ** self._steps) / unbiased
        return change


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Along the last axis."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: NDArray[np.float64] = weights / weights.sum(axis=-1, keepdims=True)
    return shares
