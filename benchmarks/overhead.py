"""Measures what the harness itself costs a query: a whole `evaluate`, records included, with a victim that costs nothing.

No text fools the victim, so every attack searches to its end. `--textattack` times the library with the same victim.

Usage: overhead.py [--examples N] [--repeats K] [--textattack]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from bars import Bars

import robustbench_nlp as rb
from robustbench_nlp.attacks.textattack import find_nltk_data, silent
from robustbench_nlp.data import Dataset, Example, load_dataset
from robustbench_nlp.data.example import Input
from robustbench_nlp.victim import Probabilities

RECIPES = {"deepwordbug": "DeepWordBugGao2018", "pwws": "PWWSRen2019"}
BAR = 10.0
"""Microseconds a query."""


class FreeVictim:
    """Answers with the first rows of one prepared array: class 1 always wins, by a varying margin."""

    name = "free"
    label_names: tuple[str, ...] = ()
    random = False
    fingerprint = "free"

    def __init__(self) -> None:
        right = np.random.default_rng(0).uniform(0.55, 0.95, 100_000).astype(np.float32)
        self._outputs = np.stack([1 - right, right], axis=1)

    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        return self._outputs[: len(inputs)]


def ours(attack: str, victim: FreeVictim, data: Dataset) -> float:
    """Microseconds a query."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        run = rb.evaluate(victim=victim, dataset=data, attacks=[attack], similarity="none", output=Path(folder))
        seconds = time.perf_counter() - start
        queries = sum(record.queries for records in run.records.values() for record in records)
    return 1e6 * seconds / queries


def theirs(recipe: str, victim: FreeVictim, data: Dataset) -> float:
    """Microseconds a query of the library, its cached answers counted as queries."""
    with silent():
        find_nltk_data()
        import textattack

        class Wrapper(textattack.models.wrappers.ModelWrapper):  # type: ignore[misc]
            model = None

            def __call__(self, texts: list[str]) -> Any:
                return victim.predict(texts).astype(np.float64)

        attack = getattr(textattack.attack_recipes, RECIPES[recipe]).build(Wrapper())
    attack.attack(data.examples[0].input, 1)
    start = time.perf_counter()
    queries: int = sum(attack.attack(example.input, 1).num_queries for example in data.examples)
    return 1e6 * (time.perf_counter() - start) / queries


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--examples", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--textattack", action="store_true")
    options = parser.parse_args(arguments)
    mr = load_dataset("mr", "test").head(options.examples)
    examples = tuple(Example(fields=example.fields, label=1) for example in mr)
    data = Dataset(name="mr", split="test", examples=examples, label_names=("negative", "positive"))
    victim, bars = FreeVictim(), Bars()
    for recipe in RECIPES:
        for attack in (recipe, f"{recipe}(variant='textattack')"):
            ours(attack, victim, data)  # warm: lexicons are read once
            figure = median(ours(attack, victim, data) for _ in range(options.repeats))
            print(f"{attack:36} {figure:6.1f} µs a query, {bars.at_most(figure, BAR)}")
    for recipe in RECIPES if options.textattack else ():  # last: with it in memory, Python collects garbage for longer
        print(f"{'textattack:' + recipe:36} {theirs(recipe, victim, data):6.1f} µs a query")
    bars.end()


if __name__ == "__main__":
    main(sys.argv[1:])
