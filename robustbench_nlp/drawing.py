"""Asks a victim under several draws at once: what random victims are averaged over, and judged by."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from robustbench_nlp.data.example import Input
from robustbench_nlp.errors import VictimError
from robustbench_nlp.interrupts import batch_ended
from robustbench_nlp.victim import Probabilities, Victim

__all__ = ["Ask", "by_draw", "distinct", "drawn", "restored"]

Ask = Callable[[Sequence[Input], Sequence[int]], Probabilities]
"""Answers each input under the draw of the same place."""


def drawn(victim: Victim, inputs: Sequence[Input], draws: Sequence[int], *, exact: bool = False) -> Probabilities:
    """The answer to each input under the draw of the same place, float32 (n, classes), in as few calls as the victim takes them in;
    `exact`: in full precision, where it has that."""
    together = getattr(victim, "predict_drawn", None)
    if together is not None:
        answers: Probabilities = together(inputs, draws, exact)
        return answers
    if not victim.random:
        full = getattr(victim, "predict_full", None) or getattr(victim, "predict_exact", None) or victim.predict
        asked: Probabilities = full(inputs) if exact else victim.predict(inputs, 0)
        return asked
    return by_draw(victim.predict, inputs, draws)


def by_draw(
    predict: Callable[[Sequence[Input], int], Probabilities], inputs: Sequence[Input], draws: Sequence[int]
) -> Probabilities:
    """The same by a call for each draw that there is. Raises `VictimError` where the answers to one are too few or too many."""
    each = sorted(set(draws)) or [0]
    rows = [[row for row, other in enumerate(draws) if other == draw] for draw in each]
    parts = []
    for draw, own in zip(each, rows, strict=True):
        parts.append(predict([inputs[row] for row in own], draw))
        if np.shape(parts[-1])[:1] != (len(own),):
            raise VictimError(f"the victim returned shape {np.shape(parts[-1])}; ({len(own)}, classes) is wanted")
        batch_ended()
    return restored(parts, rows)


def restored(parts: Sequence[Probabilities], rows: Sequence[Sequence[int]]) -> Probabilities:
    """Parts put together so that each answer stands in its row."""
    found: Probabilities = np.concatenate([np.asarray(part, np.float32) for part in parts])
    return found[np.argsort(np.concatenate([np.array(part, np.int64) for part in rows]), kind="stable")]


def distinct(ask: Ask, inputs: Sequence[Input], draws: Sequence[int]) -> Probabilities:
    """Every distinct input and draw asked once."""
    pairs = list(zip(inputs, draws, strict=True))
    rows = {pair: row for row, pair in enumerate(dict.fromkeys(pairs))}
    if len(rows) == len(pairs):
        return ask(inputs, draws)
    return ask([item for item, _ in rows], [draw for _, draw in rows])[[rows[pair] for pair in pairs]]
