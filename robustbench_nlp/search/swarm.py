"""Particle swarm search over word slots (Zang et al., 2020): texts drift towards the best that they and all have seen."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from math import exp
from operator import ne
from random import Random
from statistics import fmean
from typing import Any, Literal, NamedTuple

from robustbench_nlp.attack import Request, Steps
from robustbench_nlp.search.genetic import Slots, Words
from robustbench_nlp.search.greedy import Candidates
from robustbench_nlp.search.tried import Tried
from robustbench_nlp.text import Text

__all__ = ["LIMIT", "Flight", "Weather", "falling", "sigmoids", "swarm", "uniform_velocity"]

LIMIT = 3.0
"""The size of the largest first velocity, and the pull of a word that differs from an elite's (a word that agrees: the
opposite)."""
_MANY = 10
"""A word's chance of being mutated grows with its candidates up to this many."""


class Weather(NamedTuple):
    """What inertia may depend on: the share of the iterations that is over, a particle's score, and the mean and the least
    score of the first positions."""

    progress: float
    score: float
    mean: float
    least: float


def uniform_velocity(rng: Random) -> float:
    """A particle's first velocity, the same at all words."""
    return rng.uniform(-LIMIT, LIMIT)


def falling(weather: Weather, rng: Random) -> float:
    """Inertia that falls from 0.8 to 0.2."""
    return 0.8 - 0.6 * weather.progress


def sigmoids(velocity: Sequence[float]) -> list[float]:
    """The probability of turning each word: its velocity's sigmoid."""
    return [1 / (1 + exp(-speed)) for speed in velocity]


@dataclass(frozen=True, kw_only=True, slots=True)
class Flight:
    """How particles fly.

    They start from mutations of the original, or from the best changes of its words, drawn by what these gain ("gains").
    A mutation tries the candidates of one drawn, unchanged "word" or of "all" words; its probability is 1 − 2 × the share
    of words in which the particle differs from the "original" or from its own "best" position.
    """

    particles: int = 60
    iterations: int = 20
    velocity: Callable[[Random], float] = uniform_velocity
    inertia: Callable[[Weather, Random], float] = falling
    turning: Callable[[Sequence[float]], list[float]] = sigmoids
    first: Literal["mutations", "gains"] = "mutations"
    mutation: Literal["word", "all"] = "word"
    away_from: Literal["original", "best"] = "original"


def swarm(
    text: Text,
    clean: float,
    numbers: Sequence[int],
    candidates: Candidates,
    rng: Random,
    *,
    how: Flight = Flight(),
    allowed: Callable[[Text], bool] = lambda text: True,
) -> Steps:
    """Fly particles until one fools the victim or nothing new comes: a request for all moves of an iteration, and one for all its mutations.

    Candidates are always those of the original word. `allowed` says which positions are inside the threat; from others
    changes are taken back until they are.
    """
    slots = Slots(text, numbers, candidates, allowed)
    if not slots.numbers:
        return None
    tried = Tried(text, clean)
    space = _Space(slots, rng, how)
    if how.first == "gains":
        positions, scores = yield from _by_gain(space, tried, clean)
    else:
        start = [slots.origin] * how.particles
        positions, scores = yield from _mutated(space, tried, start, [clean] * how.particles, [1.0] * how.particles)
    best, best_scores = list(positions), list(scores)
    first = fmean(scores or [0.0]), min(scores, default=0.0)
    velocities = [[how.velocity(rng)] * len(slots.origin) for _ in positions]
    for iteration in range(how.iterations if positions else 0):
        progress = iteration / how.iterations
        leader = best[best_scores.index(max(best_scores))]
        for i, position in enumerate(positions):
            inertia = how.inertia(Weather(progress, scores[i], *first), rng)
            positions[i] = space.moved(position, (best[i], leader), velocities[i], inertia, progress)
        scores = yield from tried.ask(map(slots.text, positions))
        if tried.success is not None:
            break
        centres = [slots.origin] * len(positions) if how.away_from == "original" else best
        chances = [1 - 2 * sum(map(ne, a, b)) / len(text) for a, b in zip(positions, centres, strict=True)]
        positions, scores = yield from _mutated(space, tried, positions, scores, chances)
        if tried.over:
            break
        for i, score in enumerate(scores):
            if score > best_scores[i]:
                best[i], best_scores[i] = positions[i], score
    return tried.success


def _mutated(
    space: _Space, tried: Tried, positions: Sequence[Words], scores: Sequence[float], chances: Sequence[float]
) -> Generator[Request, Any, tuple[list[Words], list[float]]]:
    """Each position, by its chance, or the best of its mutants where that scores higher; one request. Empty after a success."""
    moves = [
        space.mutations(position) if space.rng.random() < chance else []
        for position, chance in zip(positions, chances, strict=True)
    ]
    pairs = zip(positions, moves, strict=True)
    answers = iter((yield from tried.ask(text for position, some in pairs for text in space.mutants(position, some))))
    if tried.success is not None:
        return [], []
    made = []
    for position, score, some in zip(positions, scores, moves, strict=True):
        reached = [next(answers) for _ in some]
        top = max(reached, default=score)
        made.append((_after(position, some[reached.index(top)]), top) if top > score else (position, score))
    return [words for words, _ in made], [score for _, score in made]


def _by_gain(space: _Space, tried: Tried, clean: float) -> Generator[Request, Any, tuple[list[Words], list[float]]]:
    """The original with the best change of one word, drawn in proportion to its gain; evenly where nothing gains."""
    moves = [Move(place, word) for place, words in enumerate(space.slots.choices) for word in words]
    scores = yield from tried.ask(space.mutants(space.slots.origin, moves))
    if tried.success is not None:
        return [], []
    best: dict[int, tuple[float, Move]] = {}
    for move, score in zip(moves, scores, strict=True):
        if move.place not in best or score > best[move.place][0]:
            best[move.place] = score, move
    rows = list(best.values())
    gains = [max(score - clean, 0.0) for score, _ in rows]
    drawn = space.rng.choices(rows, gains if any(gains) else None, k=space.how.particles)
    return [_after(space.slots.origin, move) for _, move in drawn], [score for score, _ in drawn]


class Move(NamedTuple):
    """Another word in one of the slots that have candidates."""

    place: int
    word: str


def _after(position: Words, move: Move) -> Words:
    return (*position[: move.place], move.word, *position[move.place + 1 :])


class _Space:
    """Where particles fly, and how they move and mutate."""

    def __init__(self, slots: Slots, rng: Random, how: Flight) -> None:
        self.slots = slots
        self.rng = rng
        self.how = how

    def moved(
        self, position: Words, elites: tuple[Words, Words], velocity: list[float], inertia: float, progress: float
    ) -> Words:
        """Where the particle flies between its own best position and the best of all; its velocity is updated in place."""
        for place, word in enumerate(position):
            pull = sum(LIMIT if word != elite[place] else -LIMIT for elite in elites)
            velocity[place] = inertia * velocity[place] + (1 - inertia) * pull
        turning = self.how.turning(velocity)
        for elite, chance in zip(elites, (0.8 - 0.6 * progress, 0.2 + 0.6 * progress), strict=True):
            if self.rng.random() < chance:
                pairs = zip(position, elite, turning, strict=True)
                position = tuple(new if self.rng.random() < turn else old for old, new, turn in pairs)
        return self.slots.shrunk(position, self.rng)

    def mutations(self, position: Words) -> list[Move]:
        """The changes that one mutation tries: of one unchanged word, drawn, or of all words."""
        text = self.slots.text(position)
        if self.how.mutation == "all":
            return [Move(place, word) for place in range(len(position)) for word in self.slots.others(text, place)]
        weights = [
            min(len(found), _MANY) * (word == old)
            for found, word, old in zip(self.slots.choices, position, self.slots.origin, strict=True)
        ]
        if not any(weights):
            return []
        (place,) = self.rng.choices(range(len(weights)), weights)
        return [Move(place, word) for word in self.slots.others(text, place)]

    def mutants(self, position: Words, moves: Sequence[Move]) -> Iterable[Text]:
        """The position's text after each of the moves."""
        text = self.slots.text(position)
        return (text.swap(self.slots.numbers[place], word) for place, word in moves)
