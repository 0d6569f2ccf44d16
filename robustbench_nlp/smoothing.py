"""Smoothed victims: the vote of one victim over noisy copies of an input, and the certificates that the noise allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Protocol, runtime_checkable

import numpy as np

from robustbench_nlp.attack import Vocabulary
from robustbench_nlp.certificates import DEFAULT_SAMPLING, Certificate, Sampling, from_votes
from robustbench_nlp.data.example import Example, Input, content_hash, fields_of
from robustbench_nlp.drawing import Ask, distinct, drawn
from robustbench_nlp.errors import UsageError
from robustbench_nlp.gradients import inner_draws, over_copies
from robustbench_nlp.text import Text
from robustbench_nlp.training import Recipe, continue_training
from robustbench_nlp.victim import Placed, Probabilities, TokenGradients, Victim

__all__ = ["BoundedNoise", "CertifiedSmoothed", "Noise", "Smoothed", "replaced_words", "smooth"]

COPIES = 8_192
"""The most copies that go to the inner victim in one call, where it names no `batch_size`."""


class Noise(Protocol):
    """A random change of one string, told by the generator and the places of the words alone where it can be (`Smoothed`: common
    random numbers). A frozen dataclass: its repr and `version` are its identity."""

    @property
    def version(self) -> int: ...

    def draw(self, string: str, rng: Random) -> Text:
        """One noisy copy. Its slots are the string's: each holds what stands for that word, or nothing."""
        ...


@runtime_checkable
class BoundedNoise(Noise, Protocol):
    """A noise that hides edits: under it, nearby strings look alike with a probability that is known."""

    @property
    def edit(self) -> str:
        """What one edit is, in words."""
        ...

    def overlaps(self, string: str) -> list[float]:
        """Entry d: the least probability that the draws of the string and of any other at up to d edits can be made to be
        equal, by a common source of chance. Starts with 1, falls, and ends where more edits are impossible or hopeless (0.5)."""
        ...

    def edits(self, original: str, changed: str) -> int | None:
        """How many edits lie between two strings; None where edits can't lead from one to the other."""
        ...


class Smoothed:
    """`victim` asked about `samples` noisy copies of each input; each field gets its own noise.

    The answer is the shares of the copies' `votes`, else the mean of their probabilities; a search over draws is shown the mean all the
    same, since shares hide where to go without protecting, and whoever knows the victim knows the mean. Seeded by (seed, draw, copy),
    common random numbers (Glasserman and Yao, 1992): a search that compares texts sees what its change did and not which text was
    lucky, and copies that hide the change are asked once. With `random` off there is one draw for ever, so that an input has one answer.
    Of the optional capabilities `predict_exact` is kept where the answer doesn't change, and `vocabulary` and `gradients` where the inner
    victim has them: these are means over the copies, also those of votes. `forwards_per_prediction` counts copies.
    """

    def __init__(
        self, victim: Victim, noise: Noise, *, samples: int, votes: bool = True, seed: int = 0, random: bool = True
    ) -> None:
        """Raises `UsageError` for fewer than one sample."""
        if samples < 1:
            raise UsageError(f"smoothing asks about {samples} copies; give at least 1 as samples")
        self.name = victim.name
        self.label_names = victim.label_names
        self.random = random or victim.random
        self.added_seconds: float = getattr(victim, "added_seconds", 0.0)
        self.forwards_per_prediction: int = samples * getattr(victim, "forwards_per_prediction", 1)
        self._victim = victim
        self._noise = noise
        self._fresh = random
        self._seed = seed
        self._samples = samples
        self._votes = votes
        exact: Callable[[Sequence[Input]], Probabilities] | None = getattr(victim, "predict_exact", None)
        if not self.random and exact is not None:
            self.predict_exact: Callable[[Sequence[Input]], Probabilities] = lambda inputs: self._smoothed(
                inputs, [0] * len(inputs), lambda copies, _: exact(copies), votes=votes
            )
        if hasattr(victim, "gradients"):
            self.gradients = self._gradients
        if hasattr(victim, "vocabulary"):
            self.vocabulary: Vocabulary = victim.vocabulary

    @property
    def fingerprint(self) -> str:
        noise = [type(self._noise).__name__, repr(self._noise), self._noise.version]
        own = ["smoothed 3", noise, self._samples, self._votes, self._seed, self._fresh]
        return content_hash(self._victim.fingerprint, *own)[:16]

    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        """Shares of the votes, or mean probabilities, float32 (n, classes)."""
        return self._smoothed(inputs, [draw] * len(inputs), partial(drawn, self._victim), votes=self._votes)

    def predict_drawn(self, inputs: Sequence[Input], draws: Sequence[int], exact: bool = False) -> Probabilities:
        """The same, each input under its own draw, votes for the referee alone (`exact`): the copies of all draws go to the inner
        victim together."""
        return self._smoothed(inputs, draws, partial(drawn, self._victim, exact=exact), votes=self._votes and exact)

    def _smoothed(self, inputs: Sequence[Input], draws: Sequence[int], ask: Ask, *, votes: bool) -> Probabilities:
        seeds = {draw: self._seeds(self._samples, draw if self._fresh else 0) for draw in set(draws)}
        copies = [copy for item, draw in zip(inputs, draws, strict=True) for copy in self._copies(item, seeds[draw])]
        answers = self._answers(copies, [own for draw in draws for own in inner_draws(draw, self._samples)], ask)
        if votes:
            answers = np.eye(answers.shape[1], dtype=np.float32)[answers.argmax(axis=1)]
        mean: Probabilities = answers.reshape(len(inputs), self._samples, answers.shape[1]).mean(axis=1)
        return mean

    def _gradients(
        self, inputs: Sequence[Input], labels: Sequence[int], placed: Sequence[Placed] | None = None, draw: int = 0
    ) -> list[TokenGradients]:
        seeds = self._seeds(self._samples, draw if self._fresh else 0)
        copies = [[_drawn(self._noise, item, Random(seed)) for seed in seeds] for item in inputs]
        return over_copies(self._victim, inputs, copies, labels, placed=placed, draws=inner_draws(draw, self._samples))

    def _seeds(self, count: int, *key: object) -> list[int]:
        """Of so many copies."""
        rng = Random(int(content_hash(self._seed, *key)[:16], 16))
        return [rng.getrandbits(64) for _ in range(count)]

    def _copies(self, item: Input, seeds: Sequence[int]) -> list[Input]:
        return [_noisy(self._noise, item, Random(seed)) for seed in seeds]

    def _answers(self, copies: Sequence[Input], draws: Sequence[int], ask: Ask) -> Probabilities:
        """The inner victim's answers, every distinct copy asked once (under each draw, where it is random itself)."""
        step = getattr(self._victim, "batch_size", None) or COPIES

        def in_parts(items: Sequence[Input], own: Sequence[int]) -> Probabilities:
            starts = range(0, len(items) or 1, step)
            return np.concatenate([ask(items[start : start + step], own[start : start + step]) for start in starts])

        return distinct(in_parts, copies, draws if self._victim.random else [0] * len(copies))


class CertifiedSmoothed(Smoothed):
    """A vote of a deterministic victim under a bounded noise: it certifies. What is certified is the class that most of
    all possible copies vote for; `predict` estimates it from `samples` of them."""

    _noise: BoundedNoise

    @property
    def certified_edits(self) -> str:
        return self._noise.edit

    def certify(self, item: Input, sampling: Sampling = DEFAULT_SAMPLING) -> Certificate:
        """The certificate by fresh copies, whose chance is the input's own, `sampling.n0` to guess the class and `sampling.n` to bound
        its share."""
        guess = self._counts(item, sampling.n0, "guess", sampling.seed)
        votes = self._counts(item, sampling.n, "certify", sampling.seed)
        overlaps = _shared([self._noise.overlaps(field) for field in fields_of(item)])
        return from_votes(guess.index(max(guess)), votes, overlaps, sampling.alpha)

    def edits(self, original: Input, changed: Input) -> int | None:
        """The edits in all fields together; None where a field lies outside."""
        found = [self._noise.edits(*pair) for pair in zip(fields_of(original), fields_of(changed), strict=True)]
        return None if None in found else sum(count or 0 for count in found)

    def _counts(self, item: Input, count: int, *key: object) -> list[int]:
        copies = self._copies(item, self._seeds(count, item, *key))
        answers = self._answers(copies, [0] * count, lambda items, _: self._victim.predict(items, 0))
        counts: list[int] = np.bincount(answers.argmax(axis=1), minlength=answers.shape[1]).tolist()
        return counts


def _drawn(noise: Noise, item: Input, rng: Random) -> tuple[Text, ...]:
    """A copy's fields; each has a generator of its own, so that none hangs on the length of another."""
    return tuple(noise.draw(part, Random(rng.getrandbits(64))) for part in fields_of(item))


def _noisy(noise: Noise, item: Input, rng: Random) -> Input:
    copy = tuple(map(str, _drawn(noise, item, rng)))
    return copy[0] if isinstance(item, str) else copy


def _shared(curves: Sequence[Sequence[float]]) -> list[float]:
    """The least overlap of several fields by the edits in all of them together, however these are divided."""
    total: list[float] = [1.0]
    for curve in curves:
        worst = [1.0] * (len(total) + len(curve) - 1)
        for i, first in enumerate(total):
            for j, second in enumerate(curve):
                worst[i + j] = min(worst[i + j], first * second)
        total = worst
    return total


def smooth(
    victim: Victim,
    train: Sequence[Example],
    rng: Random,
    noise: Noise,
    *,
    kind: str,
    samples: int,
    votes: bool = True,
    recipe: Recipe | None = None,
) -> Smoothed:
    """The smoothed victim of a defense, which certifies where it can: votes under a bounded noise, of a victim that isn't random.

    With a `recipe` the victim first learns from copies with that noise. Raises `UsageError` for a victim without weights to train.
    """
    seed = rng.getrandbits(32)
    if recipe is not None:
        if getattr(victim, "folder", None) is None:
            raise UsageError(
                f"{kind} first trains the victim on its noise, and {victim.name} has no weights to train; "
                f"write {kind}(train=False) to put it around the victim as it is"
            )

        victim = continue_training(
            victim,
            train,
            seed,
            kind=kind,
            settings=[repr(noise), noise.version],
            recipe=recipe,
            augment=lambda inputs, chance: [_noisy(noise, item, chance) for item in inputs],
        )
    certifies = isinstance(noise, BoundedNoise) and not victim.random and votes
    make = CertifiedSmoothed if certifies else Smoothed
    return make(victim, noise, samples=samples, votes=votes, seed=seed)


def replaced_words(original: str, changed: str) -> list[tuple[str, str]] | None:
    """The (old, new) pairs of words that differ, where nothing but words changed and none came or went; else None."""
    before, after = Text(original), Text(changed)
    if _gaps(original, before) != _gaps(changed, after):
        return None
    return [(a, b) for a, b in zip(before.words, after.words, strict=True) if a != b]


def _gaps(string: str, text: Text) -> list[str]:
    """What stands before, between and after the words."""
    ends = [0, *(end for _, end in text.spans)]
    starts = [*(start for start, _ in text.spans), len(string)]
    return [string[end:start] for end, start in zip(ends, starts, strict=True)]
