"""What bfloat16 does to a training on this machine: texts a second and losses of a trained defense's first steps, in either
precision, on the same texts in the same order, from the same weights. `--all`: how long each defense trains, told from its first
steps and from the attacks of two epochs; `--only` does so of some.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partialmethod
from math import nan
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from robustbench_nlp import cache, plugins, training
from robustbench_nlp.data import load_dataset
from robustbench_nlp.defense import defend
from robustbench_nlp.mixed_precision import mixed_precision
from robustbench_nlp.plugins import split_list
from robustbench_nlp.training_loop import Loop
from robustbench_nlp.victim import open_victim

TOGETHER = 5
"""Steps whose mean loss is printed."""


class Enough(Exception):  # noqa: N818
    """All steps were taken."""


class Step(NamedTuple):
    """When a step was done, of how many texts it was, and its loss."""

    done: float
    texts: int
    loss: float


def first_steps(victim: str, defense: str, dtype: str, count: int) -> list[Step]:
    """The first steps of a training that nothing is kept of."""
    opened, train = open_victim(victim), load_dataset("mr", "train").examples
    steps: list[Step] = []
    plain = Loop._step

    def watched(loop: Loop, inputs: list[Any], labels: list[int], share: float) -> float:
        loss = plain(loop, inputs, labels, share)
        steps.append(Step(time.perf_counter(), len(inputs), loss))
        if len(steps) == count:
            raise Enough
        return loss

    with (
        tempfile.TemporaryDirectory() as cache,
        patch.dict(os.environ, {"ROBUSTBENCH_NLP_CACHE": cache}),
        patch.object(training, "training_dtype", return_value=dtype),
        patch.object(Loop, "_step", watched),
        suppress(Enough),
    ):
        defend(opened, defense, train, seed=0)
    return steps


def hurried(loop: Loop, inputs: list[Any], labels: list[int], more: Any, _title: str, *, count: int) -> None:
    """`Loop.run` for so many steps, which notes how many seconds all epochs would take."""
    attacking = []
    added: tuple[list[Any], list[int]] = ([], [])
    for epoch in range(min(loop.recipe.epochs, 2)):
        start = time.perf_counter()
        added = (more(loop.frozen(), epoch) if more else None) or added
        attacking.append(time.perf_counter() - start)
    texts, truth = [*inputs, *added[0]], [*labels, *added[1]]
    loop.model.train()
    took = []
    plan = loop._plan(texts)[:count]
    with mixed_precision(loop.model, loop.dtype):
        for rows in plan:
            start = time.perf_counter()
            loop._step([texts[row] for row in rows], [truth[row] for row in rows], 0.5)
            took.append((time.perf_counter() - start) / len(rows))
    loop.model.eval()
    steps = loop.recipe.epochs * len(texts) * sum(took[1:]) / len(took[1:])
    loop.seconds = steps + attacking[0] + (loop.recipe.epochs - 1) * attacking[-1]


def print_times(victim: str, count: int, defenses: Sequence[str]) -> None:
    """Print how long each of the defenses trains the victim."""
    opened, train = open_victim(victim), load_dataset("mr", "train").examples
    ready = cache.folder()
    own = getattr(opened, "training_seconds", nan)
    print(f"| defense | minutes | beside {victim}'s own training of {own:.0f} s |\n| :-- | --: | --: |")
    with (
        tempfile.TemporaryDirectory() as scratch,
        patch.dict(os.environ, {"ROBUSTBENCH_NLP_CACHE": scratch}),
        patch.object(Loop, "run", partialmethod(hurried, count=count)),
        patch.object(training, "_check", return_value=nan),
    ):
        for kind in ("mlm", "datasets", "word-pairs"):
            if (ready / kind).is_dir():
                (Path(scratch) / kind).symlink_to(ready / kind)
        for name in defenses:
            seconds = getattr(defend(opened, name, train, seed=0), "added_seconds", 0.0)
            if seconds:
                print(f"| `{name}` | {seconds / 60:.1f} | {seconds / own:.1f} × |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--victim", default="minilm-mr")
    parser.add_argument("--defense", default="freelb_plus", help="one that trains")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--all", action="store_true", help="every defense's time instead")
    parser.add_argument("--only", default="", help="the times of these, as in pgd,freelb(steps=2)")
    given = parser.parse_args()
    if given.steps < 2:
        parser.error("--steps wants 2 or more: the first only warms up")
    if named := plugins.plugin_names("defense") if given.all else split_list(given.only):
        print_times(given.victim, given.steps, named)
        return
    print(f"| precision | texts/s | mean losses of {TOGETHER} steps each |")
    print("| :-- | --: | :-- |")
    for dtype in ("float32", "bfloat16"):
        steps = first_steps(given.victim, given.defense, dtype, given.steps)
        rate = sum(step.texts for step in steps[1:]) / (steps[-1].done - steps[0].done)
        parts = [steps[start : start + TOGETHER] for start in range(0, len(steps), TOGETHER)]
        losses = ", ".join(f"{sum(step.loss for step in part) / len(part):.3f}" for part in parts)
        print(f"| {dtype} | {rate:.0f} | {losses} |", flush=True)


if __name__ == "__main__":
    main()
