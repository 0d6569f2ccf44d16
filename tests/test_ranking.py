"""Ranks by significance: what chance can't explain parts entries, all else shares a place."""

from __future__ import annotations

import sys
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from texts import complaint

import robustbench_nlp as rb
from robustbench_nlp.ranking import standings
from robustbench_nlp.stats import holm, mcnemar

SIDES = st.integers(1, 40).flatmap(
    lambda n: st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=1, max_size=5)
)


def side(right: int, n: int, start: int = 0) -> dict[str, bool]:
    """Right on `right` examples from `start` on, around the end."""
    return {f"e{i}": (i - start) % n < right for i in range(n)}


def test_only_significantly_better_entries_count() -> None:
    ranks = rb.rank({"worst": side(20, 200), "best": side(120, 200), "close": side(115, 200), "middle": side(60, 200)})
    assert ranks == {"worst": 4, "best": 1, "close": 1, "middle": 3}
    assert list(ranks) == ["worst", "best", "close", "middle"]


def test_standings_tell_who_is_better_and_who_ties() -> None:
    best, close, far = standings({"far": side(60, 200), "best": side(120, 200), "close": side(115, 200)})
    assert (best.name, close.name, far.name) == ("best", "close", "far")
    assert far.better == ("best", "close")
    assert (best.tied, close.tied, far.tied) == (True, True, False)
    assert close.p_best == pytest.approx(2 * 0.5**5)
    assert best.interval.low < best.accuracy == 0.6 < best.interval.high


def test_holm_counts_every_pair() -> None:
    """Nine pairs that all differ one way, p = 2 · 0.5⁹: enough for two entries, not for one pair of 21."""
    pair = {"a": side(9, 20), "b": side(0, 20)}
    assert rb.rank(pair) == {"a": 1, "b": 2}
    crowd = pair | {f"c{i}": side(4, 20, 2) for i in range(5)}
    assert rb.rank(crowd)["b"] == 1


def test_chance_seldom_parts_equals() -> None:
    """The chance that any of five equal entries stands behind another is at most 5 %."""
    rng, parted = Random(0), 0
    for _ in range(100):
        made = {name: {str(i): rng.random() < 0.4 for i in range(60)} for name in "abcde"}
        parted += max(rb.rank(made).values()) > 1
    assert parted <= 9


@settings(max_examples=40, deadline=None)
@given(SIDES)
def test_ranks_are_what_the_tests_say(found: list[list[bool]]) -> None:
    sides = {str(k): {str(i): value for i, value in enumerate(values)} for k, values in enumerate(found)}
    ranks = rb.rank(sides)
    top = max(sum(values) for values in found)
    assert all(ranks[str(k)] == 1 for k, values in enumerate(found) if sum(values) == top)
    pairs = [(a, b) for a in range(len(found)) for b in range(a)]
    for (a, b), p in zip(pairs, holm([mcnemar(found[a], found[b]) for a, b in pairs]), strict=True):
        if p < 0.05 and len(found) == 2:
            worse = min(a, b, key=lambda k: sum(found[k]))
            assert ranks[str(worse)] == 2


def test_what_cannot_be_ranked_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rb.rank({}) == {}
    assert "a and b have other examples" in complaint(lambda: rb.rank({"a": side(1, 3), "b": side(1, 4)}))
    assert "no examples" in complaint(lambda: rb.rank({"a": {}}))
    monkeypatch.setitem(sys.modules, "statsmodels.stats.multitest", None)
    three = {name: side(1, 3) for name in "abc"}
    assert "pip install 'robustbench-nlp[stats]'" in complaint(lambda: rb.rank(three))
    assert rb.rank({"a": side(1, 3), "b": side(2, 3)}) == {"a": 1, "b": 1}
