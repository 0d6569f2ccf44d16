"""How fast each way to run `minilm-mr` is on this processor, and how far its answers are from float32's: what --dtype and
onnx: are chosen by.

Prints sentences a second of whole `predict` calls (tokenisation included), the best of several, all in one process.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from robustbench_nlp.data import load_dataset
from robustbench_nlp.exporting import export
from robustbench_nlp.victim import Probabilities, Victim, VictimOptions, open_victim
from robustbench_nlp.victims.hf import HFVictim


def best(ask: Callable[[], Probabilities], repeats: int) -> float:
    """The least seconds of a call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        ask()
        times.append(time.perf_counter() - start)
    return min(times)


def unpacked(victim: Victim) -> Victim:
    """The victim on torch's own linear layers, see `robustbench_nlp.packing`."""
    assert isinstance(victim, HFVictim)
    victim._fast = victim._exact
    return victim


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--victim", default="minilm-mr")
    parser.add_argument("--texts", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    texts = [example.input for example in load_dataset("mr", "dev").head(given.texts)]
    plain = open_victim(given.victim)
    ways: dict[str, Victim] = {"torch float32": plain}
    for dtype in ("bfloat16", "float16"):
        ways[f"torch {dtype}"] = open_victim(given.victim, VictimOptions(dtype=dtype))
    ways["torch float32, not packed"] = unpacked(open_victim(given.victim))
    ways["torch compiled"] = open_victim(given.victim, VictimOptions(compile=True))
    with tempfile.TemporaryDirectory() as scratch:
        for name, int8 in (("onnx float32", False), ("onnx int8", True)):
            export(plain, Path(scratch) / name, texts[:8], int8=int8)
            ways[name] = open_victim(f"onnx:{Path(scratch) / name}")
        exact = plain.predict(texts)
        print("| way | sentences/s | beside torch float32 | largest difference | other class |")
        print("| :-- | --: | --: | --: | --: |")
        first = 0.0
        for name, victim in ways.items():
            answer = victim.predict(texts)
            rate = len(texts) / best(lambda victim=victim: victim.predict(texts), given.repeats)  # type: ignore[misc]
            first = first or rate
            changed = int((answer.argmax(axis=1) != exact.argmax(axis=1)).sum())
            print(
                f"| {name} | {rate:.0f} | {rate / first:.2f} × | {np.abs(answer - exact).max():.1g} | {changed} of {len(texts)} |"
            )


if __name__ == "__main__":
    main()
