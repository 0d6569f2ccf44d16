"""Noise curves and the mean corruption error, computed from tables of noise suites.

After Hendrycks & Dietterich (2019). Differs from the paper: an example that is wrong on the clean text stays wrong under
noise (it is skipped), so accuracy never rises by luck, and errors are fractions, 1.0 being the reference's.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from robustbench_nlp.errors import UsageError
from robustbench_nlp.plugins import create

__all__ = ["corruption_errors", "noise_curve"]

_MODEL = ["dataset", "split", "victim", "defense"]


def noise_curve(frame: pd.DataFrame) -> pd.DataFrame:
    """Accuracy against severity, one row per dataset, split, victim, defense, kind and severity 0 (clean) to 5.

    `frame` has the columns of table.csv; its rows of the attack `noise` (mode noise) count, rows of several seeds are
    averaged (`seeds` says how many). Returns the columns `dataset, split, victim, defense, kind, severity, accuracy,
    seeds`; accuracy is a fraction in [0, 1] in which an errored example is not right. Raises `UsageError` where the
    frame has no noise.
    """
    rows = frame[(frame["mode"] == "noise") & frame["attack"].str.match(r"noise\b")]
    if rows.empty:
        raise UsageError("the table has no noise suites; run some, for example --attacks 'noise(severity=3):keyboard'")
    attacks = {name: create("attack", name) for name in rows["attack"].unique()}
    rows = rows.assign(
        kind=rows["attack"].map({name: attack.suite for name, attack in attacks.items()}),
        severity=rows["attack"].map({name: attack.severity for name, attack in attacks.items()}),
        accuracy=rows["robust_accuracy"],
    )
    clean = rows.assign(severity=0, accuracy=rows["clean_accuracy"])
    return (
        pd.concat([clean, rows])
        .groupby([*_MODEL, "kind", "severity"], as_index=False, sort=True)
        .agg(accuracy=("accuracy", "mean"), seeds=("seed", "nunique"))
    )


def corruption_errors(frame: pd.DataFrame, *, victim: str, defense: str = "none") -> pd.DataFrame:
    """The corruption error of every victim and defense against a reference's: one column per kind, then `mCE`, their mean.

    A kind's corruption error is the sum of the errors over its severities, divided by the reference's sum: 1.0 is as
    fragile as the reference, less is better; it is infinite (or NaN) where the reference never errs. Indexed by
    dataset, split, victim and defense. Raises `UsageError` where the reference is missing, or where one kind of noise
    was run at other severities than the reference's.
    """
    curve = noise_curve(frame)
    curve = curve[curve["severity"] > 0]
    errors = curve.assign(error=1 - curve["accuracy"]).pivot_table(
        index=_MODEL, columns=["kind", "severity"], values="error"
    )
    own = [row[2:] == (victim, defense) for row in errors.index]
    if not any(own):
        known = ", ".join(sorted({f"{v} × {d}" for _, _, v, d in errors.index}))
        raise UsageError(f"the table has no noise for the reference {victim} × {defense}; it has {known}")
    beside = errors[own].reindex(errors.index).groupby(level=_MODEL[:2]).transform("first")
    differing = np.argwhere((errors.isna() != beside.isna()).to_numpy())
    if len(differing):
        (dataset, _, *model), (kind, severity) = errors.index[differing[0][0]], errors.columns[differing[0][1]]
        raise UsageError(
            f"{' × '.join(model)} and the reference differ in having {kind} at severity {severity} on {dataset}; run both alike"
        )
    sums = errors.T.groupby("kind").sum(min_count=1).T / beside.T.groupby("kind").sum(min_count=1).T
    return sums.assign(mCE=sums.mean(axis=1)).rename_axis(columns=None)
