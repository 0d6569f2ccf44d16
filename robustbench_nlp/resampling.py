"""Differences by the bootstrap (Efron, 1979): examples are drawn anew, with what both sides did to them, by scipy.

For what has no closed form, above all attack success rates: each is a ratio whose denominator, the attempted examples, is
itself left to chance and differs between the sides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp.records import Record
from robustbench_nlp.stats import Interval

__all__ = ["FEWEST", "RESAMPLES", "Resampled", "bootstrap_difference", "success_rate_difference"]

RESAMPLES = 9999
FEWEST = 10
"""Examples that became something else on the other side, for a p-value of attack success rates."""
_BATCH = 1000
"""Resamples at a time: so many times n numbers stand in memory."""

Statistic = Callable[..., NDArray[np.float64]]


class Resampled(NamedTuple):
    """A difference, its percentile interval, and the two-sided p-value that the same resamples give; all NaN where there is
    nothing to divide by, interval and p also where no resample differs from another."""

    difference: float
    interval: Interval
    p: float


def bootstrap_difference(
    first: Sequence[float],
    second: Sequence[float],
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Resampled:
    """mean(first) − mean(second) for verdicts or numbers on the same examples, resampled in pairs.

    Raises `ValueError` where the lengths differ.
    """
    a, b = np.asarray(first, float), np.asarray(second, float)
    if a.shape != b.shape:
        raise ValueError(f"one side has {len(a)} examples, the other {len(b)}: one is shorter")
    return _resampled((a - b,), lambda d, axis: d.mean(axis), confidence, resamples, seed)


def success_rate_difference(
    first: Mapping[str, Record],
    second: Mapping[str, Record],
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Resampled:
    """The first attack success rate less the second, of records by example: successes / attempted on each side.

    Resampled are the examples that both have, with what became of them on both sides, so that what the sides share and what
    changes with the clean accuracy is in the interval. There is no p where fewer than `FEWEST` examples differ in their fate:
    resampling k flips one way takes their chance for 2·e⁻ᵏ, which is 2·2⁻ᵏ.
    """
    shared = [identity for identity in first if identity in second]
    sides = ((records[identity].outcome for identity in shared) for records in (first, second))
    counts = [
        np.array([outcome in kinds for outcome in outcomes], float)
        for outcomes in map(list, sides)
        for kinds in (("success",), ("success", "failed"))
    ]

    def statistic(won: Any, tried: Any, lost: Any, met: Any, axis: int) -> NDArray[np.float64]:
        with np.errstate(divide="ignore", invalid="ignore"):
            rates: NDArray[np.float64] = won.sum(axis) / tried.sum(axis) - lost.sum(axis) / met.sum(axis)
        return rates

    found = _resampled(tuple(counts), statistic, confidence, resamples, seed)
    differ = int((np.abs(counts[0] - counts[2]) + np.abs(counts[1] - counts[3]) > 0).sum())
    return found if differ >= FEWEST else found._replace(p=float("nan"))


def _resampled(
    data: tuple[NDArray[np.float64], ...], statistic: Statistic, confidence: float, resamples: int, seed: int
) -> Resampled:
    from scipy.stats import bootstrap

    nothing = Interval(float("nan"), float("nan"))
    n = len(data[0])
    difference = float(statistic(*data, axis=0)) if n else float("nan")
    if n < 2 or np.isnan(difference):
        return Resampled(difference, nothing, float("nan"))
    drawn = bootstrap(
        data,
        statistic,
        paired=True,
        vectorized=True,
        n_resamples=resamples,
        batch=_BATCH,
        method="percentile",
        random_state=np.random.default_rng(seed),
    ).bootstrap_distribution
    known = drawn[~np.isnan(drawn)].round(12)  # a difference of none is 0, whatever the order of the sums
    if not len(known) or np.ptp(known) == 0:
        return Resampled(difference, nothing, float("nan"))
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    beyond = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return Resampled(difference, Interval(float(low), float(high)), min(1.0, 2 * (beyond + 1) / (len(known) + 1)))
