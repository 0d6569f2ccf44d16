"""Fakes for tests: a victim that counts keywords, and an engine of a few lines that drives one attack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp.attack import (
    Attack,
    Blank,
    Encode,
    FillMask,
    Generate,
    Gradient,
    Gradients,
    Help,
    Probe,
    Sample,
    Score,
    Scores,
    Vocabulary,
)
from robustbench_nlp.data.example import Example, Input, content_hash
from robustbench_nlp.errors import UsageError
from robustbench_nlp.tasks.classification import Goal, goal_of
from robustbench_nlp.text import Text, words_of
from robustbench_nlp.threat import violations
from robustbench_nlp.victim import Probabilities, Victim

__all__ = ["ConstantVictim", "Driven", "KeywordVictim", "drive", "graded", "helped", "sample_of"]

FILLS = ("film", "story", "quite", "bad", "dull", "never", "seems", "awful")
"""What `helped` answers for every blank, in an order that depends on what stands beside it."""


@dataclass(frozen=True, kw_only=True)
class KeywordVictim:
    """Class probabilities are the softmax of how many of each class's keywords an input holds."""

    keywords: tuple[tuple[str, ...], ...] = (("bad", "awful", "dull"), ("good", "great", "fine"))
    label_names: tuple[str, ...] = ("negative", "positive")
    name: str = "keywords"
    random: bool = False

    @property
    def fingerprint(self) -> str:
        return content_hash(self.name, self.keywords)[:16]

    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        found = [words_of(item if isinstance(item, str) else "\n".join(item)) for item in inputs]
        counts = [[sum(map(words.count, keywords)) for keywords in self.keywords] for words in found]
        logits = np.array(counts, dtype=np.float32).reshape(len(inputs), len(self.keywords))
        exps = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: Probabilities = exps / exps.sum(axis=1, keepdims=True)
        return probabilities


@dataclass(frozen=True, kw_only=True)
class ConstantVictim:
    """Gives one class of two the same probability whatever it is asked: perfectly robust, and useless."""

    answer: int = 1
    probability: float = 0.9
    label_names: tuple[str, ...] = ("negative", "positive")
    name: str = "constant"
    random: bool = False

    @property
    def fingerprint(self) -> str:
        return content_hash(self.name, self.answer, self.probability)[:16]

    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        row = np.full(2, 1 - self.probability, np.float32)
        row[self.answer] = self.probability
        return np.tile(row, (len(inputs), 1))


class Driven(NamedTuple):
    """What an attack came to: its text (else the best success, else the best-scored candidate), and its queries."""

    text: Text | None
    queries: int


def sample_of(attack: Attack, string: str, label: int = 1) -> Sample:
    """A one-field sample under the attack's own threat, with a vocabulary of eight words where gradients are known."""
    example = Example(fields={"text": string}, label=label)
    known = _vocabulary() if attack.threat.knowledge == "gradient" else None
    return Sample(example=example, text=Text(string), field="text", label=label, threat=attack.threat, vocabulary=known)


def _vocabulary() -> Vocabulary:
    words = ("good", "bad", "great", "awful", "film", "movie", "cast", "the")
    rows = [[int(digit, 16) / 15 for digit in content_hash(word)[:4]] for word in words]
    return Vocabulary(words, np.array(rows, dtype=np.float32))


def drive(attack: Attack, sample: Sample, rng: Random, victim: Victim, max_queries: int | None = None) -> Driven:
    """Run one attack by itself, unbatched and uncached. The clean prediction is query 1; a request is cut where
    `max_queries` end, and the attack is closed. `helped` stands in for helper models.
    A word's gradient is how sure the victim is of the word alone. Raises `UsageError` for other requests."""
    clean = victim.predict([sample.example.with_field(sample.field, str(sample.text))])[0]
    goal = goal_of(attack)
    steps = attack.run(replace(sample, score=goal.score(round(1.0 - float(clean[sample.label]), 5))), rng)
    answer: Any = None
    best: tuple[bool, float, Text | None] = (False, -1.0, None)
    queries = 1
    while True:
        try:
            request = steps.send(answer)
        except StopIteration as stop:
            return Driven(best[2] if stop.value is None else stop.value, queries)
        if isinstance(request, Help):
            answer = helped(request)
            continue
        if not isinstance(request, Score | Probe | Gradient):
            raise UsageError(f"drive() does not answer {type(request).__name__}; use the engine")
        texts = request.texts if max_queries is None else request.texts[: max(0, max_queries - queries)]
        queries += len(texts)
        if isinstance(request, Gradient):
            answer = [graded(text, sample, victim) for text in texts]
        else:
            answer = _answer(texts, sample, victim, isinstance(request, Probe), goal)
        if isinstance(request, Score):
            for score, success, text in zip(answer.score, answer.success, texts, strict=True):
                best = max(best, (success, score, text), key=lambda row: row[:2])
        if len(texts) < len(request.texts):
            steps.close()
            return Driven(best[2], queries)


def helped(request: Help) -> Any:
    """What fakes of helper models answer: a sentence's vector is its bag of hashed words, blanks take `FILLS`, a text is
    reworded by one of them in place of one word, and each word costs fluency."""
    if isinstance(request, Encode):
        return np.stack([_bag(item) for item in request.items])
    if isinstance(request, FillMask):
        return [_filled(blank)[: request.k] for blank in request.items]
    if isinstance(request, Generate):
        return [_reworded(item)[: request.n] for item in request.items]
    return [-float(len(words_of(item))) for item in request.items]


def _filled(blank: Blank) -> list[tuple[str, float]]:
    first = int(content_hash(blank.before[-12:], blank.after[:12])[:4], 16) % len(FILLS)
    return [(word, 0.5 ** (i + 1)) for i, word in enumerate(FILLS[first:] + FILLS[:first])]


def _reworded(string: str) -> list[str]:
    text = Text(string)
    return (
        [str(text.swap(i * 7 % len(text), word)) for i, word in enumerate(FILLS)] if len(text) else [f"{string} film"]
    )


def _bag(string: str) -> NDArray[np.float32]:
    """A unit vector: each word, in lower case, counts at one of 64 places; the first place holds a little of any text."""
    vector = np.zeros(64, np.float32)
    vector[0] = 0.1
    for word in words_of(string.lower()):
        vector[crc32(word.encode("utf-8", "surrogatepass")) % 64] += 1
    unit: NDArray[np.float32] = vector / np.linalg.norm(vector)
    return unit


def graded(text: Text, sample: Sample, victim: Victim) -> Gradients:
    """One token a word slot, four dimensions."""
    strings = [*text.words, str(text)]
    outputs = victim.predict([sample.example.with_field(sample.field, string) for string in strings])
    sure = np.abs(outputs[:-1, sample.label] - 1 / outputs.shape[1])
    loss = -float(np.log(max(outputs[-1, sample.label], 1e-9)))
    return Gradients(loss, np.repeat(sure[:, np.newaxis], 4, axis=1).astype(np.float32), list(range(len(text))))


def _answer(texts: Sequence[Text], sample: Sample, victim: Victim, probe: bool, goal: Goal) -> Scores:
    strings = [str(text) for text in texts]
    outputs = victim.predict([sample.example.with_field(sample.field, string) for string in strings])
    lost = outputs.argmax(axis=1) != sample.label if len(texts) else []
    original = str(sample.text)
    success = [
        bool(fell) == goal.fools and not probe and not violations(sample.threat, original, string)
        for fell, string in zip(lost, strings, strict=True)
    ]
    return Scores([goal.score(round(1.0 - float(row[sample.label]), 5)) for row in outputs], success)
