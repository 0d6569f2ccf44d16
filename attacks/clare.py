"""CLARE (Li et al., 2021): a masked language model replaces a word, inserts one, or merges two, where that hurts most.

At every position each action takes the fill that fools the victim best, among those that are likely in their place and keep
the text close to the original; the best action of each position is then applied, the strongest first, until the victim is
fooled. Differs from the paper: the first success ends the attack; actions that raise the score of no text are left out, as
are those that lead beyond the similarity limit together; similarity is the named encoder's; stop words are not replaced,
and any two neighbours that are none are merged, not only noun phrases.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar, Literal, NamedTuple

from robustbench_nlp.attack import Blank, Encode, FillMask, Helped, Request, Sample, Score, Scores, Steps
from robustbench_nlp.constraints.meaning import close_in_meaning
from robustbench_nlp.constraints.words import content_words, inside
from robustbench_nlp.edits.blanks import Blanks, filled, substitutes
from robustbench_nlp.errors import UsageError
from robustbench_nlp.search.importance import descending
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat

__all__ = ["CLARE"]

MASKED = Threat(name="masked_lm", unit="word", candidates="masked-lm")


class Action(NamedTuple):
    """A word put in place of slot `number`, after it, or in place of it and the next slot."""

    kind: Literal["replace", "insert", "merge"]
    number: int
    word: str = ""

    @property
    def slots(self) -> set[int]:
        return {self.number, self.number + (self.kind == "merge")}

    def blank(self, blanks: Blanks) -> Blank:
        if self.kind == "insert":
            return blanks.before(self.number + 1)
        return blanks.at(self.number, words=1 + (self.kind == "merge"))

    def on(self, text: Text) -> Text:
        """The text after the action."""
        if self.kind == "insert":
            return text.insert(self.number + 1, self.word)
        replaced = text.swap(self.number, self.word)
        return replaced.delete(self.number + 1) if self.kind == "merge" else replaced


@dataclass(frozen=True, kw_only=True, slots=True)
class CLARE:
    """Each blank has at most `k` fills of `min_probability` or more; texts stay within `min_cosine` of the original under
    `encoder` (-1: any); 0.9 lets nine of ten swaps of synonyms through (`scripts/calibrate_cosines.py`), the paper's 0.7 was
    the other encoder's. Deterministic."""

    threat: Threat = MASKED
    model: str = "embedded"
    k: int = 50
    min_probability: float = 5e-3
    encoder: str = "embedded"
    min_cosine: float = 0.9
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.k < 1 or not 0 <= self.min_probability <= 1 or not -1 <= self.min_cosine <= 1:
            raise UsageError("clare wants k of 1 or more, a min_probability in [0, 1] and a min_cosine in [-1, 1]")

    @property
    def helpers(self) -> Helped:
        return ((FillMask, self.model), (Encode, self.encoder))

    def run(self, sample: Sample, rng: Random) -> Steps:
        text = sample.text
        possible = _actions(text)
        blanks = Blanks(text)
        fills = yield from filled((action.blank(blanks) for action in possible), self.k, self.model)
        at: list[list[Action]] = [[] for _ in range(len(text))]
        for action, words in zip(possible, fills, strict=True):
            likely = [(word, chance) for word, chance in words if chance >= self.min_probability]
            old = "" if action.kind == "insert" else text.word(action.number)
            at[action.number] += [action._replace(word=word) for word in substitutes(likely, old)]
        best: list[tuple[float, Action]] = []
        for number, actions in enumerate(at):
            moves = {action.on(text): action for action in actions}
            allowed = yield from self._allowed(sample, list(moves), number)
            if not allowed:
                continue
            answer: Scores = yield Score(allowed)
            order = descending(answer.score)
            if True in answer.success:
                return allowed[next(i for i in order if answer.success[i])]
            if answer.score[order[0]] > sample.score:
                best.append((answer.score[order[0]], moves[allowed[order[0]]]))
        return (yield from self._together(sample, [best[i][1] for i in descending([score for score, _ in best])]))

    def _together(self, sample: Sample, actions: list[Action]) -> Steps:
        """Apply actions one after another, each slot once, until the victim is fooled; the first alone didn't fool it."""
        text, used = sample.text, set[int]()
        for action in actions:
            if action.slots & used:
                continue
            allowed = yield from self._allowed(sample, [action.on(text)], action.number)
            if not allowed:
                continue
            text, used = allowed[0], used | action.slots
            if action is not actions[0]:
                answer: Scores = yield Score([text])
                if answer.success[0]:
                    return text
        return None

    def _allowed(self, sample: Sample, texts: list[Text], number: int) -> Generator[Request, Any, list[Text]]:
        """Those inside the threat that keep the meaning."""
        made = inside(sample.threat, str(sample.text), texts)
        close = yield from close_in_meaning(sample.text, made, number, min_cosine=self.min_cosine, model=self.encoder)
        return close.texts


def _actions(text: Text) -> list[Action]:
    """Everything that may be done to a text; no words are chosen yet."""
    content = set(content_words(text))
    actions: list[Action] = []
    for number in range(len(text)):
        actions.append(Action("insert", number))
        if number in content:
            actions.append(Action("replace", number))
            if number + 1 in content:
                actions.append(Action("merge", number))
    return actions
