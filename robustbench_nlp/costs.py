"""What a defense costs: the time of its training, the texts that a prediction reads, and how long a prediction takes."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from math import isnan, nan
from pathlib import Path
from statistics import median
from typing import NamedTuple

from robustbench_nlp.data.example import Input
from robustbench_nlp.predictor import Predictor
from robustbench_nlp.victim import Victim

__all__ = ["READ", "Costs", "costs", "note_seconds", "seconds_trained"]

TIMED, FEWEST = 64, 16
"""Clean inputs whose answers are timed in one turn, both sides in one turn; the median of the turns' ratios counts. Fewer, and not
fewer than that, where an answer takes several draws: an input is read once for each."""
MOST, ENOUGH = 16, 1.0
"""Turns: the most, and after how many seconds no other begins. Each has inputs of its own, since defenses remember what they
rewrote; what the first one warms up isn't timed."""
READ = TIMED * (MOST + 1)
"""More inputs are never asked."""


class Costs(NamedTuple):
    """Beside the undefended victim; the table's last columns. NaN where a victim doesn't tell how long it was trained, where
    it fails on what would be timed, and where asking costs money. `forwards_per_prediction` is of one draw, `latency_ratio` of an
    answer with all its draws."""

    train_ratio: float
    forwards_per_prediction: int
    latency_ratio: float


def costs(defended: Victim, victim: Victim, inputs: Sequence[Input], *, draws: int = 1) -> Costs:
    """`train_ratio` is what defenses trained, every one of a chain and every member, over the victim's own training, in seconds;
    `draws` is how many make an answer of a random victim, as in `Predictor`."""
    added: float = getattr(defended, "added_seconds", 0.0)
    own: float = getattr(victim, "training_seconds", nan)
    return Costs(
        0.0 if added == 0 else added / own if own else nan,
        getattr(defended, "forwards_per_prediction", 1),
        1.0
        if defended is victim
        else nan
        if _priced(victim)
        else _ratio(Predictor(defended, draws=draws), Predictor(victim, draws=draws), inputs),
    )


def _priced(victim: Victim) -> bool:
    """Whether asking costs money: none is spent on taking times."""
    spending = getattr(victim, "spending", None)
    return spending is not None and spending.tariff.price is not None


def _ratio(defended: Predictor, undefended: Predictor, inputs: Sequence[Input]) -> float:
    """The time of an answer beside the undefended victim's; NaN where either side fails."""
    most = max(TIMED // max(defended.draws, undefended.draws), FEWEST)
    size = min(most, max(len(inputs) // 4, 1))
    first, *parts = [inputs[at : at + size] for at in range(0, len(inputs), size)][: MOST + 1] or [inputs]
    if any(side.predict(first).errors for side in (defended, undefended)):
        return nan
    start = time.perf_counter()
    ratios: list[float] = []
    for part in parts or [first]:
        if ratios and time.perf_counter() - start > ENOUGH:
            break
        mine, theirs = (_seconds(side, part) for side in (defended, undefended))
        ratios.append(mine / max(theirs, 1e-9))
    return nan if any(map(isnan, ratios)) else median(ratios)


def _seconds(predictor: Predictor, inputs: Sequence[Input]) -> float:
    start = time.perf_counter()
    failed = predictor.predict(inputs).errors
    return nan if failed else time.perf_counter() - start


def note_seconds(folder: Path, seconds: float) -> None:
    """Write beside a model's weights how long it was trained."""
    (folder / "training.json").write_text(json.dumps({"seconds": seconds}) + "\n", "utf-8")


def seconds_trained(folder: Path | None) -> float:
    """What `training.json` beside a model's weights says; NaN without one."""
    try:
        told = json.loads(((folder or Path()) / "training.json").read_text("utf-8"))
        return float(told["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return nan
