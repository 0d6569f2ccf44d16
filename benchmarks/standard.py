"""How long a published ensemble takes on one data set, and what bounds it: the share of the time in the victim and in helper
models, and the victim's seconds beside those of bare forward passes on the same texts (`roofline.py`).

Usage: standard.py [--examples N] [--ensemble standard-1] [--dtype bfloat16]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
from roofline import Asked
from vs_textattack import Watch

import robustbench_nlp as rb
from robustbench_nlp import helpers
from robustbench_nlp.attack import Help
from robustbench_nlp.victim import VictimOptions, open_victim
from robustbench_nlp.victims.hf import HFVictim


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
    print(
        f"{given.ensemble} on {given.examples} sentences, {given.dtype}, {torch.get_num_threads()} threads: {seconds:.0f} s"
    )
    spent = asked.seconds + asked.checking
    print(f"in the victim {spent / seconds:.0%}, in helper models {watch.seconds / seconds:.0%}")
    print("\n".join(asked.told()))


if __name__ == "__main__":
    main()
