"""The bootstrap against closed forms, and the coverage and size of what it says of attack success rates."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest

from robustbench_nlp.records import Outcome, Record
from robustbench_nlp.resampling import bootstrap_difference, success_rate_difference
from robustbench_nlp.stats import mean_difference, paired_difference

OUTCOMES: dict[str, Outcome] = {"x": "success", ".": "failed", "-": "skipped", "!": "error", "s": "settled"}


def cell(marks: str) -> dict[str, Record]:
    """A character an example."""
    return {
        str(i): Record(example_id=str(i), label=0, original="", outcome=OUTCOMES[mark]) for i, mark in enumerate(marks)
    }


def test_accuracies_agree_with_the_closed_form() -> None:
    first, second = [True] * 120 + [False] * 80, [True] * 80 + [False] * 100 + [True] * 20
    found = bootstrap_difference(first, second)
    assert found.difference == pytest.approx(0.1)
    assert found.interval == pytest.approx(paired_difference(first, second), abs=0.012)
    assert found == bootstrap_difference(first, second)
    assert found.p != bootstrap_difference(first, second, seed=1).p
    mirrored = bootstrap_difference(second, first)
    assert mirrored.interval == pytest.approx((-found.interval.high, -found.interval.low), abs=0.012)
    assert 0.005 < found.p < 0.02  # McNemar's exact p is 0.013


def test_numbers_agree_with_the_t_interval() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(50, 9, 150), rng.normal(48, 9, 150)
    found = bootstrap_difference(first.tolist(), second.tolist())
    assert found.interval == pytest.approx(mean_difference(first.tolist(), second.tolist()), abs=0.2)


def test_rates_by_hand() -> None:
    first, second = cell("xxxx....--" * 10), cell("xx......x-" * 10)
    found = success_rate_difference(first, second)
    assert found.difference == pytest.approx(4 / 8 - 3 / 9)
    assert 0 < found.interval.low < found.difference < found.interval.high
    assert found.p < 0.01
    swapped = success_rate_difference(second, first)
    assert swapped.difference == pytest.approx(-found.difference)
    assert swapped.p == pytest.approx(found.p, abs=0.005)


def test_only_examples_of_both_and_only_attempted_ones_count() -> None:
    first, second = cell("x.x.-!s" * 6), cell("x.x.-!s" * 6 + "xxxx")
    same = success_rate_difference(first, second)
    assert same.difference == 0
    assert isnan(same.p)  # no resample differs


def test_few_flips_give_no_p() -> None:
    """Nine flips one way are p = 0.004, for which resampling would say 0.0002."""
    assert isnan(success_rate_difference(cell("x" * 9 + "x" * 40), cell("." * 9 + "x" * 40)).p)
    assert success_rate_difference(cell("x" * 10 + "x" * 40), cell("." * 10 + "x" * 40)).p < 0.001
    assert success_rate_difference(cell("-" * 10 + "x." * 20), cell("x" * 5 + "." * 5 + "x." * 20)).p > 0.5


@pytest.mark.parametrize(("one", "other"), [("", ""), ("x", "."), ("--", ".."), ("xxxx", "....")])
def test_what_resampling_cannot_tell_is_nan(one: str, other: str) -> None:
    found = success_rate_difference(cell(one), cell(other))
    assert isnan(found.p)
    assert isnan(found.interval.low)


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        bootstrap_difference([True], [True, False])


def test_the_interval_of_rates_holds_the_truth_and_seldom_parts_equals() -> None:
    """Sides of unequal clean accuracy (80 and 60 %) and correlated fates; equal rates of 60 %."""
    rng, n, trials = np.random.default_rng(2), 120, 150
    held = parted = 0
    for _ in range(trials):
        shared = rng.random((2, n))
        sides = []
        for clean in (0.8, 0.6):
            own = np.where(rng.random((2, n)) < 0.5, shared, rng.random((2, n)))
            sides.append("".join("-" if a > clean else "x" if b < 0.6 else "." for a, b in own.T))
        found = success_rate_difference(cell(sides[0]), cell(sides[1]), resamples=499)
        held += found.interval.low <= 0 <= found.interval.high
        parted += found.p < 0.05
    assert held / trials > 0.89
    assert parted / trials < 0.11
