"""How near a run comes to its roofline: the seconds that the victim took for all it was asked, the referee's checks included, beside
those that bare forward passes take for the same texts in full batches of like lengths.

Usage: roofline.py [--examples N] [--attacks deepwordbug,pwws] [--victim minilm-mr] [--dtype bfloat16]
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from bars import Bars

import robustbench_nlp as rb
from robustbench_nlp.data.example import Input
from robustbench_nlp.plugins import split_list
from robustbench_nlp.victim import Probabilities, VictimOptions, open_victim
from robustbench_nlp.victims._reader import batches
from robustbench_nlp.victims.hf import HFVictim

__all__ = ["Asked", "bare"]

Answer = TypeVar("Answer")
SAMPLE = 8_000
"""Texts that the bare forward pass is timed on, drawn from those that the victim was asked."""
BAR = 0.9
"""Bare seconds / the victim's, on a processor without matrix units."""


class Asked:
    """Counts and times what a victim is asked by searches (`texts`, `seconds`) and by the referee, one text at a time (`checked`,
    `checking`); keeps a sample of all of it, each text as likely as any other."""

    def __init__(self, victim: HFVictim) -> None:
        self.victim = victim
        self.texts = self.checked = 0
        self.seconds = self.checking = 0.0
        self.sample: list[Input] = []
        self._begun, self._predict_exact = victim._begun, victim.predict_exact
        self._rng = random.Random(0)
        victim._begun = self.begun  # type: ignore[method-assign]
        victim.predict_exact = self.predict_exact  # type: ignore[method-assign]

    def begun(self, model: Any, inputs: Sequence[Input]) -> Callable[[], Probabilities]:
        """What the victim's predictions go through, whether they are waited for at once or begun ahead: launching and waiting count."""
        self._keep(inputs)
        self.texts += len(inputs)
        wait, seconds = _timed(lambda: self._begun(model, inputs))
        self.seconds += seconds

        def waited() -> Probabilities:
            answer, seconds = _timed(wait)
            self.seconds += seconds
            return answer

        return waited

    def predict_exact(self, inputs: Sequence[Input]) -> Probabilities:
        self._keep(inputs)
        answer, seconds = _timed(lambda: self._predict_exact(inputs))
        self.checked += len(inputs)
        self.checking += seconds
        return answer

    def _keep(self, inputs: Sequence[Input]) -> None:
        for number, item in enumerate(inputs, self.texts + self.checked + 1):
            if len(self.sample) < SAMPLE:
                self.sample.append(item)
            elif (place := self._rng.randrange(number)) < SAMPLE:
                self.sample[place] = item

    def told(self, bars: Bars | None = None) -> list[str]:
        """The texts and their seconds, those of the bare forward pass, and the share that these are, held against the bar."""
        rate = bare(self.victim, self.sample)
        spent = self.seconds + self.checking
        least = (self.texts + self.checked) / rate
        share = least / spent
        return [
            f"searches asked {self.texts} texts in {self.seconds:.2f} s, the referee {self.checked} one by one in {self.checking:.2f} s",
            f"the same texts in full batches, {rate:.0f} a second of bare forward passes: {least:.2f} s",
            f"bare / victim's seconds: {share:.3f}{', ' + bars.at_least(share, BAR) if bars else ''} "
            f"(searches alone: {self.texts / rate / self.seconds:.3f})",
        ]


def _timed(ask: Callable[[], Answer]) -> tuple[Answer, float]:
    start = time.perf_counter()
    answer = ask()
    return answer, time.perf_counter() - start


def bare(victim: HFVictim, inputs: Sequence[Input]) -> float:
    """Sentences a second of forward passes alone, in the victim's own batches; the best of three."""
    encodings = victim._reader(inputs)
    plan = batches([len(encoding) for encoding in encodings], victim._budget, victim._overhead)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        with torch.inference_mode():
            parts = [victim._forward(victim._fast, [encodings[row] for row in rows]) for rows in plan]
            torch.cat(parts).cpu()  # a GPU is waited for
        times.append(time.perf_counter() - start)
    return len(inputs) / min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--victim", default="minilm-mr")
    parser.add_argument("--attacks", default="deepwordbug,pwws")
    parser.add_argument("--examples", type=int, default=200)
    parser.add_argument("--dtype", default="float32", help="the precision of the search")
    given = parser.parse_args()
    bars = Bars()
    for attack in split_list(given.attacks):
        victim = open_victim(given.victim, VictimOptions(dtype=given.dtype))
        assert isinstance(victim, HFVictim)
        victim.predict(["a film to warm up with"] * 64)
        asked = Asked(victim)
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            rb.evaluate(
                victim=victim,
                dataset="mr",
                attacks=[attack],
                limit=given.examples,
                dtype=given.dtype,
                similarity="none",
                output=Path(folder),
            )
            seconds = time.perf_counter() - start
        print(
            f"{attack} on {given.examples} sentences, {given.dtype}, {torch.get_num_threads()} threads: {seconds:.2f} s, "
            f"{(asked.seconds + asked.checking) / seconds:.1%} of it in the victim"
        )
        print("\n".join(f"  {line}" for line in asked.told(bars)))
    bars.end()


if __name__ == "__main__":
    main()
