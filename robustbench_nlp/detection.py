"""Detectors: victims that say how suspicious an input is, and what rejecting the most suspicious ones would give.

A detecting victim has `suspicion(inputs)`, float32 (n,), higher where it suspects an attack, and `threshold`, chosen on the
training split so that it rejects a known share of clean texts. Its predictions are the inner victim's: attacks meet those, and end at
the first text that fools them. Where it is `evaded` they go on until one also passes the detector, which is the adaptive case; no
search here descends on the suspicion itself. A defense that makes one says so, `detects = True`, so that a rehearsal, which learns
nothing, knows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from math import nan
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp.data.example import Input, content_hash
from robustbench_nlp.drawing import drawn
from robustbench_nlp.errors import UsageError
from robustbench_nlp.records import Record
from robustbench_nlp.victim import Probabilities, Victim

__all__ = ["COLUMNS", "Detecting", "Suspicion", "Watched", "rejection", "settings_of", "threshold"]

COLUMNS = ("detection_auroc", "detected", "false_alarms", "robust_with_rejection", "evaded")
KEPT = (
    *("predict_exact", "predict_ahead", "predict_apart", "truncate", "batch_size", "vocabulary", "gradients"),
    *("mask_token", "added_seconds", "forwards_per_prediction"),
    *("spending", "keep_in", "one_process", "selector", "certified_edits", "certify", "edits"),
)
"""The capabilities of a victim that hold beside a suspicion."""
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

    def __init__(
        self, victim: Victim, suspicion: Suspicion, threshold: float, parts: Sequence[object], *, evaded: bool = False
    ) -> None:
        """With `evaded` a success that is rejected is none. Raises `UsageError` for a victim that another detector watches: only one can reject."""
        if isinstance(victim, Detecting):
            raise UsageError(f"two detectors watch {victim.name}, and only one can reject; leave one of them out")
        self.name = victim.name
        self.label_names = victim.label_names
        self.random = victim.random
        self.threshold = threshold
        self.suspicion = suspicion
        self.evaded = evaded
        self._victim = victim
        self._parts = tuple(parts)
        for kept in KEPT:
            if hasattr(victim, kept):
                setattr(self, kept, getattr(victim, kept))

    @property
    def fingerprint(self) -> str:
        return content_hash(
            self._victim.fingerprint, *self._parts, round(self.threshold, 6), *["evaded"] * self.evaded
        )[:16]

    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        """The inner victim's answer."""
        return self._victim.predict(inputs, draw)

    def predict_drawn(self, inputs: Sequence[Input], draws: Sequence[int], exact: bool = False) -> Probabilities:
        """The inner victim's answers, each under its own draw."""
        return drawn(self._victim, inputs, draws, exact=exact)


def settings_of(detector: Any) -> dict[str, Any]:
    """The settings of a detector that its suspicion hangs on: all but `evaded`, which attacks alone heed."""
    return {name: value for name, value in asdict(detector).items() if name != "evaded"}


def threshold(suspicion: NDArray[np.float32], false_alarms: float) -> float:
    """The least suspicion that is rejected, so that at most this share of these clean texts is."""
    if not len(suspicion):
        return float("inf")
    return float(np.nextafter(np.quantile(suspicion, 1 - false_alarms, method="higher"), np.inf))


def rejection(victim: Detecting, *cells: Sequence[Record]) -> dict[str, float]:
    """What rejecting suspicious texts gives in one cell, or under all attacks of several that each ran in full.

    `detection_auroc`: how often a success is more suspicious than a clean text that the victim has right; `detected`: the
    share of successes that are rejected; `false_alarms`: that of clean texts that the victim has right; `robust_with_rejection`:
    the share of all examples whose clean text is right and not rejected, and whose adversarial texts, where they fooled the
    victim, are; `evaded`: 1 where attacks had to pass the detector.
    """
    records = [record for cell in cells for record in cell]
    attempted = {record.example_id: record.original for record in records if record.outcome in ("success", "failed")}
    broken = [(r.example_id, r.adversarial) for r in records if r.outcome == "success" and r.adversarial is not None]
    clean = victim.suspicion(list(attempted.values()))
    fooling: NDArray[Any] = victim.suspicion([adversarial for _, adversarial in broken])
    alarmed = {identity for identity, value in zip(attempted, clean, strict=True) if value >= victim.threshold}
    missed = [identity for (identity, _), value in zip(broken, fooling, strict=True) if value < victim.threshold]
    lost = alarmed.union(missed, (record.example_id for record in records if record.outcome == "error"))
    values = (
        _auroc(clean, fooling),
        1 - len(missed) / len(broken) if broken else nan,
        len(alarmed) / len(attempted) if attempted else nan,
        len(attempted.keys() - lost) / len({record.example_id for record in records}) if records else nan,
        float(getattr(victim, "evaded", False)),
    )
    return dict(zip(COLUMNS, values, strict=True))


def _auroc(low: NDArray[Any], high: NDArray[Any]) -> float:
    """The share of pairs in which the second is higher; ties count half."""
    if not len(low) or not len(high):
        return nan
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(high, low).statistic / (len(low) * len(high)))
