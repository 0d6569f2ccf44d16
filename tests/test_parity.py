"""Parity: the TextAttack variants of our attacks beside the real library, on the same victim and examples.

Both run through the engine, so that both see the same rounded probabilities and the same referee judges both; the
library's first query repeats the clean prediction, which is taken off its count. `docs/parity.md` explains what differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import nltk_folder
import pytest

from robustbench_nlp.data import load_dataset
from robustbench_nlp.data.example import Example
from robustbench_nlp.engine import Engine
from robustbench_nlp.plugins import create
from robustbench_nlp.records import Record
from robustbench_nlp.stats import mean_difference
from robustbench_nlp.victim import Victim, VictimOptions, open_victim

Records = list[Record]


@pytest.fixture(scope="module", autouse=True)
def nltk_data() -> None:
    nltk_folder.ensure()


@pytest.fixture(scope="module")
def tfidf() -> Victim:
    return open_victim("tfidf-mr", VictimOptions())


@pytest.fixture(scope="module")
def minilm() -> Victim:
    return open_victim("minilm-mr", VictimOptions(device="cpu"))


def both(attack: str, victim: Victim, examples: Sequence[Example], seed: int = 0) -> tuple[Records, Records]:
    """Our records and the library's, example by example, those that were classified right."""
    sides = []
    for selector in (f"{attack}(variant='textattack')", f"textattack:{attack}"):
        found = {
            record.example_id: record for record in Engine(create("attack", selector), victim, seed=seed).run(examples)
        }
        records = [found[example.id] for example in examples]
        assert not [record.error for record in records if record.error]
        sides.append([record for record in records if record.outcome != "skipped"])
    return sides[0], sides[1]


def queries(ours: Records, theirs: Records) -> float:
    """The ratio of the mean queries, ours to theirs."""
    return sum(record.queries for record in ours) / sum(record.queries - 1 for record in theirs)


def check_pwws(victim: Victim, limit: int) -> None:
    examples = load_dataset("mr", "test").head(limit)
    ours, theirs = both("pwws", victim, examples)
    different = [a.original for a, b in zip(ours, theirs, strict=True) if a.outcome != b.outcome]
    assert len(different) <= limit // 100, different
    successes = [(a.adversarial, b.adversarial) for a, b in zip(ours, theirs, strict=True) if b.outcome == "success"]
    assert sum(a == b for a, b in successes) >= 0.95 * len(successes), [
        pair for pair in successes if pair[0] != pair[1]
    ]
    assert queries(ours, theirs) == pytest.approx(1, abs=0.05)


def check_random(attack: str, victim: Victim, limit: int, seeds: int, queries_within: float) -> None:
    """Equivalence, not absence of evidence: the 90 % interval of the paired difference in success lies within ±5 points."""
    examples = load_dataset("mr", "test").head(limit)
    runs = [both(attack, victim, examples, seed) for seed in range(seeds)]

    def rates(side: int) -> list[float]:
        by_example: Any = zip(*(run[side] for run in runs), strict=True)
        return [sum(record.outcome == "success" for record in records) / seeds for records in by_example]

    low, high = mean_difference(rates(0), rates(1), confidence=0.90)
    assert -0.05 <= low <= high <= 0.05
    ratios = [queries(*run) for run in runs]
    assert sum(ratios) / seeds == pytest.approx(1, abs=queries_within)


def test_pwws_on_tfidf(tfidf: Victim) -> None:
    check_pwws(tfidf, 40)


@pytest.mark.slow
def test_pwws_on_minilm(minilm: Victim) -> None:
    check_pwws(minilm, 100)


@pytest.mark.slow
@pytest.mark.parametrize(("attack", "queries_within"), [("deepwordbug", 0.05), ("pruthi", 0.12)])
def test_random_attacks_on_tfidf(attack: str, queries_within: float, tfidf: Victim) -> None:
    check_random(attack, tfidf, 200, 3, queries_within)


@pytest.mark.slow
def test_deepwordbug_on_minilm(minilm: Victim) -> None:
    check_random("deepwordbug", minilm, 200, 3, 0.05)
