"""Intervals and tests against published and hand-computed values."""

from __future__ import annotations

from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_nlp.stats import mcnemar, mean_difference, paired_difference, wilson

PAIRS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


def crossed(both: int, only_first: int, only_second: int, neither: int) -> tuple[list[bool], list[bool]]:
    first = [True] * (both + only_first) + [False] * (only_second + neither)
    second = [True] * both + [False] * only_first + [True] * only_second + [False] * neither
    return first, second


@pytest.mark.parametrize(
    ("successes", "n", "percent"),
    [(29, 200, (10.3, 20.0)), (0, 200, (0.0, 1.9)), (200, 200, (98.1, 100.0)), (533, 1066, (47.0, 53.0))],
)
def test_wilson_agrees_with_known_values(successes, n, percent):
    assert tuple(round(100 * end, 1) for end in wilson(successes, n)) == percent


def test_nothing_gives_nan():
    assert all(isnan(end) for interval in (wilson(0, 0), paired_difference([], [])) for end in interval)
    assert all(isnan(end) for end in mean_difference([1.0], [0.0]))


@pytest.mark.parametrize(
    ("cells", "interval", "p"),
    [
        ((1, 1, 7, 12), (-0.507, -0.026), 0.0703),  # airway reactivity before and after a transplantation, n = 21
        ((36, 12, 2, 0), (0.0569, 0.3404), 0.0129),  # the first worked table of Newcombe (1998)
    ],
)
def test_paired_methods_agree_with_published_values(cells, interval, p):
    first, second = crossed(*cells)
    assert paired_difference(first, second) == pytest.approx(interval, abs=5e-4)
    assert mcnemar(first, second) == pytest.approx(p, abs=5e-5)


def test_no_differing_pair_still_leaves_doubt():
    verdicts = [True] * 30 + [False] * 30
    low, high = paired_difference(verdicts, verdicts)
    assert low < 0 < high
    assert mcnemar(verdicts, verdicts) == 1.0


@given(PAIRS)
def test_paired_difference_holds_the_difference_and_mirrors(pairs):
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    low, high = paired_difference(first, second)
    assert -1 - 1e-9 <= low <= (sum(first) - sum(second)) / len(pairs) <= high <= 1 + 1e-9
    assert paired_difference(second, first) == pytest.approx((-high, -low))
    assert mcnemar(first, second) == pytest.approx(mcnemar(second, first))


def test_mean_difference_by_hand():
    # differences 1, 2, 3: mean 2, standard error 1/√3, t(0.975, 2) = 4.302653
    assert mean_difference([2, 4, 6], [1, 2, 3]) == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5))


@pytest.mark.parametrize("function", [mcnemar, paired_difference, mean_difference])
def test_unequal_lengths_are_refused(function):
    with pytest.raises(ValueError, match=r"shorter|longer"):
        function([True, False, True], [True])
