"""Several seeds of one benchmark in one table: means, spread, and intervals for new examples *and* new seeds.

The runs share their examples, so that n examples under m seeds are not n · m independent ones. A rate's variance is that of a
two-way crossed design, (MS examples + MS seeds − MS rest) / (n · m) from the mean squares of its linearised values; from it
follows the effective sample size, adjusted for degrees of freedom (Satterthwaite, 1946; Korn and Graubard, 1998, Survey
Methodology 24:193), at which Wilson's interval is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_nlp.comparison import refuse_others
from robustbench_nlp.errors import UsageError
from robustbench_nlp.recorded import Cell, recorded_cells
from robustbench_nlp.report.table import named
from robustbench_nlp.stats import Interval, wilson_at

__all__ = ["COLUMNS", "OverSeeds", "over_seeds", "rate_over_seeds"]

RATES = ("clean_accuracy", "robust_accuracy", "attack_success_rate")
COLUMNS = (
    *("dataset", "split", "victim", "defense", "attack", "seeds", "n", "floor"),
    *(f"{rate}{part}" for rate in RATES for part in ("", "_sd", "_low", "_high")),
    *("above_floor", "robust_every_seed", "effective_n"),
)
"""The columns of `over_seeds`, in order."""
Matrix = NDArray[np.float64]


class OverSeeds(NamedTuple):
    """A rate over all seeds, its standard deviation from seed to seed, its 95 % interval, and how many independent examples
    it is worth."""

    rate: float
    sd: float
    interval: Interval
    effective_n: float


def over_seeds(folders: Sequence[str | Path]) -> pd.DataFrame:
    """A row a defense and attack with `COLUMNS`, from the run folders of one benchmark under different seeds.

    Rates are fractions in [0, 1] over all seeds together, `_sd` their standard deviations from seed to seed; `above_floor` says
    whether the interval of the clean accuracy lies above `floor`, what a constant answer scores;
    `robust_every_seed` is the share that is right under every seed, the worst case of an attacker who tries them all, NaN
    where the seed made another victim; `effective_n` is that of the robust accuracy. Raises `UsageError` for fewer than two
    runs, for a seed that comes twice, and for runs that differ in more than the seed and what was trained with it.
    """
    if len(folders) < 2:
        raise UsageError("give at least two runs of one benchmark under different seeds")
    runs = [_cells(Path(folder)) for folder in folders]
    for folder, cells in zip(folders[1:], runs[1:], strict=True):
        for one, other in ((runs[0], cells), (cells, runs[0])):
            for name in one.keys() - other.keys():
                where = folder if other is cells else folders[0]
                raise UsageError(f"{where} has no cell {' × '.join(name)}; run the same benchmark with another --seed")
    for name in runs[0]:
        _refuse(folders, [cells[name] for cells in runs])
    return pd.DataFrame([_row([cells[name] for cells in runs]) for name in runs[0]], columns=[*COLUMNS])


def rate_over_seeds(hits: Matrix, chances: Matrix | None = None) -> OverSeeds:
    """The rate Σ hits / Σ chances of (seeds, examples) matrices of 0 and 1; without `chances` every value counts.

    The interval is for examples and seeds both drawn anew: it never counts more than n · m values, and with seeds that change
    nothing, or one seed alone, it is Wilson's of n.
    """
    tried = np.ones_like(hits) if chances is None else chances
    if tried.sum() == 0:
        return OverSeeds(nan, nan, Interval(nan, nan), 0.0)
    rate = float(hits.sum() / tried.sum())
    with np.errstate(invalid="ignore"):
        by_seed = hits.sum(1) / tried.sum(1)
    known = by_seed[~np.isnan(by_seed)]
    sd = float(known.std(ddof=1)) if len(known) > 1 else nan
    effective = _effective((hits - rate * tried) / tried.mean(), rate * (1 - rate), tried.sum() / len(hits))
    return OverSeeds(rate, sd, wilson_at(rate, effective), effective)


def _effective(residuals: Matrix, spread: float, n_one: float) -> float:
    """The effective sample size: `spread` (the variance of one value) over the variance of the rate; `n_one`, the values under
    one seed, where nothing varies."""
    from scipy.stats import norm, t

    m, n = residuals.shape
    if spread == 0 or n < 2 or m < 2:
        return n_one
    rows, columns = residuals.mean(1), residuals.mean(0)
    ms_seeds = n * rows.var(ddof=1)
    ms_examples = m * columns.var(ddof=1)
    rest = residuals - rows[:, None] - columns[None, :] + residuals.mean()
    ms_rest = (rest**2).sum() / ((m - 1) * (n - 1))
    parts = np.array([ms_examples, max(ms_seeds - ms_rest, 0.0)]) / (n * m)
    if parts.sum() == 0:
        return n_one
    degrees = parts.sum() ** 2 / (parts**2 / [n - 1, m - 1]).sum()
    adjusted = spread / parts.sum() * (norm.ppf(0.975) / t.ppf(0.975, degrees)) ** 2
    return float(min(adjusted, n_one * m))


def _cells(folder: Path) -> dict[tuple[str, str], Cell]:
    return {cell.name: cell for cell in recorded_cells(folder) if cell.measures}


def _refuse(folders: Sequence[str | Path], cells: Sequence[Cell]) -> None:
    """One cell of all runs: nothing may differ but the seed, and must."""
    seen: dict[Any, str | Path] = {}
    for folder, cell in zip(folders, cells, strict=True):
        seed = cell.header["seed"]
        if seed in seen:
            raise UsageError(f"{seen[seed]} and {folder} both have seed {seed}; give each seed once")
        seen[seed] = folder
        refuse_others(cells[0], cell, ("seed",) if cell.name[0] == "none" else ("seed", "victim"))
        if cell.header["victim"] != cells[0].header["victim"]:
            raise UsageError(f"{folders[0]} attacks {cells[0].header['victim']}, {folder} {cell.header['victim']}")


def _row(cells: Sequence[Cell]) -> dict[str, Any]:
    header, examples = cells[0].header, list(cells[0].records)
    outcomes = np.array([[cell.records[example].outcome for example in examples] for cell in cells])
    clean = np.array([[cell.records[example].clean_right for example in examples] for cell in cells], float)
    right, broken = (outcomes == "failed").astype(float), (outcomes == "success").astype(float)
    found = [rate_over_seeds(clean), rate_over_seeds(right), rate_over_seeds(broken, right + broken)]
    values = named(header, ("dataset", "split", "victim", "defense", "attack"))
    values |= {"seeds": len(cells), "n": len(examples), "floor": cells[0].floor()}
    for name, (rate, sd, (low, high), _) in zip(RATES, found, strict=True):
        values |= {name: rate, f"{name}_sd": sd, f"{name}_low": low, f"{name}_high": high}
    same = len({cell.header["spec"]["victim"] for cell in cells}) == 1
    return values | {
        "above_floor": values["clean_accuracy_low"] > values["floor"],
        "robust_every_seed": float(right.min(0).mean()) if same else nan,
        "effective_n": found[1].effective_n,
    }
