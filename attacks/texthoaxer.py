"""TextHoaxer (Ye et al., 2022): one perturbation matrix in the space of word vectors, improved by estimated gradients.

Only the victim's decisions are seen. From a random text that fools the victim, with originals put back, the matrix (a row
a changed word) takes a step down the estimated slope of the dissimilarity plus its squared norm, then one on the rows'
weights, which the sparsity term shrinks. A matrix becomes a text by putting in, longest row first, the candidates nearest
to the perturbed vectors until the decision flips. Step sizes and weights are the authors'. Differs from the paper: the
vectors of words are the sentence encoder's of each word alone, not counter-fitted ones, and similarity is that encoder's
for the whole texts; the 50 nearest neighbours are those of its table, of a cosine of 0.6 or more instead of 0.5 as in our
TextFooler, and of a part of speech by look-up; the start may come from random numbers of changed words, not always all; words that were put back have no row; a start with one change is
improved as well; texts known already aren't asked again.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp.attack import Encode, Helped, Request, Sample, Steps
from robustbench_nlp.edits.words import candidate_maker, follow_candidates
from robustbench_nlp.errors import UsageError
from robustbench_nlp.search.hard_label import Opening, decision_threat, opening
from robustbench_nlp.search.importance import descending
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat

__all__ = ["TextHoaxer"]

CANDIDATES = "neighbours(50,0.6)"
THREAT = decision_threat(CANDIDATES)
WEIGHT = 0.3
"""The weight of every row to begin with."""
LEAST = 1e-3
"""Weights end here, above zero, for rows are divided by them."""
Matrix = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class TextHoaxer:
    """`probe` is the length of the step by which slopes are estimated, `rate` and `weight_rate` those of the descents,
    `pairwise` and `sparsity` the weights of their terms. `similarity` names the encoder; `tries` random texts are
    drawn at most after those of growing change. The default threat follows `candidates`."""

    threat: Threat = THREAT
    candidates: str = CANDIDATES
    similarity: str = "embedded"
    iterations: int = 100
    probe: float = 0.5
    rate: float = 0.3
    weight_rate: float = 0.05
    pairwise: float = 0.1
    sparsity: float = 0.1
    tries: int = 2500
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.iterations < 0 or self.tries < 0 or self.probe <= 0:
            raise UsageError("texthoaxer wants no negative iterations or tries, and a probe above 0")
        follow_candidates(self, THREAT, decision_threat)

    @property
    def helpers(self) -> Helped:
        return ((Encode, self.similarity),)

    def run(self, sample: Sample, rng: Random) -> Steps:
        makers = candidate_maker(self.candidates)
        start = yield from opening(sample, makers, rng, model=self.similarity, tries=self.tries)
        if start is None:
            return None
        ground, best = start.ground, start.text
        space = yield from _space(start)
        weights = np.full(len(space.places), WEIGHT)
        noise = np.random.default_rng(rng.getrandbits(64))
        for _ in range(self.iterations):
            matrix = space.matrix(best)
            rows = [[best.word(place) != sample.text.word(place)] for place in space.places]
            direction = noise.standard_normal(matrix.shape) * rows
            near = yield from ground.first(space.texts(matrix + self.probe * direction))
            if near is None:
                continue
            before, after = yield from ground.cosines([best, near])
            slope = (before - after) / self.probe * direction
            stepped = yield from ground.first(space.texts(matrix - self.rate * (slope + 2 * self.pairwise * matrix)))
            found = [best, near]
            if stepped is not None:
                base = space.matrix(stepped) / weights[:, None]
                whole, *parts = yield from ground.cosines([stepped, *(ground.back(stepped, n) for n in space.places)])
                rise = (np.array(parts) - whole) / weights + np.maximum(weights - self.sparsity, 0)
                weights = np.maximum(weights - self.weight_rate * rise, LEAST)
                sparse = yield from ground.first(space.texts(base * weights[:, None]))
                found += [stepped] if sparse is None else [stepped, sparse]
            best = found[descending((yield from ground.cosines(found)))[0]]
        return best


class _Space:
    """The vectors of the changed slots' original words and of their candidates."""

    def __init__(self, start: Opening, vectors: dict[str, Matrix]) -> None:
        self.original = start.ground.original
        self.places = start.ground.changed(start.text)
        self._choices = [list(start.choices[place]) for place in self.places]
        self._vectors = vectors
        self._origin = np.stack([vectors[self.original.word(place)] for place in self.places])
        self._others = [np.stack([vectors[word] for word in words]) for words in self._choices]

    def matrix(self, text: Text) -> Matrix:
        """How far the words of a text lie from the original's, (places, dimensions)."""
        return np.stack([self._vectors[text.word(place)] for place in self.places]) - self._origin

    def texts(self, matrix: Matrix) -> Iterator[Text]:
        """From the original, the candidates nearest to the perturbed vectors put in one after another, the longest row of
        the matrix first; rows of zeros change nothing."""
        text, lengths = self.original, np.linalg.norm(matrix, axis=1).tolist()
        for row in descending(lengths):
            if lengths[row]:
                far = np.linalg.norm(self._others[row] - (self._origin[row] + matrix[row]), axis=1)
                text = text.swap(self.places[row], self._choices[row][int(far.argmin())])
                yield text


def _space(start: Opening) -> Generator[Request, Any, _Space]:
    """Encode the words that may stand in the changed slots, one request."""
    places = start.ground.changed(start.text)
    words = {word for place in places for word in (start.ground.original.word(place), *start.choices[place])}
    items = sorted(words)
    vectors = yield Encode(items, start.ground.model)
    return _Space(start, dict(zip(items, np.asarray(vectors, dtype=np.float64), strict=True)))
