"""Whether an entry's failed attacks fail here too: texts show what an attack found, and only attacking again shows what it left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import NamedTuple

from scipy.stats import binomtest

from robustbench_nlp.api import Run
from robustbench_nlp.data.example import picked
from robustbench_nlp.recorded import Cell
from robustbench_nlp.runner import Runner

__all__ = ["Attacked", "attacked_again"]

TOLERATED = 0.05
"""The share of robust examples that may fall here: another machine rounds otherwise, and a search goes other ways at ties."""
ALPHA = 0.05


class Attacked(NamedTuple):
    """How many of the examples that an entry calls robust were attacked again, and which of them fell."""

    examples: int
    fallen: tuple[str, ...]

    def differences(self) -> Iterator[str]:
        """One line where significantly more fell than rounding explains."""
        share = binomtest(len(self.fallen), self.examples, TOLERATED, "greater") if self.examples else None
        if share is not None and share.pvalue < ALPHA:
            named = ", ".join(identity[:12] for identity in self.fallen[:3])
            yield f"{len(self.fallen)} of {self.examples} examples that the entry calls robust fall to its ensemble here: {named}{', …' * (len(self.fallen) > 3)}"


def attacked_again(runner: Runner, found: Mapping[str, Cell], count: int, rng: Random) -> Attacked:
    """Attack up to `count` of the robust examples, drawn at random so that nobody knows which. `runner` holds the entry's
    benchmark. Raises `UsageError` for helper models that aren't here."""
    outcomes: dict[str, set[str]] = {}
    for cell in found.values():
        for identity, record in cell.records.items():
            outcomes.setdefault(identity, set()).add(record.outcome)
    robust = sorted(identity for identity, seen in outcomes.items() if "failed" in seen <= {"failed", "settled"})
    drawn = set(rng.sample(robust, min(count, len(robust))))
    if not drawn:
        return Attacked(0, ())
    examples = picked(runner.examples, drawn.__contains__)
    with TemporaryDirectory() as folder:
        again = replace(
            runner,
            benchmark=replace(runner.benchmark, limit=None),
            dataset=replace(runner.dataset, examples=examples),
            folder=Path(folder),
            searches=True,
        )
        run = Run(again.run(), again.folder)
        records = [record for cell in run.records.values() for record in cell]
    return Attacked(len(examples), tuple(sorted({r.example_id for r in records if r.outcome == "success"})))
