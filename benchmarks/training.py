"""What bfloat16 does to a training on this machine: texts a second and losses of a trained defense's first steps, in either
precision, on the same texts in the same order, from the same weights."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from contextlib import suppress
from typing import Any, NamedTuple
from unittest.mock import patch

from robustbench_nlp import training
from robustbench_nlp.data import load_dataset
from robustbench_nlp.defense import defend
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--victim", default="minilm-mr")
    parser.add_argument("--defense", default="freelb_plus", help="one that trains")
    parser.add_argument("--steps", type=int, default=20)
    given = parser.parse_args()
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
