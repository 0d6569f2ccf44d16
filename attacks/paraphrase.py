"""Paraphrase (Iyyer et al., 2018; Ribeiro et al., 2018): whole sentences in other words, by a model of the user's choice.

An encoder-decoder rewords each sentence, directly or by way of another language and back; rewordings that stay close in
meaning are scored, and the best one is reworded again for a few rounds. Differs from the papers: any paraphrase model or
pair of translators serves instead of a syntactically controlled one or learned rules; closeness is the sentence encoder's.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from robustbench_nlp.attack import Generate, Request, Sample, Score, Scores, Steps
from robustbench_nlp.constraints.meaning import close_in_meaning
from robustbench_nlp.constraints.words import inside
from robustbench_nlp.edits.sentences import replaced, sentences
from robustbench_nlp.errors import UsageError
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat

__all__ = ["Paraphrase"]

REWORDED = Threat(
    name="paraphrase", unit="sentence", min_similarity=0.8, similarity_model="embedded", candidates="seq2seq"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Paraphrase:
    """`model` rewords a text that `prefix` stands before; with `back` it translates, and `back` translates back. Each
    sentence gets `n` rewordings a round."""

    model: str
    back: str = ""
    prefix: str = ""
    n: int = 5
    rounds: int = 2
    threat: Threat = REWORDED
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.n < 1 or self.rounds < 1:
            raise UsageError("paraphrase wants n and rounds of 1 or more")

    def run(self, sample: Sample, rng: Random) -> Steps:
        original = str(sample.text)
        current, best, tried = original, sample.score, {original}
        for _ in range(self.rounds):
            made = yield from self._reworded(current)
            texts = inside(sample.threat, original, [Text(string) for string in made if string not in tried])
            tried.update(map(str, texts))
            least = sample.threat.min_similarity
            if least is not None:
                model = sample.threat.similarity_model or "embedded"
                texts = (yield from close_in_meaning(sample.text, texts, 0, min_cosine=least, model=model)).texts
            if not texts:
                return None
            answer: Scores = yield Score(texts)
            if True in answer.success:
                return None  # the best confirmed one is the engine's to choose
            top = max(range(len(texts)), key=answer.score.__getitem__)
            if answer.score[top] <= best:
                return None
            current, best = str(texts[top]), answer.score[top]
        return None

    def _reworded(self, string: str) -> Generator[Request, Any, list[str]]:
        """The string with each of its sentences in turn in other words."""
        spans = sentences(string)
        if not spans:
            return []
        asked = [self.prefix + string[start:end] for start, end in spans]
        found: list[list[str]] = yield Generate(asked, self.n, self.model)
        if self.back:
            abroad = [words for group in found for words in group]
            returned: list[list[str]] = yield Generate(abroad, self.n, self.back)
            found = [
                [words for group in returned[i * self.n : (i + 1) * self.n] for words in group]
                for i in range(len(spans))
            ]
        return [
            replaced(string, span, words)
            for span, group in zip(spans, found, strict=True)
            for words in dict.fromkeys(group)
            if words and words != string[slice(*span)]
        ]
