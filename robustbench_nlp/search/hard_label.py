"""The moves of attacks that see nothing but decisions: a random start that fools the victim, and its way back."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from random import Random
from typing import Any, NamedTuple

import numpy as np

from robustbench_nlp.attack import Encode, Request, Sample, Score, Scores, Steps
from robustbench_nlp.constraints.meaning import same_part
from robustbench_nlp.constraints.words import content_words
from robustbench_nlp.edits.words import Limits, word_threat
from robustbench_nlp.search.greedy import Candidates
from robustbench_nlp.search.importance import descending
from robustbench_nlp.search.tried import choices_of
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat

__all__ = ["Choices", "Ground", "Opening", "decision_threat", "opening", "put_back", "random_start"]

Choices = Mapping[int, Sequence[str]]
"""What each slot may become."""

_CHUNK = 256
"""The most texts of one request: enough to fill batches, and few enough for texts of ten thousand words."""


def decision_threat(candidates: str) -> Threat:
    """The threat that changes any words to candidates of the named set and sees only the victim's decisions."""
    threat = word_threat(candidates, 1.0)
    return replace(threat, name=f"decision_{threat.name}", knowledge="decision")


class Ground:
    """What is known of the texts around an original: which of them fool the victim, and how similar they are to it.

    Nothing is asked or encoded twice. The original and what `allowed` says is outside the threat fool nobody, unasked.
    """

    def __init__(
        self, original: Text, allowed: Callable[[Text], bool] = lambda text: True, model: str = "embedded"
    ) -> None:
        self.original = original
        self.allowed = allowed
        self.model = model
        self._fools = {str(original): False}
        self._cosines = {str(original): 1.0}
        self._vector: Any = None

    def changed(self, text: Text) -> list[int]:
        """The slots in which a text differs from the original."""
        pairs = zip(text.words, self.original.words, strict=True)
        return [number for number, (new, old) in enumerate(pairs) if new != old]

    def back(self, text: Text, number: int) -> Text:
        """The text with the original word in one slot."""
        return text.swap(number, self.original.word(number))

    def fools(self, texts: Iterable[Text]) -> Generator[Request, Any, list[bool]]:
        """Whether each text is a confirmed success; one query a text that is new. Made as they are asked for."""
        verdicts: list[bool] = []
        source: Iterator[Text] = iter(texts)
        while chunk := list(islice(source, _CHUNK)):
            new = {str(text): text for text in chunk if str(text) not in self._fools and self.allowed(text)}
            if new:
                answer: Scores = yield Score(list(new.values()), confirm="all")
                self._fools.update(zip(new, answer.success, strict=True))
            verdicts += [self._fools.get(str(text), False) for text in chunk]
        return verdicts

    def first(self, texts: Iterable[Text]) -> Steps:
        """The first text that fools the victim, asked one by one; None if none does."""
        for text in texts:
            if (yield from self.fools([text]))[0]:
                return text
        return None

    def cosines(self, texts: Sequence[Text]) -> Generator[Request, Any, list[float]]:
        """The encoder's cosine of each whole text with the original, to 1e-5; a helper call a text that is new."""
        strings = [str(text) for text in texts]
        new = [string for string in dict.fromkeys(strings) if string not in self._cosines]
        if new:
            first = [str(self.original)] if self._vector is None else []
            vectors = np.asarray((yield Encode([*first, *new], self.model)))
            if first:
                self._vector = vectors[0]
            found = vectors[len(first) :] @ self._vector
            self._cosines.update(zip(new, (round(float(cosine), 5) for cosine in found), strict=True))
        return [self._cosines[string] for string in strings]


def random_start(ground: Ground, choices: Choices, rng: Random, *, tries: int) -> Steps:
    """A text made of random choices that fools the victim; None if none was found. One query a text.

    Ever more slots, in an order drawn once, get choices drawn anew; after all slots, or as many as are allowed, up to
    `tries` texts are drawn with choices in a random number of random slots.
    """
    order = rng.sample(list(choices), len(choices))

    def drawn() -> Iterator[Text]:
        most = 0
        while most < len(order) and ground.allowed(text := changed(order[: most + 1])):
            most += 1
            yield text
        for _ in range(tries if most else 0):
            yield changed(rng.sample(order, rng.randint(1, most)))

    def changed(numbers: Sequence[int]) -> Text:
        return ground.original.replace({number: rng.choice(choices[number]) for number in numbers})

    return (yield from ground.first(drawn()))


def put_back(ground: Ground, text: Text) -> Generator[Request, Any, Text]:
    """Originals put back into a text that fools the victim until none can be without losing that.

    Each round asks which single words can go back, then puts them back one after another, those first that bring the text
    nearest to the original, as long as it fools the victim.
    """
    while True:
        changed = ground.changed(text)
        verdicts = yield from ground.fools(ground.back(text, number) for number in changed)
        free = [number for number, good in zip(changed, verdicts, strict=True) if good]
        if not free:
            return text
        cosines = yield from ground.cosines([ground.back(text, number) for number in free])
        for i in descending(cosines):
            nearer = ground.back(text, free[i])
            if not (yield from ground.fools([nearer]))[0]:
                break
            text = nearer


class Opening(NamedTuple):
    """Where the improvement begins: a text that fools the victim and loses that with any one word put back."""

    ground: Ground
    choices: Choices
    text: Text


def opening(
    sample: Sample, candidates: Candidates, rng: Random, *, model: str, tries: int
) -> Generator[Request, Any, Opening | None]:
    """A random start and its way back, over content words of three or more letters and candidates that share their part
    of speech; None where no start was found."""
    limits = Limits(sample.threat, sample.text)
    ground = Ground(sample.text, limits.allow, model)
    found = choices_of(sample.text, content_words(sample.text, min_length=3), limits.within(candidates))
    alike = {n: [word for word in words if same_part(sample.text.word(n), word)] for n, words in found.items()}
    choices = {number: words for number, words in alike.items() if words}
    start = yield from random_start(ground, choices, rng, tries=tries)
    return None if start is None else Opening(ground, choices, (yield from put_back(ground, start)))
