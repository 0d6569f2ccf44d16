"""TextBugger (Li et al., 2019): the best of five small bugs in each of the words that matter most, black-box or white-box.

Black-box, the victim's most confident sentences come first, and in each the words whose loss hurts it most; white-box
(`ranking="gradient"`), the words with the largest gradient at their embeddings. Differs from the paper:
sentences that it reads otherwise come last instead of being left out; a bug is kept only where it raises the score;
substitute words are WordNet synonyms, all of them and none for stop words, where the paper takes the five nearest
embeddings (`candidates="neighbours(5)"`); the limit is on edits instead of on the similarity by a sentence encoder.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, ClassVar, Literal

from robustbench_nlp.attack import Request, Sample, Steps
from robustbench_nlp.constraints.words import content_words, inside
from robustbench_nlp.edits.characters import bare, delete, swap
from robustbench_nlp.edits.visual import homoglyphs
from robustbench_nlp.edits.words import candidate_maker
from robustbench_nlp.errors import unknown
from robustbench_nlp.lexicon.keyboard import keys, neighbours
from robustbench_nlp.lexicon.leet import shapes
from robustbench_nlp.lexicon.stopwords import stopwords
from robustbench_nlp.search.greedy import in_order
from robustbench_nlp.search.importance import deleted_scores, descending, gradient_sizes, probed
from robustbench_nlp.text import Text, edges_of
from robustbench_nlp.threat import Threat

__all__ = ["TextBugger", "bugs"]

CHAR_30 = Threat(name="char_30", unit="char", max_edits=30)
BUGS_30 = Threat(name="bugs_30", unit="word", max_edits=30, candidates="wordnet-3.0")
NONE = "none"
RANKINGS = ("score", "gradient")


@dataclass(frozen=True, kw_only=True, slots=True)
class TextBugger:
    """`candidates` names the set of substitute words (see `edits.words`); with "none" there are four bugs, all of them of
    characters. The default threat follows: `char_30` for those, and with `ranking="gradient"` one that knows gradients.
    `layout` names the keyboard (us, de, fr, es), `language` the stop words."""

    threat: Threat = BUGS_30
    candidates: str = "wordnet"
    ranking: Literal["score", "gradient"] = "score"
    layout: str = "us"
    language: str = "en"
    version: ClassVar[int] = 1
    drawn_from: ClassVar[tuple[str, ...]] = ("delete", "swap", "homoglyphs", "keyboard")

    def __post_init__(self) -> None:
        keys(self.layout)
        stopwords(self.language)
        if self.candidates != NONE:
            candidate_maker(self.candidates)
        if self.ranking not in RANKINGS:
            raise unknown("ranking of textbugger", self.ranking, RANKINGS)
        if self.threat == BUGS_30:
            bugs_30 = replace(BUGS_30, candidates=self.candidates) if self.candidates != "wordnet" else BUGS_30
            default = CHAR_30 if self.candidates == NONE else bugs_30
            if self.ranking == "gradient":
                default = replace(default, name=f"{default.name}_gradient", knowledge="gradient")
            object.__setattr__(self, "threat", default)

    def run(self, sample: Sample, rng: Random) -> Steps:
        original = str(sample.text)
        replaceable = set() if self.candidates == NONE else set(content_words(sample.text, language=self.language))

        def candidates(text: Text, number: int) -> Sequence[Text]:
            edited = [text.swap(number, word) for word in bugs(text.word(number), rng, self.layout)]
            if number in replaceable:
                edited += candidate_maker(self.candidates)(text, number)
            return inside(sample.threat, original, edited)

        if self.ranking == "gradient":
            order = descending((yield from gradient_sizes(sample.text)))
        else:
            order = yield from _order(sample.text)
        return (yield from in_order(sample.text, sample.score, order, candidates))


def _order(text: Text) -> Generator[Request, Any, list[int]]:
    """All words: those of the sentences that score lowest by themselves first, in each the most important ones first."""
    string, spans, sentences = str(text), text.spans, _sentences(text)
    confidence = [0.0]
    if len(sentences) > 1:
        confidence = yield from probed(Text(string[spans[s[0]][0] : spans[s[-1]][1]], end=0) for s in sentences)
    scores = yield from deleted_scores(text, range(len(text)))
    order: list[int] = []
    for i in sorted(range(len(sentences)), key=confidence.__getitem__):
        order += [sentences[i][j] for j in descending([scores[number] for number in sentences[i]])]
    return order


def bugs(word: str, rng: Random, layout: str = "us") -> list[str]:
    """One random bug of each kind that the word allows: a space put in (words of up to five letters), a letter dropped
    or two swapped inside it (swaps in words of five letters or more), a letter that looks or lies near another."""
    edges = edges_of(word)
    if len(edges) < 3:
        return []
    made, first, last = [], edges[1], edges[-2]
    if len(word) < 6:
        i = edges[rng.randrange(1, len(edges) - 1)]
        made.append(word[:i] + " " + word[i:])
    made.append(word[:first] + delete(word[first:last], rng) + word[last:])
    if len(word) > 4:
        made.append(word[:first] + swap(word[first:last], rng) + word[last:])
    made.append(substitute(word, rng, layout))
    return [new for new in dict.fromkeys(made) if new != word]


def substitute(word: str, rng: Random, layout: str) -> str:
    """A letter becomes one that looks like it (another script's, a digit, a sign) or whose key touches its own."""
    places = [(i, near) for i in bare(word) if (near := _near(word[i], layout))]
    if not places:
        return word
    i, near = rng.choice(places)
    return word[:i] + rng.choice(rng.choice(near)) + word[i + 1 :]


def _near(letter: str, layout: str) -> list[str]:
    return [near for near in (homoglyphs(letter), shapes(letter), neighbours(letter, layout)) if near]


def _sentences(text: Text) -> list[list[int]]:
    """The word slots of each sentence: a new one begins after a full stop, question or exclamation mark or line end."""
    string, sentences, last = str(text), list[list[int]](), 0
    for number, (start, end) in enumerate(text.spans):
        if not sentences or any(mark in ".!?…\n。！？" for mark in string[last:start]):
            sentences.append([])
        sentences[-1].append(number)
        last = end
    return sentences
