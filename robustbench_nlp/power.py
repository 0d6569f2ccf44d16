"""How large a difference a paired comparison can see, and how many examples it takes to see one.

The normal approximation of McNemar's test (Connor, 1987, Biometrics 43:207): with a share d of the examples on which the two
sides differ, a difference δ of the accuracies is found with the wanted power by
n = (z(1−α/2)·√d + z(power)·√(d − δ²))² / δ² examples.

And of a non-inferiority gate, which asks on which side of a tolerance a drop lies: the one-sided bound of a true drop δ passes
the tolerance τ with the chance Φ(|δ − τ|·√n / √(d − δ²) − z(1−α)) (Liu et al., 2002, Statistics in Medicine 21:231).
"""

from __future__ import annotations

from math import ceil, sqrt

__all__ = ["detectable", "gate_needed", "gate_power", "needed"]


def needed(difference: float, discordant: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """The examples that it takes to find a difference of two accuracies, both in [0, 1], where the sides differ on the share
    `discordant`. Raises `ValueError` where the difference is 0 or larger than what the sides differ on."""
    from scipy.stats import norm

    if not 0 < difference <= discordant <= 1:
        raise ValueError(
            f"a difference of {difference} needs sides that differ on more than {discordant} of the examples"
        )
    reach = norm.ppf(1 - alpha / 2) * sqrt(discordant) + norm.ppf(power) * sqrt(discordant - difference**2)
    return ceil(float(reach) ** 2 / difference**2)


def detectable(n: int, discordant: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest difference that `n` examples find with the wanted power; NaN where not even the largest one is found."""
    from scipy.optimize import brentq

    if n < 1 or discordant <= 0 or needed(discordant, discordant, alpha=alpha, power=power) > n:
        return float("nan")
    low = discordant / 1e4
    if needed(low, discordant, alpha=alpha, power=power) <= n:
        return low

    def missing(difference: float) -> float:
        return needed(difference, discordant, alpha=alpha, power=power) - n - 0.5

    return float(brentq(missing, low, discordant))


def gate_power(n: int, drop: float, tolerance: float, discordant: float, *, alpha: float = 0.05) -> float:
    """The chance that a gate on `n` examples settles a true drop: as a failure where it lies beyond the tolerance, as a pass
    where it lies within; `discordant` is the share of examples whose verdict flips, either way.

    Raises `ValueError` where the drop is larger than what the sides differ on.
    """
    from scipy.stats import norm

    if not abs(drop) <= discordant <= 1:
        raise ValueError(f"a drop of {drop} needs more than {discordant} of the examples to flip")
    spread = sqrt(discordant - drop**2)
    if spread == 0:
        return float(drop != tolerance)
    return float(norm.cdf(abs(drop - tolerance) * sqrt(n) / spread - norm.ppf(1 - alpha)))


def gate_needed(
    drop: float, tolerance: float, discordant: float, *, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """The examples with which `gate_power` reaches `power`; None where the drop is the tolerance, which no number settles.

    Raises `ValueError` where the drop is larger than what the sides differ on.
    """
    from scipy.stats import norm

    if not abs(drop) <= discordant <= 1:
        raise ValueError(f"a drop of {drop} needs more than {discordant} of the examples to flip")
    if abs(drop - tolerance) < 1e-9:
        return None
    reach = float(norm.ppf(1 - alpha) + norm.ppf(power))
    return max(ceil(reach**2 * (discordant - drop**2) / (drop - tolerance) ** 2), 1)
