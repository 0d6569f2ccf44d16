"""Genetic search over word slots: a population of texts, parents chosen by score, crossed, and mutated at one word."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import exp
from random import Random
from typing import Any, Literal, NamedTuple

from robustbench_nlp.attack import Request, Steps
from robustbench_nlp.search.greedy import Candidates
from robustbench_nlp.search.tried import Tried, choices_of
from robustbench_nlp.text import Text

__all__ = ["Evolution", "Slots", "Words", "evolve"]

Words = tuple[str, ...]
_DRAWS = 10
"""Words drawn for a mutation until one can be changed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evolution:
    """How a population evolves.

    Parents are drawn by score, or by exp(score / `temperature`). A child takes each word from either parent ("uniform"),
    or all words before a random place from the first and the rest from the second ("one_cut"). The first population
    changes one drawn word of each member ("draws"), or each word once ("words"). Words are drawn evenly, or by how
    many candidates they have (`weighted`). In one line of descent a word is replaced at most `replacements` times
    (None: any number), by candidates of the original word or, if `chained`, of the word that stands there.
    """

    population: int = 60
    generations: int = 20
    temperature: float | None = None
    crossover: Literal["uniform", "one_cut"] = "uniform"
    first: Literal["draws", "words"] = "draws"
    weighted: bool = True
    replacements: int | None = 1
    chained: bool = False


class Member(NamedTuple):
    """The words in the slots that have candidates, how often each was replaced, and the text's score."""

    words: Words
    times: tuple[int, ...]
    score: float = 0.0


class Slots:
    """The slots of a text that have candidates; a text that differs from it only there is the tuple of its words in them.

    `allowed` says which texts are inside the threat.
    """

    def __init__(
        self, text: Text, numbers: Iterable[int], candidates: Candidates, allowed: Callable[[Text], bool]
    ) -> None:
        choices = choices_of(text, numbers, candidates)
        self.numbers = list(choices)
        self.choices = list(choices.values())
        self.origin: Words = tuple(text.word(number) for number in choices)
        self._text = text
        self._candidates = candidates
        self._allowed = allowed

    def text(self, words: Words) -> Text:
        """The text with these words in the slots."""
        return self._text.replace(dict(zip(self.numbers, words, strict=True)))

    def others(self, text: Text, place: int, chained: bool = False) -> list[str]:
        """What may stand at a place of the text instead: candidates of the original word, or of the present one if `chained`."""
        number = self.numbers[place]
        here = text.word(number)
        if chained or here == self.origin[place]:
            return [other.word(number) for other in self._candidates(text, number)]
        return [word for word in self.choices[place] if word != here and self._allowed(text.swap(number, word))]

    def shrunk(self, words: Words, rng: Random) -> Words:
        """The words with as few of them, drawn at random, put back to the original as it takes to be allowed."""
        if self._allowed(self.text(words)):
            return words
        result = list(words)
        changed = [place for place, word in enumerate(words) if word != self.origin[place]]
        for place in rng.sample(changed, len(changed)):
            result[place] = self.origin[place]
            if self._allowed(self.text(tuple(result))):
                break
        return tuple(result)


def evolve(
    text: Text,
    clean: float,
    numbers: Sequence[int],
    candidates: Candidates,
    rng: Random,
    *,
    how: Evolution = Evolution(),
    allowed: Callable[[Text], bool] = lambda text: True,
) -> Steps:
    """Evolve texts until one fools the victim or nothing new comes; each generation is one request.

    It holds every child and, with one of its words changed, all its mutants; the best of them takes the child's place.
    The best member lives on. `allowed` says which crossed texts are inside the threat; others lose changes until they are.
    """
    slots = Slots(text, numbers, candidates, allowed)
    if not slots.numbers:
        return None
    breeder = _Breeder(slots, rng, how)
    tried = Tried(text, clean)
    origin = Member(slots.origin, (0,) * len(slots.origin), clean)
    if how.first == "words":
        places = range(len(slots.numbers))
        first: Iterable[int | None] = rng.sample(places, min(how.population, len(places)))
    else:
        first = [None] * how.population
    members = yield from _grown(breeder, tried, [(origin, place) for place in first])
    for _ in range(how.generations):
        if tried.over:
            break
        elite = max(members, key=lambda member: member.score)
        children = breeder.children(members, how.population - 1)
        members = [elite, *(yield from _grown(breeder, tried, [(child, None) for child in children]))]
    return tried.success


def _grown(
    breeder: _Breeder, tried: Tried, children: Sequence[tuple[Member, int | None]]
) -> Generator[Request, Any, list[Member]]:
    """Each child or the best of its mutants at the given place (None: drawn), whichever scores higher; one request."""
    litters = [[child, *breeder.mutants(child, place)] for child, place in children]
    answers = iter((yield from tried.ask(breeder.slots.text(member.words) for litter in litters for member in litter)))
    if tried.success is not None:
        return []
    scored = ([member._replace(score=next(answers)) for member in litter] for litter in litters)
    return [max(litter, key=lambda member: member.score) for litter in scored]


class _Breeder:
    """Makes members of a population from one another."""

    def __init__(self, slots: Slots, rng: Random, how: Evolution) -> None:
        self.slots = slots
        self._rng = rng
        self._how = how

    def children(self, members: Sequence[Member], count: int) -> Iterator[Member]:
        """Children of parents drawn by score (evenly if all scores are zero)."""
        hot = self._how.temperature
        weights = [member.score if hot is None else exp(member.score / hot) for member in members]
        if not any(weights):
            weights = [1.0] * len(members)
        for _ in range(count):
            yield self._crossed(*self._rng.choices(members, weights, k=2))

    def _crossed(self, one: Member, other: Member) -> Member:
        size = len(one.words)
        if self._how.crossover == "uniform":
            second = [self._rng.random() < 0.5 for _ in range(size)]
        else:
            cut = self._rng.randint(0, size)
            second = [place >= cut for place in range(size)]
        words = tuple(b if take else a for a, b, take in zip(one.words, other.words, second, strict=True))
        times = tuple(b if take else a for a, b, take in zip(one.times, other.times, second, strict=True))
        kept = self.slots.shrunk(words, self._rng)
        return Member(kept, tuple(n if a == b else 0 for n, a, b in zip(times, words, kept, strict=True)))

    def mutants(self, member: Member, place: int | None) -> list[Member]:
        """The member with the word at one place changed in every way; a few places are drawn until one can be."""
        if place is not None:
            return self._changed(member, place)
        most = self._how.replacements
        weights = [
            (len(found) if self._how.weighted else 1) * (most is None or times < most)
            for found, times in zip(self.slots.choices, member.times, strict=True)
        ]
        for _ in range(_DRAWS if any(weights) else 0):
            (place,) = self._rng.choices(range(len(weights)), weights)
            if found := self._changed(member, place):
                return found
        return []

    def _changed(self, member: Member, place: int) -> list[Member]:
        times = (*member.times[:place], member.times[place] + 1, *member.times[place + 1 :])
        others = self.slots.others(self.slots.text(member.words), place, self._how.chained)
        return [Member((*member.words[:place], word, *member.words[place + 1 :]), times) for word in others]
