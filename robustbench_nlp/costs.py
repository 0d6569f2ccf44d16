"""What a defense costs: the time of its training, the texts that a prediction reads, and how long a prediction takes."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from math import inf, nan
from pathlib import Path
from typing import NamedTuple

from robustbench_nlp.data.example import Input
from robustbench_nlp.predictor import Predictor
from robustbench_nlp.victim import Victim

__all__ = ["Costs", "costs", "seconds_trained"]

TIMED = 64
"""Clean inputs whose prediction is timed, the two sides in turns; each side's shortest time counts."""
FEWEST, MOST, ENOUGH = 1, 20, 1.0
"""Turns after a first that warms up: the fewest and the most, and after how many seconds no other begins. A quick victim on a busy
machine needs many."""


class Costs(NamedTuple):
    """Beside the undefended victim; the table's last columns. NaN where a victim doesn't tell how long it was trained, and where
    it fails on what would be timed."""

    train_ratio: float
    forwards_per_prediction: int
    latency_ratio: float


def costs(defended: Victim, victim: Victim, inputs: Sequence[Input]) -> Costs:
    """`train_ratio` is the defense's own training over the victim's, in seconds of training."""
    mine, theirs = (getattr(side, "training_seconds", nan) for side in (defended, victim))
    timed = list(inputs[:TIMED])
    return Costs(
        0.0 if mine == theirs or defended is victim else mine / theirs if theirs else nan,
        getattr(defended, "forwards_per_prediction", 1),
        1.0 if defended is victim else _ratio(defended, victim, timed),
    )


def _ratio(defended: Victim, victim: Victim, inputs: Sequence[Input]) -> float:
    """The time of predicting the inputs beside the undefended victim's; NaN where either fails."""
    if any(Predictor(side).predict(inputs).errors for side in (defended, victim)):
        return nan
    least = [inf, inf]
    start = time.perf_counter()
    for turn in range(MOST):
        if turn >= FEWEST and time.perf_counter() - start > ENOUGH:
            break
        least = [min(known, _seconds(side, inputs)) for known, side in zip(least, (defended, victim), strict=True)]
    return least[0] / max(least[1], 1e-9)


def _seconds(victim: Victim, inputs: Sequence[Input]) -> float:
    predictor = Predictor(victim)
    start = time.perf_counter()
    predictor.predict(inputs)
    return time.perf_counter() - start


def seconds_trained(folder: Path | None) -> float:
    """What `training.json` beside a model's weights says; NaN without one."""
    try:
        told = json.loads(((folder or Path()) / "training.json").read_text("utf-8"))
        return float(told["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return nan
