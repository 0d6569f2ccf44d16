"""Times our attacks beside TextAttack's: one process, one model, the same examples, order A B A B.

A is TextAttack, (i) as it ships, which pads every query to the tokenizer's maximum length, and (ii) with a wrapper that
pads to the longest only; its attacks are called directly, without its loggers. B is `evaluate` on the same weights with
the referee and the records. A in float32, B in `--dtype`; DeepWordBug and PWWS with TextAttack's variant of the algorithm,
TextFooler and BAE as its parts with our word vectors, masked language model and sentence encoder (`injected.py`), trimmed
alike.

Usage: vs_textattack.py [--examples N] [--pairs K] [--only deepwordbug] [--baseline shipped] [--dtype bfloat16]
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from bars import Bars
from injected import MaskedLM, Meaning, build
from rich.console import Console
from rich.table import Table

import robustbench_nlp as rb
from robustbench_nlp import helpers
from robustbench_nlp.attack import Help
from robustbench_nlp.attacks.textattack import find_nltk_data, silent
from robustbench_nlp.data import Dataset, load_dataset, match_labels
from robustbench_nlp.plugins import create
from robustbench_nlp.victim import VictimOptions, open_victim
from robustbench_nlp.victims.hf import HFVictim

RECIPES = {"deepwordbug": "DeepWordBugGao2018", "pwws": "PWWSRen2019"}
"""The library's own recipes; the others are built from its parts."""
SELECTORS = {
    "deepwordbug": "deepwordbug(variant='textattack')",
    "pwws": "pwws(variant='textattack')",
    "textfooler": "textfooler(verb_noun_swap=True)",
    "bae": "bae",
}
BARS = {
    ("deepwordbug", "shipped"): 20.0,
    ("deepwordbug", "trimmed"): 1.25,
    ("pwws", "shipped"): 12.0,
    ("pwws", "trimmed"): 1.15,
    ("textfooler", "trimmed"): 1.7,
    ("bae", "trimmed"): 1.7,
}
LOW_PRECISION = {
    ("deepwordbug", "shipped"): 40.0,
    ("deepwordbug", "trimmed"): 3.0,
    ("pwws", "trimmed"): 3.0,
    ("textfooler", "trimmed"): 3.5,
    ("bae", "trimmed"): 3.5,
}
"""The bars of a search in bfloat16, on a processor that multiplies matrices of it."""
APART = 0.05
"""By how much success rates may differ, in [0, 1]; by one example always."""

Side = Callable[[Dataset], "Measured"]
"""One side's run over some examples."""


class Watch:
    """Adds up the wall time that is spent in the calls it wraps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*arguments: Any, **settings: Any) -> Any:
            start = time.perf_counter()
            try:
                return call(*arguments, **settings)
            finally:
                self.seconds += time.perf_counter() - start

        return measured


class Measured(NamedTuple):
    """One side's run: seconds an example, mean queries of the attempted examples, successes, attempted examples, and the
    share of the wall time in forward passes and tokenisation, helper models included."""

    seconds: float
    queries: float
    successes: int
    attempted: int
    forward_share: float


def theirs(recipe: str, victim: HFVictim, *, pad_to: int | None) -> Side:
    """A run of the TextAttack recipe; `pad_to` None pads to the longest query of each call."""
    with silent():
        find_nltk_data()
        import textattack
        from textattack.models.wrappers import HuggingFaceModelWrapper
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        class Trimmed(HuggingFaceModelWrapper):  # type: ignore[misc]
            """Tokenises and predicts like its parent, but pads to the longest."""

            def __call__(self, texts: list[str]) -> Any:
                inputs = self.tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
                with torch.no_grad():
                    return self.model(**inputs).logits

        tokenizer = AutoTokenizer.from_pretrained(victim.folder, model_max_length=pad_to or victim._reader.max_length)
        model = AutoModelForSequenceClassification.from_pretrained(victim.folder).eval()
        wrapper = (HuggingFaceModelWrapper if pad_to else Trimmed)(model, tokenizer)
        if recipe in RECIPES:
            attack = getattr(textattack.attack_recipes, RECIPES[recipe]).build(wrapper)
        else:
            attack = build(create("attack", SELECTORS[recipe]), wrapper)
    watch = Watch()
    attack.goal_function.model = watch.timed(wrapper)
    if isinstance(edits := attack.transformation, MaskedLM):
        edits._encode_text = watch.timed(edits._encode_text)
        edits._language_model.forward = watch.timed(edits._language_model.forward)
    for rule in attack.constraints:
        if isinstance(rule, Meaning):
            rule.encode = watch.timed(rule.encode)

    def run(data: Dataset) -> Measured:
        watch.seconds = 0.0
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)
        start = time.perf_counter()
        results = [attack.attack(example.input, example.label) for example in data.examples]
        seconds = time.perf_counter() - start
        kinds = [type(result).__name__ for result in results]
        tried = [result for result, kind in zip(results, kinds, strict=True) if kind != "SkippedAttackResult"]
        queries = sum(result.num_queries for result in tried) / max(1, len(tried))
        successes = kinds.count("SuccessfulAttackResult")
        return Measured(seconds / len(results), queries, successes, len(tried), watch.seconds / seconds)

    return run


def ours(recipe: str, victim: HFVictim, dtype: str) -> Side:
    """A run of `evaluate`, records and tables included."""
    watch = Watch()
    provider = helpers.provider

    def timed(kind: type[Help], model: str, device: str = "auto", dtype: str = "float32") -> helpers.Answer:
        return watch.timed(provider(kind, model, device, dtype))

    def run(data: Dataset) -> Measured:
        helpers.provider = timed
        before, watch.seconds = victim.forward_seconds, 0.0
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            attack = SELECTORS[recipe]
            done = rb.evaluate(
                victim=victim, dataset=data, attacks=[attack], similarity="none", output=Path(folder), dtype=dtype
            )
            seconds = time.perf_counter() - start
            (row,) = done.table.to_dict("records")
        share = (victim.forward_seconds - before + watch.seconds) / seconds
        return Measured(seconds / row["n"], row["queries_mean"], row["successes"], row["attempted"], share)

    return run


def compare(title: str, sides: tuple[Side, Side], data: Dataset, pairs: int, *, bar: float, bars: Bars) -> Table:
    """A B A B …, after one example each to warm up; a line a pair; below them the median ratio, and by how many
    successes the sides of a pair differ at most, with their bars."""
    for side in sides:
        side(replace(data, examples=data.head(1)))
    table = Table(title=title)
    for column in ("pair", "TextAttack s/example", "ours s/example", "ratio", "queries", "successes", "in the model"):
        table.add_column(column, justify="right")
    ratios: list[float] = []
    apart = fewest = 0
    for pair in range(1, pairs + 1):
        one, two = (side(data) for side in sides)
        ratios.append(one.seconds / two.seconds)
        apart = max(apart, abs(one.successes - two.successes))
        fewest = min(one.attempted, two.attempted)
        table.add_row(
            str(pair),
            f"{one.seconds:.4f}",
            f"{two.seconds:.4f}",
            f"{ratios[-1]:.2f}",
            f"{one.queries:.1f} / {two.queries:.1f}",
            f"{one.successes}/{one.attempted} / {two.successes}/{two.attempted}",
            f"{one.forward_share:.1%} / {two.forward_share:.1%}",
        )
    middle = median(ratios)
    table.caption = (
        f"median ratio {middle:.2f}, {bars.at_least(middle, bar)}; at most {apart} of {fewest} successes apart, "
        f"{bars.at_most(apart, max(1, int(APART * fewest)))} ({100 * APART:g} points, or one example)"
    )
    return table


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--examples", type=int, default=50)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--only", choices=SELECTORS, help="one attack")
    parser.add_argument("--baseline", choices=["shipped", "trimmed"], help="one form of TextAttack")
    parser.add_argument(
        "--pad-to", type=int, default=512, help="the tokenizer's maximum length for 'shipped', in tokens"
    )
    parser.add_argument("--victim", default="minilm-mr")
    parser.add_argument("--dtype", default="float32", help="the precision of our search")
    options = parser.parse_args(arguments)
    victim = open_victim(options.victim, VictimOptions(device="cpu", dtype=options.dtype))
    assert isinstance(victim, HFVictim)
    data = match_labels(load_dataset("mr", "test"), victim.label_names, None)
    data = Dataset(name="mr", split="test", examples=data.head(options.examples), label_names=data.label_names)
    victim.predict([example.input for example in data.examples])
    console = Console(width=120)
    console.print(
        f"{options.examples} examples, {torch.get_num_threads()} threads, torch {torch.__version__}, {options.dtype}"
    )
    bars = Bars()
    for (recipe, baseline), bar in (BARS if options.dtype == "float32" else LOW_PRECISION).items():
        if options.only in (None, recipe) and options.baseline in (None, baseline):
            pad_to = options.pad_to if baseline == "shipped" else None
            sides = theirs(recipe, victim, pad_to=pad_to), ours(recipe, victim, options.dtype)
            console.print(compare(f"{recipe}, TextAttack {baseline}", sides, data, options.pairs, bar=bar, bars=bars))
    bars.end()


if __name__ == "__main__":
    main(sys.argv[1:])
