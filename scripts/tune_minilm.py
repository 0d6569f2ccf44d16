"""Compares recipes of minilm-mr on texts that are not the test split: `python scripts/tune_minilm.py learning_rate=3e-5,5e-5,8e-5`.

Each value of the named field of `Recipe` trains once on the training split less 1,200 examples, and is judged by these
and the dev split together; two recipes may differ by chance by a point.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from robustbench_nlp.data import load_dataset
from robustbench_nlp.training import fine_tune
from robustbench_nlp.victims.hf import HFVictim
from robustbench_nlp.victims.minilm_mr import RECIPE, base_folder

HELD = 1200


def main(argument: str) -> None:
    name, _, values = argument.partition("=")
    kind = type(getattr(RECIPE, name))
    train, dev = load_dataset("mr", "train"), load_dataset("mr", "dev")
    examples = Random(7).sample(train.examples, len(train.examples))
    judged, rest = [*examples[:HELD], *dev.examples], examples[HELD:]
    for value in values.split(","):
        recipe = dataclasses.replace(RECIPE, **{name: kind(value)})
        start = time.perf_counter()
        with TemporaryDirectory() as folder:
            target = Path(folder)
            inputs, labels = [e.input for e in rest], [e.label for e in rest]
            fine_tune(target, base_folder(), inputs, labels, label_names=train.label_names, seed=0, recipe=recipe)
            seconds = time.perf_counter() - start
            answers = HFVictim.from_folder(target, name=name).predict([e.input for e in judged]).argmax(axis=1)
        right = [int(answer) == example.label for answer, example in zip(answers, judged, strict=True)]
        print(f"{name}={value}: {sum(right) / len(right):.1%} of {len(right)} right, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
