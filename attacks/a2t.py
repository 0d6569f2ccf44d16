"""A2T (Yoo and Qi, 2021): one gradient ranks the words, close neighbours replace a few; cheap enough to train against.

Words are visited by the size of the loss's gradient at their embeddings. Differs from the paper: the neighbours come from
the embedded encoder (`vectors` names a file of one's own) and sentences are compared by the named encoder, not DistilBERT
trained on STS; parts of speech are looked up, or with `parts='tagger'` tagged. As in the authors' code, four words may change in a text in
which a tenth is fewer. The least cosine is 0.65 instead of 0.8: in the embedded encoder's space only 29 % of MR's content
words have a neighbour at 0.8, 78 % at 0.65, where judged synonyms stand out most (`scripts/calibrate_cosines.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from robustbench_nlp.attack import Encode, Helped, Sample, Steps
from robustbench_nlp.attacks.textfooler import checked, own_vectors, substituted
from robustbench_nlp.constraints.parts import fits_by
from robustbench_nlp.constraints.words import content_words
from robustbench_nlp.errors import UsageError
from robustbench_nlp.lexicon.neighbours import near_words
from robustbench_nlp.search.importance import descending, gradient_sizes
from robustbench_nlp.threat import Threat

__all__ = ["A2T"]

NEIGHBOURS = Threat(name="neighbours_gradient", knowledge="gradient", unit="word", candidates="neighbours")


@dataclass(frozen=True, kw_only=True, slots=True)
class A2T:
    """`k` neighbours of at least `min_cosine`, from the file `vectors` if there is one; `min_similarity` is the cosine of
    the whole text with the original under `encoder`. At most the share `max_share` of the words changes, or `min_words`
    words where that is fewer. Needs a victim with gradients."""

    threat: Threat = NEIGHBOURS
    k: int = 20
    min_cosine: float = 0.65
    vectors: str = ""
    parts: str = "wordnet"
    min_similarity: float = 0.9
    max_share: float = 0.1
    min_words: int = 4
    encoder: str = "embedded"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        checked("a2t", self.k, self.min_cosine, self.min_similarity)
        fits_by(self.parts)
        if not 0 <= self.max_share <= 1 or self.min_words < 0:
            raise UsageError("a2t wants a max_share between 0 and 1 and min_words of 0 or more")
        if self.threat.knowledge != "gradient":
            raise UsageError(
                f"a2t ranks words by gradients; give it a threat with knowledge='gradient', not {self.threat}"
            )
        object.__setattr__(self, "threat", own_vectors(self.threat, NEIGHBOURS, self.vectors))

    @property
    def helpers(self) -> Helped:
        return ((Encode, self.encoder),)

    def run(self, sample: Sample, rng: Random) -> Steps:
        numbers = content_words(sample.text)
        if not numbers:
            return None
        sizes = yield from gradient_sizes(sample.text)

        return (
            yield from substituted(
                sample,
                [numbers[i] for i in descending([sizes[number] for number in numbers])],
                lambda word: near_words(word, self.k, self.min_cosine, self.vectors),
                fits=fits_by(self.parts),
                min_similarity=self.min_similarity,
                window=None,
                encoder=self.encoder,
                max_words=max(self.min_words, int(self.max_share * len(sample.text))),
            )
        )
