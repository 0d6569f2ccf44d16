"""Asks a victim: checks every answer, isolates the input that breaks it, averages the draws of a random one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from robustbench_nlp.data.example import Input
from robustbench_nlp.drawing import drawn
from robustbench_nlp.errors import OutOfMemory, Unreachable, VictimError
from robustbench_nlp.gradients import averaged, gradients_at
from robustbench_nlp.interrupts import batch_ended
from robustbench_nlp.isolation import asked, isolated
from robustbench_nlp.victim import Placed, Probabilities, TokenGradients, Victim

__all__ = ["JUDGED", "Answers", "Predictor", "sound"]

SUM_TOLERANCE = 1e-2
TOGETHER = 8_192
"""Texts that a victim is asked about at once, each under every draw counted, where nothing else is said."""
JUDGED = 2
"""The version of how random victims are judged: by an odd number of votes, clean texts too; raised where that changes."""
FRESH = 1_000_000
"""The first draw number of the referee: never one that the search has seen."""


class Answers(NamedTuple):
    """Outputs (n, classes), and what went wrong by row number; the rows of failed inputs are NaN."""

    outputs: Probabilities
    errors: dict[int, VictimError]


class Predictor:
    """One victim behind checks. `draws` counts only for random victims; `cost` is the queries that one text costs."""

    def __init__(self, victim: Victim, *, draws: int = 1, batch_size: int | None = None) -> None:
        self.victim = victim
        self.draws = draws if victim.random else 1
        self.cost = self.draws
        self._together = self.draws if hasattr(victim, "predict_drawn") else 1
        self.classes: int | None = len(victim.label_names) or None
        self.batch_size = batch_size or getattr(victim, "batch_size", None)
        self.ahead = None if victim.random else getattr(victim, "predict_ahead", None)
        self.apart = None if victim.random else getattr(victim, "predict_apart", None)
        self._foreseen: dict[Input, Probabilities | VictimError] = {}

    def predict(self, inputs: Sequence[Input]) -> Answers:
        """The search's answers: in the victim's own precision, averaged over the draws."""
        errors: dict[int, VictimError] = {}
        parts = self._in_batches(inputs, errors)
        classes = self.classes or 2
        rows = [np.broadcast_to(part, (len(part), classes)) for part in parts] or [np.zeros((0, classes), np.float32)]
        return Answers(np.concatenate(rows), errors)

    def gradients(
        self, inputs: Sequence[Input], labels: Sequence[int], placed: Sequence[Placed] | None = None
    ) -> list[TokenGradients]:
        """The gradients of a victim that has them, averaged over the draws of a random one."""
        if not inputs:
            return []
        if self.draws == 1:
            return gradients_at(self.victim, inputs, labels, placed, 0)
        return averaged(gradients_at(self.victim, inputs, labels, placed, draw) for draw in range(self.draws))

    def counted(self, inputs: Sequence[Input]) -> Answers:
        """What counts of texts without an attack: the search's answers, of a random victim the referee's."""
        if not self.victim.random:
            return self.predict(inputs)
        outputs = np.full((len(inputs), self.classes or 2), np.nan, np.float32)
        errors: dict[int, VictimError] = {}
        for row, item in enumerate(inputs):
            try:
                outputs[row] = self.exact(item)
            except VictimError as problem:
                errors[row] = problem
        return Answers(outputs, errors)

    def begin(self, inputs: Sequence[Input]) -> Callable[[], Answers]:
        """`predict`, begun now where the victim can do that (`ahead`): what is returned waits for the answers. If anything is wrong
        with them, all is asked again in the ordinary way, which finds out whose fault that is. Raises `UsageError`."""
        ahead = self.ahead
        if ahead is None or not inputs:
            return lambda: self.predict(inputs)
        size = self.batch_size or len(inputs)
        batches = [inputs[start : start + size] for start in range(0, len(inputs), size)]
        try:
            begun = [(batch, asked("the victim", partial(ahead, batch))) for batch in batches]
        except VictimError:
            return lambda: self.predict(inputs)

        def answers() -> Answers:
            try:
                parts = [self._checked(batch, wait) for batch, wait in begun]
            except VictimError:
                return self.predict(inputs)
            return Answers(np.concatenate(parts), {})

        return answers

    def foresee(self, inputs: Sequence[Input]) -> None:
        """Ask now, side by side, what `exact` will be asked next, where the victim can do that (`apart`)."""
        if self.apart is not None and len(inputs) > 1:
            self._foreseen = dict(zip(inputs, self.apart(inputs), strict=True))

    def exact(self, item: Input) -> Probabilities:
        """The referee's answer for one input, alone and in full precision; for a random victim the shares of the votes
        of fresh draws, of an odd number, lest two classes tie. Raises `VictimError`."""
        if self.victim.random:
            fresh = range(FRESH, FRESH + self.draws + 1 - self.draws % 2)
            answers = self._under_all([item], fresh, exact=True)
            shares = np.bincount(answers.argmax(axis=1), minlength=self.classes or 0) / len(fresh)
            return shares.astype(np.float32)
        answer = self._foreseen.pop(item, None)
        if isinstance(answer, VictimError):
            raise answer
        exact = getattr(self.victim, "predict_exact", None) or (
            lambda items: drawn(self.victim, items, [0] * len(items), exact=True)
        )
        row: Probabilities = self._checked([item], lambda: exact([item]) if answer is None else answer)[0]
        return row

    def _in_batches(self, inputs: Sequence[Input], errors: dict[int, VictimError]) -> list[Probabilities]:
        """The answers in order, in parts; a part that failed is a column of NaN. Where a batch is more than the memory holds, it and
        all later ones are half as large."""
        parts: list[Probabilities] = []
        start = 0
        while start < len(inputs):
            most = self.batch_size or max(len(inputs), TOGETHER)
            batch = inputs[start : start + max(most // self._together, 1)]
            try:
                parts += self._isolated(batch, start, errors)
                start += len(batch)
            except OutOfMemory:
                self.batch_size = len(batch) // 2 * self._together
            batch_ended()
        return parts

    def _isolated(self, inputs: Sequence[Input], start: int, errors: dict[int, VictimError]) -> list[Probabilities]:
        """Predict; where that fails, halve until the inputs that fail stand alone. Raises `OutOfMemory` for more than one."""
        found: list[Probabilities] = []
        for part in isolated(inputs, self._averaged, whole=(Unreachable,), raised=(OutOfMemory,), start=start):
            if isinstance(part.answer, VictimError):
                errors.update(dict.fromkeys(range(part.start, part.start + part.size), part.answer))
                found.append(np.full((part.size, 1), np.nan, np.float32))
            else:
                found.append(part.answer)
        return found

    def _averaged(self, inputs: Sequence[Input]) -> Probabilities:
        """The mean over the draws, which the victim is asked for together."""
        if not self.victim.random:
            return self._checked(inputs, lambda: self.victim.predict(inputs, 0))
        answers = self._under_all(inputs, range(self.draws), exact=False)
        mean: Probabilities = answers.reshape(len(inputs), self.draws, -1).mean(axis=1)
        return mean

    def _under_all(self, inputs: Sequence[Input], draws: Sequence[int], *, exact: bool) -> Probabilities:
        """Each input's answers under all draws; one input's one by one where together they are more than the memory holds."""
        items, own = [item for item in inputs for _ in draws], [*draws] * len(inputs)
        try:
            return self._checked(items, lambda: drawn(self.victim, items, own, exact=exact))
        except OutOfMemory:
            if len(inputs) > 1 or len(draws) == 1:
                raise
        return np.concatenate([self._under_all(inputs, [draw], exact=exact) for draw in draws])

    def _checked(self, inputs: Sequence[Input], ask: Callable[[], Probabilities]) -> Probabilities:
        outputs = sound(asked("the victim", ask), len(inputs), self.classes)
        self.classes = outputs.shape[1]
        return outputs


def sound(answer: object, inputs: int, classes: int | None) -> Probabilities:
    """A victim's answer to so many inputs as probabilities, float32 (inputs, classes). Raises `VictimError` for anything else;
    where `classes` is None any number from two on is right."""
    try:
        outputs: Probabilities = np.asarray(answer, dtype=np.float32)
    except (TypeError, ValueError) as problem:
        raise VictimError(f"the victim's answer is no array of numbers: {problem}") from problem
    expected = f"({inputs}, {classes or 'classes'})"
    if outputs.ndim != 2 or outputs.shape[0] != inputs or outputs.shape[1] != (classes or outputs.shape[1]):
        raise VictimError(f"the victim returned shape {outputs.shape}; {expected} is wanted")
    if outputs.shape[1] < 2:
        raise VictimError("the victim returned one column; return a probability for each class, at least two")
    if not np.isfinite(outputs).all():
        raise VictimError("the victim returned NaN or infinity")
    totals = outputs.sum(axis=1)
    if outputs.min(initial=0.0) < -SUM_TOLERANCE or np.abs(totals - 1.0).max(initial=0.0) > SUM_TOLERANCE:
        raise VictimError("the victim's rows don't sum to 1: these look like logits; return probabilities (softmax)")
    return outputs
