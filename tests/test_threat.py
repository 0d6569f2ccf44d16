"""Threats: each limit at its edge, in words; alignment against a second implementation of the published rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_nlp.errors import UsageError
from robustbench_nlp.threat import DELETION, Changes, Threat, align, leaves_out, measure, other_limits, violations

ORIGINAL = "a fine film and a good cast"
WORDS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=6)
Pairs = tuple[tuple[str, str], ...]


def by_rule(before: Sequence[str], after: Sequence[str]) -> tuple[int, Pairs]:
    """Cost and changes of the cheapest alignment, by recursion: of equals, substitution before deletion before insertion."""
    if not before or not after:
        return len(before) + len(after), (*((word, "") for word in before), *(("", word) for word in after))
    steps = []
    for old, new, rest in (
        (before[0], after[0], (before[1:], after[1:])),
        (before[0], "", (before[1:], after)),
        ("", after[0], (before, after[1:])),
    ):
        cost, pairs = by_rule(*rest)
        steps.append((cost + (old != new), ((old, new), *pairs) if old != new else pairs))
    return min(steps, key=lambda step: step[0])  # the first of equals


@given(WORDS, WORDS)
def test_align_is_the_published_rule(before: list[str], after: list[str]) -> None:
    cost, pairs = by_rule(before, after)
    assert tuple(align(before, after)) == pairs
    assert len(pairs) == cost


@pytest.mark.parametrize(
    ("before", "after", "pairs"),
    [
        ("a b", "a b", []),
        ("a b", "b", [("a", "")]),
        ("b", "a b", [("", "a")]),
        ("a b c", "x b y", [("a", "x"), ("c", "y")]),
        ("a b c d", "b c d e", [("a", ""), ("", "e")]),  # cheaper than four substitutions
        ("p a", "p b a c", [("", "b"), ("", "c")]),
        ("p q r a", "p q r", [("a", "")]),  # a longer beginning in common
    ],
)
def test_align_by_hand(before: str, after: str, pairs: Pairs) -> None:
    assert align(before.split(), after.split()) == pairs


def test_measure_counts_words_and_characters() -> None:
    assert measure(ORIGINAL, "a fine movie and a good cast") == Changes(1, 7, 5)
    assert measure("", "") == Changes(0, 0, 0)
    assert measure("a b", "") == Changes(2, 2, 3)


@pytest.mark.parametrize(
    ("limits", "total", "most"),
    [
        ({}, 9, None),
        ({"max_words_changed": 3}, 9, 3),
        ({"max_words_share": 0.25}, 9, 2),
        ({"max_words_share": 0.25}, 3, 1),  # at least one
        ({"max_words_share": 0.25}, 0, 1),
        ({"max_words_share": 0.29}, 100, 29),  # 0.29 × 100 = 28.999999999999996 in floating point
        ({"max_words_share": 0.5, "max_words_changed": 3}, 4, 2),
        ({"max_words_share": 0.5, "max_words_changed": 3}, 40, 3),
    ],
)
def test_most_words(limits: dict[str, Any], total: int, most: int | None) -> None:
    assert Threat(name="t", **limits).most_words(total) == most


@pytest.mark.parametrize(
    ("limits", "inside", "outside", "said"),
    [
        (
            {"max_words_changed": 1},
            "a fine movie and a good cast",
            "one fine movie and a good cast",
            "2 of 7 words changed, at most 1 allowed",
        ),
        (
            {"max_words_share": 0.3},
            "a dull film and a bad cast",
            "one dull film and a bad cast",
            "3 of 7 words changed, at most 2 allowed",
        ),
        (
            {"max_words_exchanged": 1},
            "A fine cast and a good FILM",  # order and case aside, nothing is exchanged
            "a dull film and a bad cast",
            "2 words exchanged, at most 1 allowed",
        ),
        (
            {"max_words_exchanged": 1},
            "a fine film and a good cast too",
            "a film a good cast",
            "2 words exchanged, at most 1 allowed",
        ),
        (
            {"max_words_exchanged": 1},
            "a fine movie and a good cast",
            "a fine film and a good cast by far",
            "2 words exchanged, at most 1 allowed",
        ),
        (
            {"max_edits": 2},
            "a fin film and a god cast",
            "a fi film and a god cast",
            "3 characters edited, at most 2 allowed",
        ),
        (
            {"max_edits_per_word": 1},
            "a fin film and a god cast",
            "a fi film and a od cast",
            "'fine' became 'fi': 2 edits, at most 1 a word",
        ),
        (
            {"candidates": DELETION},
            "fine film a good cast",
            "film fine and a good cast",
            "more than words left out, or no word left",
        ),
        ({"candidates": DELETION}, ORIGINAL, "", "more than words left out, or no word left"),
    ],
)
def test_a_limit_holds_at_its_edge_and_says_what_is_beyond(
    limits: dict[str, Any], inside: str, outside: str, said: str
) -> None:
    threat = Threat(name="t", **limits)
    assert violations(threat, ORIGINAL, ORIGINAL) == []
    assert violations(threat, ORIGINAL, inside) == []
    assert violations(threat, ORIGINAL, outside) == [said]


def test_every_broken_limit_is_told_and_of_words_the_first() -> None:
    threat = Threat(name="t", max_words_changed=1, max_edits=1, max_edits_per_word=1)
    assert violations(threat, "good film", "bd movie") == [
        "2 of 2 words changed, at most 1 allowed",
        "8 characters edited, at most 1 allowed",
        "'good' became 'bd': 3 edits, at most 1 a word",
    ]


@pytest.mark.parametrize(
    ("after", "left_out"),
    [("a b c", True), ("a c", True), ("c", True), ("c a", False), ("a a", False), ("", False), ("a b c d", False)],
)
def test_leaves_out(after: str, left_out: bool) -> None:
    assert leaves_out(["a", "b", "c"], after.split()) is left_out


def test_other_limits_are_in_the_name_unless_it_is_given() -> None:
    threat = Threat(name="char_30", knowledge="score", max_edits=30)
    made = other_limits(threat, {"max_edits": 2, "max_queries": 9})
    assert made == Threat(name="char_30[max_edits=2,max_queries=9]", max_edits=2, max_queries=9)
    assert str(made) == "char_30[max_edits=2,max_queries=9]@1"
    assert other_limits(threat, {"name": "mine", "version": 2}) == Threat(name="mine", version=2, max_edits=30)
    assert other_limits(threat, {"knowledge": "decision"}).knowledge == "decision"
    assert other_limits(threat, {"knowledge": "score"}).knowledge == "score"
    assert other_limits(Threat(name="t", knowledge="gradient"), {"knowledge": "score"}).knowledge == "score"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"max_edit": 2}, "no field of a threat 'max_edit'; did you mean 'max_edits'?"),
        ({"knowledge": "gradient"}, "the knowledge of t@1 is score and can't be 'gradient'; leave it or lower it"),
        ({"knowledge": "all"}, "the knowledge of t@1 is score and can't be 'all'; leave it or lower it"),
    ],
)
def test_other_limits_that_cannot_be(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        other_limits(Threat(name="t"), values)
    assert str(refused.value).startswith(said)
