"""Intervals and paired tests: each from its published closed form or exact distribution, no resampling."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from math import nan, sqrt
from typing import NamedTuple

from robustbench_nlp.errors import UsageError

__all__ = [
    "Interval",
    "crossed_difference",
    "crossed_mcnemar",
    "holm",
    "least_share",
    "mcnemar",
    "mean_difference",
    "paired_difference",
    "wilson",
    "wilson_at",
]


class Interval(NamedTuple):
    """The two ends of a confidence interval; both NaN where there is nothing to estimate from."""

    low: float
    high: float


@cache
def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """The score interval of a proportion (Wilson, 1927), within [0, 1]."""
    from scipy.stats import binomtest

    if n == 0:
        return Interval(nan, nan)
    ends = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return Interval(float(ends.low), float(ends.high))


def wilson_at(share: float, n: float, confidence: float = 0.95) -> Interval:
    """Wilson's interval of a share in [0, 1] that is worth `n` independent examples, a whole number or not."""
    from scipy.stats import norm

    if n <= 0:
        return Interval(nan, nan)
    z = float(norm.ppf((1 + confidence) / 2))
    middle, reach = share + z * z / (2 * n), z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(max((middle - reach) / (1 + z * z / n), 0.0), min((middle + reach) / (1 + z * z / n), 1.0))


def least_share(successes: int, n: int, alpha: float) -> float:
    """The one-sided bound of Clopper and Pearson (1934): a proportion lies below it with a chance of at most `alpha`."""
    from scipy.stats import binomtest

    return float(binomtest(successes, n, alternative="greater").proportion_ci(1 - alpha, method="exact").low)


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> float:
    """The exact two-sided p-value of McNemar's test (1947) that two verdicts on the same examples are equally often true.

    Raises `ValueError` where the lengths differ.
    """
    _, only_first, only_second, _ = _crossed(first, second)
    return crossed_mcnemar(only_first, only_second)


@cache
def crossed_mcnemar(only_first: int, only_second: int) -> float:
    """`mcnemar` from the counts of pairs that are true in the first only and in the second only."""
    from scipy.stats import binomtest

    split = only_first + only_second
    return float(binomtest(only_first, split).pvalue) if split else 1.0


def holm(chances: Sequence[float]) -> list[float]:
    """p-values adjusted for being several (Holm, 1979), by statsmodels. Raises `UsageError` without the extra `stats`."""
    if len(chances) < 2:
        return list(chances)
    try:
        from statsmodels.stats.multitest import multipletests
    except ImportError as problem:
        raise UsageError(
            "several tests are corrected by statsmodels; pip install 'robustbench-nlp[stats]'"
        ) from problem
    adjusted: list[float] = multipletests(chances, method="holm")[1].tolist()
    return adjusted


def paired_difference(first: Sequence[bool], second: Sequence[bool], confidence: float = 0.95) -> Interval:
    """The interval of P(first) − P(second) for two verdicts on the same examples, within [−1, 1].

    Method 10 of Newcombe (1998, Statistics in Medicine 17:2635): two Wilson intervals squared and added, with the
    continuity-corrected correlation; sound where no pair differs. Raises `ValueError` where the lengths differ.
    """
    return crossed_difference(*_crossed(first, second), confidence)


def crossed_difference(
    both: int, only_first: int, only_second: int, neither: int, confidence: float = 0.95
) -> Interval:
    """`paired_difference` from the counts of pairs that are true in both, in the first only, in the second only, in neither."""
    n = both + only_first + only_second + neither
    if n == 0:
        return Interval(nan, nan)
    p, q = (both + only_first) / n, (both + only_second) / n
    p_low, p_high = wilson(both + only_first, n, confidence)
    q_low, q_high = wilson(both + only_second, n, confidence)
    spread = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    covariance = float(both * neither - only_first * only_second)
    if covariance > 0:
        covariance = max(covariance - n / 2, 0.0)
    phi = covariance / sqrt(spread) if spread else 0.0

    def reach(a: float, b: float) -> float:
        return sqrt(max(a * a - 2 * phi * a * b + b * b, 0.0))

    return Interval(p - q - reach(p - p_low, q_high - q), p - q + reach(p_high - p, q - q_low))


def mean_difference(first: Sequence[float], second: Sequence[float], confidence: float = 0.95) -> Interval:
    """The t interval of mean(first − second) for numbers measured on the same examples, in their own unit.

    Raises `ValueError` where the lengths differ.
    """
    from scipy.stats import t

    differences = [float(a) - float(b) for a, b in zip(first, second, strict=True)]
    n = len(differences)
    if n < 2:
        return Interval(nan, nan)
    mean = sum(differences) / n
    error = sqrt(sum((d - mean) ** 2 for d in differences) / (n - 1) / n)
    reach = float(t.ppf((1 + confidence) / 2, n - 1)) * error
    return Interval(mean - reach, mean + reach)


def _crossed(first: Sequence[bool], second: Sequence[bool]) -> tuple[int, int, int, int]:
    """How many pairs are true in both, in the first only, in the second only, in neither."""
    pairs = Counter((bool(a), bool(b)) for a, b in zip(first, second, strict=True))
    return pairs[True, True], pairs[True, False], pairs[False, True], pairs[False, False]
