"""Detectors: victims that say how suspicious an input is, and what rejecting the most suspicious ones would give.

A detecting victim has `suspicion(inputs)`, float32 (n,), higher where it suspects an attack, and `threshold`, chosen on the
training split so that it rejects a known share of clean texts. Its predictions are the inner victim's: attacks meet those, and
nobody here attacks the suspicion itself, so these columns are no worst case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import nan
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp.data.example import Input, content_hash
from robustbench_nlp.drawing import drawn
from robustbench_nlp.records import Record
from robustbench_nlp.victim import Probabilities, Victim

__all__ = ["COLUMNS", "Detecting", "Suspicion", "Watched", "rejection", "threshold"]

COLUMNS = ("detection_auroc", "detected", "false_alarms", "robust_with_rejection")
Suspicion = Callable[[Sequence[Input]], NDArray[np.float32]]
"""Inputs to how suspicious each is."""


@runtime_checkable
class Detecting(Victim, Protocol):
    """A victim that can reject an input."""

    @property
    def threshold(self) -> float: ...

    def suspicion(self, inputs: Sequence[Input]) -> NDArray[np.float32]: ...


class Watched:
    """`victim` beside a suspicion; every capability of the victim that changes no answer is kept."""

    def __init__(self, victim: Victim, suspicion: Suspicion, threshold: float, parts: Sequence[object]) -> None:
        self.name = victim.name
        self.label_names = victim.label_names
        self.random = victim.random
        self.threshold = threshold
        self.suspicion = suspicion
        self._victim = victim
        self._parts = tuple(parts)
        for kept in (
            "predict_exact",
            "truncate",
            "batch_size",
            "vocabulary",
            "gradients",
            "mask_token",
            "added_seconds",
        ):
            if hasattr(victim, kept):
                setattr(self, kept, getattr(victim, kept))

    @property
    def fingerprint(self) -> str:
        return content_hash(self._victim.fingerprint, *self._parts, round(self.threshold, 6))[:16]

    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        """The inner victim's answer."""
        return self._victim.predict(inputs, draw)

    def predict_drawn(self, inputs: Sequence[Input], draws: Sequence[int], exact: bool = False) -> Probabilities:
        """The inner victim's answers, each under its own draw."""
        return drawn(self._victim, inputs, draws, exact=exact)


def threshold(suspicion: NDArray[np.float32], false_alarms: float) -> float:
    """The least suspicion that is rejected, so that at most this share of these clean texts is."""
    if not len(suspicion):
        return float("inf")
    return float(np.nextafter(np.quantile(suspicion, 1 - false_alarms, method="higher"), np.inf))


def rejection(victim: Detecting, records: Sequence[Record]) -> dict[str, float]:
    """What rejecting suspicious texts gives in one cell.

    `detection_auroc`: how often a success is more suspicious than a clean text that the victim has right; `detected`: the
    share of successes that are rejected; `false_alarms`: that of clean texts; `robust_with_rejection`: the share of all
    examples whose clean text is right and not rejected, and whose adversarial text, if one fooled the victim, is.
    """
    attempted = [record for record in records if record.outcome in ("success", "failed")]
    broken = [record for record in attempted if record.outcome == "success" and record.adversarial is not None]
    clean = victim.suspicion([record.original for record in attempted])
    fooling: NDArray[Any] = victim.suspicion(
        [record.adversarial for record in broken if record.adversarial is not None]
    )
    alarmed = {r.example_id for r, value in zip(attempted, clean, strict=True) if value >= victim.threshold}
    missed = {r.example_id for r, value in zip(broken, fooling, strict=True) if value < victim.threshold}
    kept = sum(record.example_id not in alarmed | missed for record in attempted)
    values = (
        _auroc(clean, fooling),
        1 - len(missed) / len(broken) if broken else nan,
        len(alarmed) / len(attempted) if attempted else nan,
        kept / len(records) if records else nan,
    )
    return dict(zip(COLUMNS, values, strict=True))


def _auroc(low: NDArray[Any], high: NDArray[Any]) -> float:
    """The share of pairs in which the second is higher; ties count half."""
    if not len(low) or not len(high):
        return nan
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(high, low).statistic / (len(low) * len(high)))
