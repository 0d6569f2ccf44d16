"""Paraphrases (Iyyer et al., 2018; Ribeiro et al., 2018; Gan and Ng, 2019): the text reworded by a model, or translated and back.

Sentence by sentence, the model's rewordings are tried: the one closest to the original that fools the victim is the result,
else the one that raises the score most is kept, and what has become of the text is reworded again. Differs from the papers:
any encoder-decoder model rewords, without parse templates (Iyyer), suggested words (Gan and Ng) or the rules that Ribeiro
draws from many paraphrases; a rewording is close enough by the cosine of a sentence encoder, where Ribeiro compares the
likelihoods of paraphrase and original under translation models; the papers search one step deep.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import chain
from random import Random
from typing import Any, ClassVar

from robustbench_nlp.attack import Encode, Generate, Helped, Request, Sample, Steps
from robustbench_nlp.constraints.meaning import Close, close_in_meaning
from robustbench_nlp.constraints.words import inside
from robustbench_nlp.errors import UsageError
from robustbench_nlp.search.greedy import closest_success
from robustbench_nlp.sentences import sentence_pieces
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat

__all__ = ["Paraphrase"]

REWORDED = Threat(name="reworded_80", unit="sentence", min_similarity=0.8, similarity_model="embedded")


@dataclass(frozen=True, kw_only=True, slots=True)
class Paraphrase:
    """`model` rewords what is put behind `prefix`; or each model of `forward` translates, and the one of `backward` at its
    place translates back (names, or tuples of names for several pivots: `hf:ID` or `hf:FOLDER`).

    A sentence has `n` rewordings (of each pivot: `n` translations, back in one way), by beam search, or drawn at a
    `temperature`; each has at most `max_tokens` tokens. The text is gone through `rounds` times at most.
    """

    model: str = ""
    threat: Threat = REWORDED
    forward: str | tuple[str, ...] = ()
    backward: str | tuple[str, ...] = ()
    prefix: str = ""
    n: int = 8
    temperature: float = 0.0
    max_tokens: int = 128
    rounds: int = 2
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        for name in ("forward", "backward"):
            if isinstance(value := getattr(self, name), str):
                object.__setattr__(self, name, (value,) if value else ())
        if bool(self.model) == bool(self.forward) or len(self.forward) != len(self.backward):
            raise UsageError(
                "paraphrase wants a model, paraphrase:hf:ID, or as many translators back as forth, "
                "paraphrase(forward='hf:ID', backward='hf:ID')"
            )
        if self.n < 1 or self.rounds < 1 or self.max_tokens < 1 or self.temperature < 0:
            raise UsageError(
                "paraphrase wants n, rounds and max_tokens of 1 or more and a temperature that isn't negative"
            )

    @property
    def helpers(self) -> Helped:
        models: Helped = tuple((Generate, name) for name in (self.model, *self.forward, *self.backward) if name)
        judging = self.threat.similarity_model or "embedded"
        return models if self.threat.min_similarity is None else (*models, (Encode, judging))

    def run(self, sample: Sample, rng: Random) -> Steps:
        pieces, best = sentence_pieces(sample.text), sample.score
        for _ in range(self.rounds):
            before = list(pieces)
            rewordings = yield from self._rewordings(pieces[1::2])
            for number, reworded in enumerate(rewordings):
                at = 2 * number + 1
                made = [Text("".join([*pieces[:at], new, *pieces[at + 1 :]])) for new in reworded if new != pieces[at]]
                close = yield from _close(sample, made)
                if not close.texts:
                    continue
                found = yield from closest_success(close.texts, close.cosines)
                if found.success:
                    return found.text
                if found.score > best:
                    best = found.score
                    string, rest = str(found.text), len("".join(pieces[at + 1 :]))
                    pieces[at] = string[len("".join(pieces[:at])) : len(string) - rest]
            if pieces == before:
                break
        return None

    def _rewordings(self, sentences: Sequence[str]) -> Generator[Request, Any, list[list[str]]]:
        """What the models make of each sentence, in one request a model."""
        if not sentences:
            return []
        if self.model:
            reworded: list[list[str]] = yield self._asked(
                [self.prefix + text for text in sentences], self.model, self.n
            )
            return reworded
        made: list[list[str]] = [[] for _ in sentences]
        for there, back in zip(self.forward, self.backward, strict=True):
            abroad = yield self._asked(sentences, there, self.n)
            translated = list(chain.from_iterable(abroad))
            if translated:
                home = iter((yield self._asked(translated, back, 1)))
                for found, ways in zip(made, abroad, strict=True):
                    found += [text for _ in ways for text in next(home)]
        return made

    def _asked(self, texts: Sequence[str], model: str, n: int) -> Generate:
        return Generate(texts, model, n, self.temperature, self.max_tokens)


def _close(sample: Sample, made: Sequence[Text]) -> Generator[Request, Any, Close]:
    """Those inside the threat, and close enough where it limits similarity."""
    threat = sample.threat
    texts = inside(threat, str(sample.text), made)
    if threat.min_similarity is None:
        return Close(texts, [0.0] * len(texts))
    model = threat.similarity_model or "embedded"
    return (yield from close_in_meaning(sample.text, texts, 0, min_cosine=threat.min_similarity, model=model))
