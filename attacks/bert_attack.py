"""BERT-Attack (Li et al., 2020): words that a masked language model reads into the text, at the words that matter most.

The model reads the text once, unmasked; at each word, in the order of how much masking it hurts, its likeliest other words
are tried and the best is kept, until 40 % of the words are changed. Differs from the paper: a word of several tokens takes
the words that the model sees at its first token, instead of all combinations of pieces ranked by perplexity; a change is
kept only where it raises the score; antonyms are WordNet's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from robustbench_nlp.attack import FillMask, Helped, Sample, Steps
from robustbench_nlp.constraints.words import content_words
from robustbench_nlp.edits.blanks import Blanks, filled, substitutes
from robustbench_nlp.edits.words import Limits
from robustbench_nlp.errors import UsageError
from robustbench_nlp.lexicon.stopwords import stopwords
from robustbench_nlp.lexicon.wordnet import antonyms
from robustbench_nlp.search.greedy import in_order
from robustbench_nlp.search.importance import descending, masked_scores
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat

__all__ = ["BERTAttack"]

MASKED_40 = Threat(name="masked_lm_40", unit="word", max_words_share=0.4, candidates="masked-lm")


@dataclass(frozen=True, kw_only=True, slots=True)
class BERTAttack:
    """`k` words are tried at each word, by the masked language model named `model`. Deterministic.
    `language` names the stop words."""

    threat: Threat = MASKED_40
    model: str = "embedded"
    k: int = 48
    language: str = "en"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        stopwords(self.language)
        if self.k < 1:
            raise UsageError(f"bert_attack cannot try {self.k} words; set k to 1 or more")

    @property
    def helpers(self) -> Helped:
        return ((FillMask, self.model),)

    def run(self, sample: Sample, rng: Random) -> Steps:
        numbers = content_words(sample.text, language=self.language)
        limits = Limits(sample.threat, sample.text)
        blanks = Blanks(sample.text)
        proposed = yield from filled((blanks.at(number, masked=False) for number in numbers), self.k, self.model)
        choices = {
            number: _words(sample.text.word(number), words, self.language)
            for number, words in zip(numbers, proposed, strict=True)
        }
        numbers = [number for number in numbers if choices[number]]
        scores = yield from masked_scores(sample.text, numbers)

        def candidates(text: Text, number: int) -> Sequence[Text]:
            return [text.swap(number, word) for word in choices[number]]

        order = [numbers[i] for i in descending(scores)]
        return (yield from in_order(sample.text, sample.score, order, limits.within(candidates)))


def _words(old: str, words: list[tuple[str, float]], language: str) -> list[str]:
    """The proposals that are neither the word itself, nor an antonym, nor a stop word."""
    spared = {*stopwords(language), *antonyms(old)}
    return [word for word in substitutes(words, old) if word.lower() not in spared]
