"""Intervals and tests against published and hand-computed values."""

from __future__ import annotations

import sys
from math import isnan, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_nlp.errors import UsageError
from robustbench_nlp.stats import (
    crossed_difference,
    crossed_mcnemar,
    holm,
    least_share,
    mcnemar,
    mean_difference,
    paired_difference,
    wilson,
    wilson_at,
)

CELLS = st.tuples(*[st.integers(0, 40)] * 4).filter(any)
CONFIDENCES = st.sampled_from([0.9, 0.95, 0.99])
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


@given(CELLS, CONFIDENCES)
def test_paired_difference_is_newcombes_tenth_method(cells, confidence):
    """As written in the paper: δ² = dl₁² − 2φ·dl₁·du₂ + du₂², the numerator of φ corrected by n/2 where it is positive."""
    a, b, c, d = cells
    n = sum(cells)
    (l1, u1), (l2, u2) = wilson(a + b, n, confidence), wilson(a + c, n, confidence)
    p1, p2 = (a + b) / n, (a + c) / n
    product = (a + b) * (c + d) * (a + c) * (b + d)
    excess = a * d - b * c
    corrected = excess - n / 2 if excess > n / 2 else min(excess, 0)
    phi = corrected / sqrt(product) if product else 0
    below = sqrt(max((p1 - l1) ** 2 - 2 * phi * (p1 - l1) * (u2 - p2) + (u2 - p2) ** 2, 0))
    above = sqrt(max((p2 - l2) ** 2 - 2 * phi * (p2 - l2) * (u1 - p1) + (u1 - p1) ** 2, 0))
    expected = pytest.approx((p1 - p2 - below, p1 - p2 + above), abs=1e-9)
    assert crossed_difference(*cells, confidence) == expected
    assert paired_difference(*crossed(*cells), confidence) == expected


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ((30, 0, 0, 0), -0.1135),  # by hand: one margin is empty, φ = 0
        ((1, 0, 0, 0), -0.7935),
        ((0, 5, 0, 0), 0.3855),
        ((1, 0, 0, 1), -0.5734),  # ad − bc = 1 is less than n/2, so that φ = 0: √2 times the reach of 1 of 2
    ],
)
def test_paired_difference_where_no_correlation_can_be_told(cells, expected):
    assert crossed_difference(*cells).low == pytest.approx(expected, abs=5e-5)
    assert crossed_difference(*cells) == crossed_difference(*cells, 0.95)


@given(st.integers(1, 200), st.data())
def test_wilson_at_whole_numbers_is_wilson(n, data):
    successes, confidence = data.draw(st.integers(0, n)), data.draw(CONFIDENCES)
    assert wilson_at(successes / n, n, confidence) == pytest.approx(wilson(successes, n, confidence), abs=1e-9)
    assert wilson_at(successes / n, n) == pytest.approx(wilson(successes, n), abs=1e-9)


def test_wilson_at_parts_of_an_example():
    # z = 1.959964, z² = 3.841459; share 1/2 worth 2.5: middle 0.5, reach z·√(0.1 + z²/25) / (1 + z²/2.5)
    reach = 1.959964 * sqrt(0.1 + 3.841459 / 25) / (1 + 3.841459 / 2.5)
    assert wilson_at(0.5, 2.5) == pytest.approx((0.5 - reach, 0.5 + reach), abs=1e-6)
    assert wilson_at(0.0, 0.5).low == 0.0
    assert all(wilson_at(1.0, n / 7).high <= 1.0 for n in range(1, 500))
    assert wilson_at(0.3, 1e9) == pytest.approx((0.3, 0.3), abs=1e-4)
    assert all(isnan(end) for n in (0, -1.0) for end in wilson_at(0.5, n))


def test_least_share_is_clopper_and_pearsons_bound():
    from scipy.stats import beta

    assert least_share(0, 50, 0.05) == 0.0
    assert least_share(100, 100, 0.001) == pytest.approx(0.001 ** (1 / 100))  # n of n: α^(1/n)
    assert least_share(99_000, 100_000, 0.001) == pytest.approx(beta.ppf(0.001, 99_000, 1001))
    assert least_share(7, 10, 0.05) == pytest.approx(beta.ppf(0.05, 7, 4))


def test_holm_by_hand():
    # ascending 0.005·4, 0.01·3, 0.03·2, 0.04·1, none below the one before it
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.02, 0.03]) == pytest.approx([0.04, 0.04])
    assert holm([0.04]) == [0.04]
    assert holm([]) == []


def test_holm_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "statsmodels.stats.multitest", None)
    with pytest.raises(UsageError) as refused:
        holm([0.1, 0.2])
    assert str(refused.value) == "several tests are corrected by statsmodels; pip install 'robustbench-nlp[stats]'"


def test_crossed_mcnemar_by_hand():
    assert crossed_mcnemar(0, 0) == 1.0
    assert crossed_mcnemar(5, 0) == pytest.approx(2 / 32)  # all five of five flips go one way, in either direction
    assert crossed_mcnemar(1, 4) == pytest.approx(2 * (1 + 5) / 32)
    assert crossed_mcnemar(3, 3) == 1.0


def test_mean_difference_of_two_and_by_confidence():
    # differences 1, 3: mean 2, standard error √2/√2 = 1, t(0.975, 1) = 12.7062, t(0.95, 1) = 6.3138
    assert mean_difference([2, 4], [1, 1]) == pytest.approx((2 - 12.7062, 2 + 12.7062), abs=1e-4)
    assert mean_difference([2, 4], [1, 1], 0.9) == pytest.approx((2 - 6.3138, 2 + 6.3138), abs=1e-4)
