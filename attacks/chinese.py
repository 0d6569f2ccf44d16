"""Chinese (after Argot, Zhang et al., 2020): the words that matter most, misspelt by sound, by shape, or replaced.

Words are jieba's, ranked by how much leaving them out hurts, stop words spared; in each the candidate that raises the score most is
kept and the first success ends the search. Candidates: `homophone`, one character becomes one that sounds the same, with
or without the tone; `glyph`, one that looks alike by the codes in Unicode's Unihan database (Cangjie, four corners), for
no free table of components or pictures is at hand; `synonym`, another word, from a masked language model that fills the
word's characters or from a file of word vectors. Differs from the paper: no pinyin in Latin letters, no split or shuffled
characters; only characters in common (simplified) use are offered; words of other scripts are left alone.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from random import Random
from typing import Any, ClassVar

import regex

from robustbench_nlp.attack import Request, Sample, Steps
from robustbench_nlp.constraints.words import inside
from robustbench_nlp.edits.blanks import Blanks, filled
from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.lexicon.chinese import frequency, lookalikes, require, same_sound, segments
from robustbench_nlp.lexicon.neighbours import from_vectors
from robustbench_nlp.lexicon.stopwords import stopwords
from robustbench_nlp.search.greedy import in_order
from robustbench_nlp.search.importance import descending, probed
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat

__all__ = ["Chinese", "chinese_words"]

KINDS = ("homophone", "glyph", "synonym")
HANZI_25 = Threat(name="hanzi_25", unit="char", max_words_share=0.25, candidates="homophone+glyph")
_HAN = regex.compile(r"\p{Han}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Chinese:
    """`candidates` are kinds, `k` the most of each kind for a character (of synonyms: for a word). Synonyms want a masked
    language model, `model="hf:…"`, or a file of word vectors, `vectors`. The default threat, a quarter of the words (a
    Chinese character is one), follows `candidates`. Deterministic."""

    threat: Threat = HANZI_25
    candidates: tuple[str, ...] = ("homophone", "glyph")
    k: int = 10
    model: str = ""
    vectors: str = ""
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        kinds = (self.candidates,) if isinstance(self.candidates, str) else tuple(self.candidates)
        object.__setattr__(self, "candidates", kinds)
        for kind in kinds:
            if kind not in KINDS:
                raise unknown("candidates of chinese", kind, KINDS)
        if not kinds or self.k < 1:
            raise UsageError("chinese wants one kind of candidates at least, and k of 1 or more")
        if ("synonym" in kinds) != bool(self.model or self.vectors):
            raise UsageError("chinese takes synonyms from model='hf:…' or vectors='PATH'; name one, and 'synonym' too")
        if self.threat == HANZI_25:
            object.__setattr__(self, "threat", replace(HANZI_25, candidates="+".join(kinds)))
        require("attack chinese")

    def run(self, sample: Sample, rng: Random) -> Steps:
        original = str(sample.text)
        words = [slots for slots in chinese_words(sample.text) if _joined(sample.text, slots) not in stopwords("zh")]
        if not words:
            return None
        choices = [self._misspelt(_joined(sample.text, slots)) for slots in words]
        if "synonym" in self.candidates:
            synonyms = yield from self._synonyms(sample.text, words)
            choices = [found + others for found, others in zip(choices, synonyms, strict=True)]
        scores = yield from probed(sample.text.replace(dict.fromkeys(slots, "")) for slots in words)

        def candidates(text: Text, number: int) -> Sequence[Text]:
            first, *others = words[number]
            texts = [text.replace({first: word, **dict.fromkeys(others, "")}) for word in choices[number]]
            return inside(sample.threat, original, texts)

        return (yield from in_order(sample.text, sample.score, descending(scores), candidates))

    def _misspelt(self, word: str) -> list[str]:
        """The word with one character changed by sound, then by shape."""
        made = []
        for i in range(len(word)):
            others = same_sound(word, i)[: self.k] if "homophone" in self.candidates else ""
            others += lookalikes(word[i])[: self.k] if "glyph" in self.candidates else ""
            made += [word[:i] + other + word[i + 1 :] for other in others]
        return made

    def _synonyms(self, text: Text, words: list[range]) -> Generator[Request, Any, list[list[str]]]:
        """By word: the nearest of the vectors, then, for words of one or two characters, what the model's fills of them
        spell, the likeliest first and those of one new character before those of two."""
        found: list[list[str]] = [[] for _ in words]
        if self.vectors:
            near = from_vectors(self.vectors)
            found = [[other for other, _ in near(_joined(text, slots), self.k) if _HAN.match(other)] for slots in words]
        if self.model:
            blanks = Blanks(text)
            short = {i: slots for i, slots in enumerate(words) if len(slots) <= 2}
            asked = (blanks.at(number) for slots in short.values() for number in slots)
            fills = iter((yield from filled(asked, self.k, self.model)))
            for i, slots in short.items():
                rows = [[(text.word(number), 1.0), *next(fills)] for number in slots]
                made = {"".join(part for part, _ in row): prod(p for _, p in row) for row in product(*rows)}
                likely = sorted(made, key=lambda word: -made[word])
                found[i] += [word for word in likely if word != _joined(text, slots) and frequency(word)][: self.k]
        return found


def _joined(text: Text, slots: range) -> str:
    return "".join(text.word(number) for number in slots)


def chinese_words(text: Text) -> list[range]:
    """The slots of each Chinese word, by jieba: neighbouring Han characters with nothing between them."""
    spans, ends = text.spans, [end for _, end in segments(str(text))]
    words: list[range] = []
    piece, last = 0, -1
    for number, (start, _) in enumerate(spans):
        while ends[piece] <= start:
            piece += 1
        if _HAN.match(text.word(number)):
            if words and piece == last and words[-1].stop == number and spans[number - 1][1] == start:
                words[-1] = range(words[-1].start, number + 1)
            else:
                words.append(range(number, number + 1))
            last = piece
    return words
