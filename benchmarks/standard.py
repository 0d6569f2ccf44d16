"""How long a published ensemble takes on one data set, and what bounds it: the share of the time in the victim and in helper
models, and the pace beside the victim's bare forward passes on the same texts (the roofline).

Usage: standard.py [--examples N] [--ensemble standard-1] [--dtype bfloat16]
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from vs_textattack import Watch

import robustbench_nlp as rb
from robustbench_nlp import helpers
from robustbench_nlp.attack import Help
from robustbench_nlp.data.example import Input
from robustbench_nlp.victim import Probabilities, VictimOptions, open_victim
from robustbench_nlp.victims._reader import batches
from robustbench_nlp.victims.hf import HFVictim

SAMPLE = 8_000
"""Texts that the bare forward pass is timed on, drawn from those that the victim was asked."""


class Asked:
    """Counts what a victim is asked, and keeps a sample of it, each text as likely as any other."""

    def __init__(self, victim: HFVictim) -> None:
        self.texts = 0
        self.sample: list[Input] = []
        self._predict = victim.predict
        self._rng = random.Random(0)
        victim.predict = self.predict  # type: ignore[method-assign]

    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        for item in inputs:
            self.texts += 1
            if len(self.sample) < SAMPLE:
                self.sample.append(item)
            elif (place := self._rng.randrange(self.texts)) < SAMPLE:
                self.sample[place] = item
        return self._predict(inputs, draw)


def bare(victim: HFVictim, inputs: Sequence[Input]) -> float:
    """Sentences a second of forward passes alone, in the victim's own batches; the best of three."""
    encodings = victim._reader(inputs)
    plan = batches([len(encoding) for encoding in encodings], victim._budget, victim._overhead)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        with torch.inference_mode():
            for rows in plan:
                victim._forward(victim._fast, [encodings[row] for row in rows])
        times.append(time.perf_counter() - start)
    return len(inputs) / min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--victim", default="minilm-mr")
    parser.add_argument("--ensemble", default="standard-1")
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--dtype", default="float32", help="the precision of the search")
    given = parser.parse_args()
    victim = open_victim(given.victim, VictimOptions(dtype=given.dtype))
    assert isinstance(victim, HFVictim)
    asked, watch, provider = Asked(victim), Watch(), helpers.provider

    def timed(kind: type[Help], model: str, device: str = "auto", dtype: str = "float32") -> helpers.Answer:
        return watch.timed(provider(kind, model, device, dtype))

    helpers.provider = timed
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        run = rb.evaluate(
            victim=victim,
            dataset="mr",
            attacks=[f"worst-case:{given.ensemble}"],
            limit=given.examples,
            dtype=given.dtype,
            similarity="none",
            output=Path(folder),
        )
        seconds = time.perf_counter() - start
    for row in run.table.to_dict("records"):
        print(
            f"{row['attack']}: {row['seconds']:.0f} s, {row['queries_mean']:.0f} queries, {100 * row['robust_accuracy']:.1f} % left"
        )
    rate = bare(victim, asked.sample)
    least = asked.texts / rate
    print(
        f"{given.ensemble} on {given.examples} sentences, {given.dtype}, {torch.get_num_threads()} threads: {seconds:.0f} s"
    )
    print(f"in the victim {victim.forward_seconds / seconds:.0%}, in helper models {watch.seconds / seconds:.0%}")
    print(
        f"{asked.texts} texts in batches; the bare forward pass of {rate:.0f} a second would take {least:.0f} s: {least / seconds:.0%}"
    )


if __name__ == "__main__":
    main()
