"""`--dtype auto`: the precision of the search by a short measurement on the machine that runs, not by what processors promise."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from robustbench_nlp import progress
from robustbench_nlp.settings_file import read_settings
from robustbench_nlp.victim import Victim
from robustbench_nlp.victims.hf import HFVictim

__all__ = ["chosen", "fastest"]

GAIN = 1.1
"""How much faster than float32 a lower precision must be to be worth it."""
ROUNDS = 3
PROBE = [
    f"a film that is number {i} of some that nobody would have made for the money alone , and yet good"
    for i in range(48)
]
"""Texts about as long as a sentence of a review."""


def chosen(victim: Victim, folders: Iterable[Path]) -> str:
    """The precision of the first run that lies in one of the `folders`, whose records are to stand together, else the `fastest`."""
    for folder in folders:
        if (folder / "run.yaml").is_file():
            return str(read_settings(folder / "run.yaml").get("dtype", "float32"))
    return fastest(victim)


def fastest(victim: Victim) -> str:
    """The name of the precision in which the victim answers fastest here; float32 for one that has no other, and unless another
    gains a tenth."""
    if not isinstance(victim, HFVictim):
        return "float32"
    twins = {dtype: victim.in_precision(dtype) for dtype in ("float32", "bfloat16", "float16")}
    seconds = dict.fromkeys(twins, float("inf"))
    for number in range(ROUNDS + 1):
        for dtype, twin in twins.items():
            start = time.perf_counter()
            try:
                twin.predict(PROBE)
            except RuntimeError:  # an operation that this device has not in this precision
                continue
            if number:  # the first round warms up
                seconds[dtype] = min(seconds[dtype], time.perf_counter() - start)
    gains = {dtype: seconds["float32"] / spent for dtype, spent in seconds.items()}
    best = max(gains, key=gains.__getitem__)
    best = best if gains[best] >= GAIN else "float32"
    told = ", ".join(f"{dtype} {gain:.2f} ×" for dtype, gain in gains.items() if dtype != "float32")
    progress.note(f"dtype auto: {best} (beside float32: {told})")
    return best
