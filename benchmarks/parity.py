"""Our attacks beside TextAttack's, on the same victim, examples, engine and referee: how far do the results agree?

An attack with a variant of TextAttack's is held against the library's recipe, the others against the library's parts with
our resources and settings (`injected.py`). Usage: parity.py "ATTACK(setting=…)" [--victim tfidf-mr] [--examples N] [--seeds K] [--differences]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from injected import Injected
from rich.console import Console

from robustbench_nlp.attack import Attack
from robustbench_nlp.attacks.textattack import TextAttack
from robustbench_nlp.data import load_dataset
from robustbench_nlp.data.example import Example
from robustbench_nlp.engine import Engine
from robustbench_nlp.helpers import Helpers
from robustbench_nlp.plugins import create
from robustbench_nlp.records import Record
from robustbench_nlp.stats import Interval, mean_difference
from robustbench_nlp.victim import Victim, VictimOptions, open_victim

__all__ = ["Compared", "compare", "counterpart"]

Pair = tuple[Record, Record]
"""Our record of an example and the library's, for a seed."""


class Compared(NamedTuple):
    """Both sides' records of the attempted examples, seed by seed."""

    runs: list[list[Pair]]

    @property
    def pairs(self) -> list[Pair]:
        return [pair for run in self.runs for pair in run]

    @property
    def different(self) -> list[Pair]:
        """The pairs in which one side succeeds and the other doesn't."""
        return [(a, b) for a, b in self.pairs if a.outcome != b.outcome]

    @property
    def successes(self) -> list[Pair]:
        """The pairs in which both sides succeed."""
        return [(a, b) for a, b in self.pairs if a.outcome == b.outcome == "success"]

    @property
    def same_texts(self) -> int:
        """How many of the common successes are the same text."""
        return sum(a.adversarial == b.adversarial for a, b in self.successes)

    def rates(self, side: int) -> list[float]:
        """By example: the share of seeds with a success; side 0 is ours."""
        by_example = zip(*self.runs, strict=True)
        return [sum(pair[side].outcome == "success" for pair in pairs) / len(pairs) for pairs in by_example]

    def success(self, side: int) -> float:
        """The rate of success; side 0 is ours."""
        rates = self.rates(side)
        return sum(rates) / len(rates)

    @property
    def difference(self) -> Interval:
        """The 90 % interval of the paired difference in the rate of success, ours less theirs."""
        return mean_difference(self.rates(0), self.rates(1), confidence=0.90)

    def queries(self, side: int) -> float:
        """The mean queries; the library's first one repeats the clean prediction and is taken off."""
        return sum(pair[side].queries - side for pair in self.pairs) / len(self.pairs)

    @property
    def query_ratio(self) -> float:
        return self.queries(0) / self.queries(1)


def counterpart(ours: Attack, victim: Victim) -> Attack:
    """The library's side of one of our attacks."""
    if getattr(ours, "variant", None) == "textattack":
        return TextAttack(recipe=type(ours).__module__.rpartition(".")[2])
    return Injected(ours=ours, tokenizer=str(getattr(victim, "folder", None) or ""))


def compare(ours: Attack, victim: Victim, examples: Sequence[Example], seeds: int = 1) -> Compared:
    """Attack the examples from both sides, with one seed after another."""
    theirs = counterpart(ours, victim)
    return Compared([_run(ours, theirs, victim, examples, seed) for seed in range(seeds)])


def _run(ours: Attack, theirs: Attack, victim: Victim, examples: Sequence[Example], seed: int) -> list[Pair]:
    helpers = Helpers("cpu")

    def records(attack: Attack) -> Iterator[Record]:
        engine = Engine(attack, victim, name=type(ours).__name__, seed=seed, helpers=helpers)
        found = {record.example_id: record for record in engine.run(examples)}
        errors = [record.error for record in found.values() if record.error]
        if errors:
            raise RuntimeError(f"{type(attack).__name__}: {errors[0]}")
        return (found[example.id] for example in examples)

    pairs = zip(records(ours), records(theirs), strict=True)
    return [(a, b) for a, b in pairs if a.outcome != "skipped"]


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("attacks", nargs="+", help="attacks with their settings, as on the command line of the project")
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--victim", default="tfidf-mr")
    parser.add_argument("--differences", action="store_true", help="print the examples whose outcomes differ")
    options = parser.parse_args(arguments)
    victim = open_victim(options.victim, VictimOptions(device="cpu"))
    examples = load_dataset("mr", "test").head(options.examples)
    console = Console(width=200, highlight=False)
    for selector in options.attacks:
        made = compare(create("attack", selector), victim, examples, options.seeds)
        low, high = made.difference
        equal = sum(a.queries == b.queries - 1 for a, b in made.pairs)
        console.print(
            f"{selector} on {options.victim}, {options.seeds} x {options.examples} examples, {len(made.runs[0])} attempted: "
            f"outcomes equal {len(made.pairs) - len(made.different)} of {len(made.pairs)}, texts {made.same_texts} of "
            f"{len(made.successes)} common successes; success {made.success(0):.1%} / {made.success(1):.1%}, 90 % interval "
            f"of the difference {100 * low:+.1f} to {100 * high:+.1f} points; queries {made.queries(0):.1f} / "
            f"{made.queries(1):.1f}, ratio {made.query_ratio:.2f}, equal for {equal}",
            markup=False,
            soft_wrap=True,
        )
        if options.differences:
            for a, b in made.different:
                texts = f"original: {a.original}\n  ours: {a.adversarial}\n  theirs: {b.adversarial}"
                console.print(f"{a.outcome} / {b.outcome}\n  {texts}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    main(sys.argv[1:])
