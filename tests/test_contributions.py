"""What members add to an ensemble: exact numbers from hand-made records, and what holds for any records."""

from __future__ import annotations

from itertools import pairwise
from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_nlp.errors import UsageError
from robustbench_nlp.records import Record
from robustbench_nlp.report.contributions import CONTRIBUTIONS, contributions

OUTCOMES = {"x": "success", ".": "failed", "-": "skipped", "!": "error", "s": "settled"}


def records(pattern: str, queries: int = 10) -> list[Record]:
    """One record a character: x broken, . left right, - wrong before, ! an error of a clean example."""
    return [
        Record(
            example_id=f"e{i}",
            label=1,
            original="a fine film",
            outcome=OUTCOMES[mark],
            clean_prediction=0 if mark == "-" else 1,
            queries=queries,
        )
        for i, mark in enumerate(pattern)
    ]


def test_exact_numbers():
    frame = contributions(
        {
            ("none", "narrow"): records("x.....x.--", 5),
            ("none", "wide"): records("xxxx....--", 50),
            ("none", "idle"): records("xx......--", 20),
        }
    )
    assert tuple(frame.columns) == CONTRIBUTIONS
    assert frame["attack"].tolist() == ["wide", "narrow", "idle"]
    assert frame["rank"].tolist() == [1, 2, 3]
    assert frame["robust_so_far"].tolist() == [0.4, 0.3, 0.3]
    assert frame["robust_accuracy"].tolist() == [0.4, 0.6, 0.6]
    assert frame["adds"].tolist() == [0.2, 0.1, 0.0]
    assert frame["breaks_alone"].tolist() == [2, 1, 0]
    assert frame["queries_mean"].tolist() == [50, 5, 20]
    assert set(frame["clean_accuracy"]) == {0.8}
    assert set(frame["n"]) == {10}


def test_equal_members_stand_by_cost_then_as_named():
    frame = contributions(
        {("none", name): records("x.", queries) for name, queries in [("b", 9), ("dear", 30), ("a", 9)]}
    )
    assert frame["attack"].tolist() == ["b", "a", "dear"]
    assert frame["adds"].tolist() == [0.0, 0.0, 0.0]


def test_a_single_member_adds_all_that_it_breaks():
    (row,) = contributions({("none", "only"): records("xx..-")}).to_dict("records")
    assert (row["adds"], row["breaks_alone"], row["robust_so_far"]) == (0.4, 2, 0.4)


def test_an_error_is_neither_right_nor_broken():
    frame = contributions({("none", "a"): records("!..x"), ("none", "b"): records("....")}).set_index("attack")
    assert frame.loc["a", "clean_accuracy"] == 1.0
    assert frame.loc["a", "breaks_alone"] == 1
    assert frame.loc["a", "adds"] == 0.5  # it keeps the errored example from being right


def test_each_defense_has_its_own_rows_and_members_can_be_named():
    cells = {
        (defense, attack): records(pattern)
        for defense, attack, pattern in [
            ("none", "a", "xx.."),
            ("none", "b", ".x.."),
            ("none", "baseline", "..x."),
            ("spell", "a", "...."),
            ("spell", "b", "x..."),
        ]
    }
    frame = contributions(cells, members=["a", "b"])
    assert list(zip(frame["defense"], frame["attack"], strict=True)) == [
        ("none", "a"),
        ("none", "b"),
        ("spell", "b"),
        ("spell", "a"),
    ]
    assert frame["breaks_alone"].tolist() == [1, 0, 1, 0]


def test_a_cascade_and_other_examples_are_refused():
    with pytest.raises(UsageError, match="b ran in a cascade"):
        contributions({("none", "a"): records("x."), ("none", "b"): records("s.")})
    with pytest.raises(UsageError, match="b has other examples"):
        contributions({("none", "a"): records("x."), ("none", "b"): records("...")})


def test_nothing_gives_an_empty_table_and_no_examples_no_rates():
    assert contributions({}).empty
    (row,) = contributions({("none", "a"): []}).to_dict("records")
    assert isnan(row["robust_accuracy"])
    assert isnan(row["queries_mean"])


@given(st.lists(st.tuples(*[st.sampled_from("x.")] * 3), min_size=1, max_size=30))
def test_the_order_falls_to_the_worst_case(outcomes):
    cells = {
        ("none", name): records("".join(column))
        for name, column in zip("abc", zip(*outcomes, strict=True), strict=True)
    }
    frame = contributions(cells)
    left = [len(outcomes), *(frame["robust_so_far"] * len(outcomes)).round().astype(int)]
    steps = [before - after for before, after in pairwise(left)]
    assert min(steps) >= 0
    assert steps[0] == max(steps)
    assert left[-1] == outcomes.count((".", ".", "."))
    assert (frame["breaks_alone"] / len(outcomes)).tolist() == pytest.approx(frame["adds"].tolist())
    assert (frame["adds"] <= 1 - frame["robust_accuracy"] + 1e-12).all()
