"""Differential evolution (Storn and Price, 1997): a population of real vectors that learns from its own differences."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from random import Random
from typing import Any, NamedTuple

from robustbench_nlp.attack import Request, Score, Scores, Steps
from robustbench_nlp.errors import UsageError
from robustbench_nlp.text import Text

__all__ = ["Bounds", "Decode", "Genome", "evolve"]

Genome = Sequence[float]
Bounds = Sequence[tuple[float, float]]
"""By gene: the lowest and the highest value."""
Decode = Callable[[Genome], "Text | None"]
"""The candidate that a genome stands for; None for a genome that stands for none. Whole numbers are got by rounding."""

_FLOOR = -1.0
"""The fitness of a genome that stands for no candidate: below every score."""


def evolve(
    bounds: Bounds,
    decode: Decode,
    rng: Random,
    *,
    population: int = 32,
    iterations: int = 10,
    crossover: float = 0.7,
    weights: tuple[float, float] = (0.5, 1.0),
) -> Steps:
    """Raise the score of the decoded candidates, one request a generation; the first confirmed success ends it.

    The scheme is best/1/bin with a differential weight drawn anew for each generation; genes that leave their bounds
    are drawn anew. No text is asked for twice, so a search takes at most `population * (iterations + 1)` queries.
    Raises `UsageError` for fewer than three members.
    """
    if population < 3:
        raise UsageError(f"differential evolution cannot work with {population} members; set population to 3 or more")
    known: dict[str, float] = {}
    members: list[list[float]] = [[rng.uniform(*bound) for bound in bounds] for _ in range(population)]
    fitness = [_FLOOR] * population
    trials = members
    for _ in range(iterations + 1):
        judged = yield from _judge(trials, decode, known)
        if judged.success is not None:
            return judged.success
        for i, score in enumerate(judged.fitness):
            if score >= fitness[i]:
                members[i], fitness[i] = trials[i], score
        best = members[max(range(population), key=fitness.__getitem__)]
        weight = rng.uniform(*weights)
        trials = [
            _trial(i, members, best, bounds, weight=weight, crossover=crossover, rng=rng) for i in range(population)
        ]
    return None


class _Judged(NamedTuple):
    fitness: list[float]
    success: Text | None


def _judge(genomes: Sequence[Genome], decode: Decode, known: dict[str, float]) -> Generator[Request, Any, _Judged]:
    """Ask for the texts that are not `known` yet, and add them to it."""
    texts = [decode(genome) for genome in genomes]
    fresh = {str(text): text for text in texts if text is not None and str(text) not in known}
    if fresh:
        answer: Scores = yield Score(list(fresh.values()))
        rows = zip(answer.score, answer.success, fresh.values(), strict=True)
        best = max((row for row in rows if row[1]), key=lambda row: row[0], default=None)
        if best is not None:
            return _Judged([], best[2])
        known.update(zip(fresh, answer.score, strict=True))
    return _Judged([_FLOOR if text is None else known[str(text)] for text in texts], None)


def _trial(
    number: int,
    members: Sequence[Genome],
    best: Genome,
    bounds: Bounds,
    *,
    weight: float,
    crossover: float,
    rng: Random,
) -> list[float]:
    """A member in which some genes, at least one, come from the best member moved by the difference of two others."""
    one, other = rng.sample([i for i in range(len(members)) if i != number], 2)
    always = int(rng.random() * len(bounds))
    trial = list(members[number])
    for gene, (low, high) in enumerate(bounds):
        if gene == always or rng.random() < crossover:
            value = best[gene] + weight * (members[one][gene] - members[other][gene])
            trial[gene] = value if low <= value <= high else rng.uniform(low, high)
    return trial
