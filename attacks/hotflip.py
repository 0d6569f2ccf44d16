"""HotFlip (Ebrahimi et al., 2018): word flips ranked by the gradient at the input embeddings, by beam search.

The gain of a flip is estimated to first order: the loss gradient at the word's token times the difference of the two
words' embeddings. Differs from the paper: the `width` best estimates of all places are predicted before one is kept,
so that a wrong estimate costs queries and not the attack; a flip keeps a cosine of 0.65, not 0.8, in the space of the
embedded encoder's neighbours (`scripts/calibrate_cosines.py`), which the victim's own embeddings can't stand for: those of
a small network tell no synonyms from other words; parts of speech are looked up, not tagged. Only words that are one token
of the victim are flipped, to such words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import ClassVar

from robustbench_nlp.attack import Gradient, Gradients, Sample, Score, Scores, Steps, Vocabulary
from robustbench_nlp.attacks.textfooler import checked, own_vectors
from robustbench_nlp.constraints.meaning import same_part
from robustbench_nlp.constraints.words import content_words
from robustbench_nlp.edits.words import Limits
from robustbench_nlp.errors import UsageError
from robustbench_nlp.lexicon.neighbours import near_words
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat

__all__ = ["HotFlip"]

FLIPS = Threat(name="flips", unit="word", knowledge="gradient", max_words_share=0.2, candidates="neighbours")


@dataclass(frozen=True, kw_only=True, slots=True)
class HotFlip:
    """At each step `width` flips are predicted, at most `per_word` of a word; the best goes on. A word flips to one of its
    `k` neighbours of at least `min_cosine`, from the file `vectors` if there is one."""

    threat: Threat = FLIPS
    width: int = 10
    per_word: int = 3
    k: int = 50
    min_cosine: float = 0.65
    vectors: str = ""
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        checked("hotflip", self.k, self.min_cosine)
        object.__setattr__(self, "threat", own_vectors(self.threat, FLIPS, self.vectors))

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
        places = {word: row for row, word in enumerate(vocabulary.words)}

        def row_of(word: str) -> int | None:
            return places.get(word, places.get(word.lower()))

        for number in free:
            word = text.word(number)
            tokens = [i for i, slot in enumerate(answer.words) if slot == number]
            old = row_of(word)
            if len(tokens) != 1 or old is None:
                continue
            near = near_words(word, self.k, self.min_cosine, self.vectors)
            rows = {new: row for new in near if same_part(word, new) and (row := row_of(new)) is not None}
            steps = vocabulary.vectors[list(rows.values())] - vocabulary.vectors[old]
            gains = (steps @ answer.gradient[tokens[0]]).tolist()
            ranked = sorted(zip(gains, rows, strict=True), key=lambda flip: -flip[0])
            yield from ((gain, number, new) for gain, new in ranked[: self.per_word] if gain > 0)
