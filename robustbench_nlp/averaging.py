"""Several victims as one, which answers with the mean of their probabilities: what ensembles are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp.attack import Vocabulary
from robustbench_nlp.data.example import Input, content_hash
from robustbench_nlp.drawing import drawn, restored
from robustbench_nlp.errors import UsageError
from robustbench_nlp.gradients import averaged, gradients_at
from robustbench_nlp.victim import Placed, Probabilities, TokenGradients, Victim

__all__ = ["Averaged"]


class Averaged:
    """The mean of the members' probabilities, all of the same classes; `in_turns` each draw asks the next member alone, which makes a
    random victim whose draws have that mean, for the price of one member a draw.

    Of the optional capabilities it has those that all members have: `predict_exact`; `batch_size`, the smallest;
    `truncate`, the longest part; `mask_token`, where they agree; `gradients` and `vocabulary`, where the members share their
    embeddings, and then the loss is the mean of the members' losses; in turns, that of the draw's member. In turns it has no
    `predict_exact`.
    """

    def __init__(self, members: Sequence[Victim], *, in_turns: bool = False) -> None:
        """Raises `UsageError` where there is no member, or where they differ in their classes."""
        if not members or len({member.label_names for member in members}) > 1:
            raise UsageError("an ensemble needs members, all with the same label names; give at least one")
        self.name = members[0].name
        self.label_names = members[0].label_names
        self.random = in_turns or any(member.random for member in members)
        forwards = [getattr(member, "forwards_per_prediction", 1) for member in members]
        self.forwards_per_prediction: int = max(forwards) if in_turns else sum(forwards)
        self.added_seconds: float = sum(getattr(member, "added_seconds", 0.0) for member in members)
        self._members = list(members)
        self._in_turns = in_turns
        if sizes := self._all("batch_size"):
            self.batch_size: int = min(sizes)
        if len(set(masks := self._all("mask_token"))) == 1:
            self.mask_token: str | None = masks[0]
        if not in_turns and (exact := self._all("predict_exact")):
            self.predict_exact: Callable[[Sequence[Input]], Probabilities] = lambda inputs: _mean(
                [ask(inputs) for ask in exact]
            )
        if read := self._all("truncate"):
            self.truncate: Callable[[str], str] = lambda string: max((part(string) for part in read), key=len)
        if self._all("gradients") and _same_embeddings(known := self._all("vocabulary")):
            self.vocabulary: Vocabulary = known[0]
            self.gradients = self._gradients

    @property
    def fingerprint(self) -> str:
        kind = "in turns" if self._in_turns else "averaged"
        return content_hash(kind, *(member.fingerprint for member in self._members))[:16]

    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        """Mean probabilities, float32 (n, classes); in turns, those of the draw's member."""
        if self._in_turns:
            return self._members[draw % len(self._members)].predict(inputs, draw)
        return _mean([member.predict(inputs, draw) for member in self._members])

    def predict_drawn(self, inputs: Sequence[Input], draws: Sequence[int], exact: bool = False) -> Probabilities:
        """The same, each input under its own draw; in turns, a call a member."""
        if not self._in_turns:
            return _mean([drawn(member, inputs, draws, exact=exact) for member in self._members])
        rows = [
            [row for row, draw in enumerate(draws) if draw % len(self._members) == i] for i in range(len(self._members))
        ]
        asked = [(member, own) for member, own in zip(self._members, rows, strict=True) if own]
        parts = [drawn(member, [inputs[i] for i in own], [draws[i] for i in own], exact=exact) for member, own in asked]
        return restored(parts, [own for _, own in asked]) if parts else self.predict(inputs)

    def _gradients(
        self, inputs: Sequence[Input], labels: Sequence[int], placed: Sequence[Placed] | None = None, draw: int = 0
    ) -> list[TokenGradients]:
        asked = [self._members[draw % len(self._members)]] if self._in_turns else self._members
        return averaged(gradients_at(member, inputs, labels, placed, draw) for member in asked)

    def _all(self, capability: str) -> list[Any]:
        """The capability of each member, none where one lacks it."""
        found = [getattr(member, capability, None) for member in self._members]
        return [] if any(value is None for value in found) else found


def _mean(arrays: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    mean: NDArray[np.float32] = np.mean(arrays, axis=0, dtype=np.float32)
    return mean


def _same_embeddings(known: Sequence[Vocabulary]) -> bool:
    return bool(known) and all(
        other.words == known[0].words and np.array_equal(other.vectors, known[0].vectors) for other in known
    )
