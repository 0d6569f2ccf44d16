"""TextFooler (Jin et al., 2020): neighbours in a word-vector space, the most important words first, meaning checked.

Words are ranked by how much leaving them out hurts; each in turn takes the neighbours that are the same part of speech and
leave the sentence close to the original. Among those that fool the victim the closest sentence wins, else the one that
hurts most stays. Differs from the paper: the neighbours come from the embedded encoder (`vectors` names a file of one's
own, such as the counter-fitted vectors); sentences are compared by the named encoder, not the Universal Sentence Encoder;
parts of speech are looked up, or with `parts='tagger'` tagged; importance counts the label's probability alone, as if the label never flipped;
texts shorter than the window are compared too, which the paper's code lets pass.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, ClassVar

from robustbench_nlp.attack import Encode, Helped, Request, Sample, Steps
from robustbench_nlp.constraints.meaning import Close, close_in_meaning
from robustbench_nlp.constraints.parts import Fits, fits_by
from robustbench_nlp.constraints.words import content_words
from robustbench_nlp.edits.words import Limits
from robustbench_nlp.errors import UsageError
from robustbench_nlp.lexicon.neighbours import near_words
from robustbench_nlp.lexicon.stopwords import stopwords
from robustbench_nlp.search.greedy import closest_in_order
from robustbench_nlp.search.importance import deleted_scores, descending
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat

__all__ = ["TextFooler", "checked", "own_vectors", "substituted"]

NEIGHBOURS = Threat(name="neighbours", unit="word", candidates="neighbours")


@dataclass(frozen=True, kw_only=True, slots=True)
class TextFooler:
    """`k` neighbours of at least `min_cosine`, from the file `vectors` if there is one; `min_similarity` is the cosine
    with the original under `encoder`, within `window` words around the change (0: the whole text); -1 lets everything pass.
    With `verb_noun_swap` verbs and nouns are one part; `language` names the stop words. `scripts/calibrate_cosines.py` chose
    `min_cosine`; 0.88 is the angular similarity 0.84 of the paper's code."""

    threat: Threat = NEIGHBOURS
    k: int = 50
    min_cosine: float = 0.6
    vectors: str = ""
    parts: str = "wordnet"
    verb_noun_swap: bool = False
    min_similarity: float = 0.88
    window: int = 15
    encoder: str = "embedded"
    language: str = "en"
    version: ClassVar[int] = 2

    def __post_init__(self) -> None:
        stopwords(self.language)
        checked("textfooler", self.k, self.min_cosine, self.min_similarity)
        fits_by(self.parts, language=self.language)
        object.__setattr__(self, "threat", own_vectors(self.threat, NEIGHBOURS, self.vectors))

    @property
    def helpers(self) -> Helped:
        return ((Encode, self.encoder),)

    def run(self, sample: Sample, rng: Random) -> Steps:
        numbers = content_words(sample.text, language=self.language)
        ranks = yield from deleted_scores(sample.text, numbers)

        return (
            yield from substituted(
                sample,
                [numbers[i] for i in descending(ranks)],
                lambda word: near_words(word, self.k, self.min_cosine, self.vectors),
                fits=fits_by(self.parts, verb_noun_swap=self.verb_noun_swap, language=self.language),
                min_similarity=self.min_similarity,
                window=self.window or None,
                encoder=self.encoder,
            )
        )


def substituted(
    sample: Sample,
    order: Iterable[int],
    others: Callable[[str], Sequence[str]],
    *,
    fits: Fits,
    min_similarity: float,
    window: int | None,
    encoder: str,
    max_words: int | None = None,
) -> Steps:
    """Visit words in order; at each take, of the candidates close to the original, the closest that fools the victim, and
    end; else keep the one that raises the score most. At most `max_words` words change, and the threat's limits hold."""
    limits = Limits(sample.threat, sample.text, max_words)

    def near(current: Text, number: int) -> Generator[Request, Any, Close]:
        words = others(sample.text.word(number))
        made = [current.swap(number, other) for other in words if fits(current, number, other)]
        return (
            yield from close_in_meaning(
                sample.text,
                [text for text in made if limits.allow(text)],
                number,
                min_cosine=min_similarity,
                words=window,
                model=encoder,
            )
        )

    return (yield from closest_in_order(sample, order, near))


def checked(name: str, k: int, *cosines: float) -> None:
    """Raises `UsageError` for settings out of range."""
    if k < 1 or not all(-1 <= cosine <= 1 for cosine in cosines):
        raise UsageError(f"{name} wants k of 1 or more, and min_cosine and min_similarity between -1 and 1")


def own_vectors(threat: Threat, default: Threat, vectors: str) -> Threat:
    """The default threat says where its candidates come from; any other is left as it is."""
    return replace(threat, candidates=f"vectors:{vectors}") if vectors and threat == default else threat
