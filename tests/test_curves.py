"""Curves against budgets, and the power of paired comparisons."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import isnan
from pathlib import Path
from random import Random

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustbench_nlp.api import evaluate
from robustbench_nlp.curves import COLUMNS, accuracy_by_queries, accuracy_by_words, of_fewest_words
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.power import detectable, needed
from robustbench_nlp.recorded import Cell, recorded_cells
from robustbench_nlp.records import Record
from robustbench_nlp.report.charts import query_charts, word_charts
from robustbench_nlp.report.files import written
from robustbench_nlp.stats import mcnemar

PAIRS = [
    (f"{words} number {i}", 1) for i in range(6) for words in ("a good and great but dull film", "a fine, bad film")
]


def test_a_budgets_point_is_what_a_run_with_that_budget_finds(tmp_path: Path) -> None:
    settings = {"victim": KeywordVictim(), "dataset": PAIRS, "attacks": ["deepwordbug"], "similarity": "none"}
    whole = evaluate(output=tmp_path / "whole", **settings)  # type: ignore[arg-type]
    (records,) = whole.records.values()
    points = accuracy_by_queries(records)
    for budget in (2, 8, 11, 14, 100):
        run = evaluate(output=tmp_path / str(budget), max_queries=budget, **settings)  # type: ignore[arg-type]
        told = [point.accuracy for point in points if point.spent <= budget][-1]
        assert told == pytest.approx(run.table["robust_accuracy"].iloc[0])


def record(outcome: str, *, queries: int = 9, first: int | None = None, words: int | None = None) -> Record:
    made = Record(example_id="", label=0, original="", outcome="failed", queries=queries)
    return replace(made, outcome=outcome, first_success_query=first, words_changed=words)  # type: ignore[arg-type]


def test_curves_by_hand() -> None:
    records = [
        record("skipped"),
        record("failed"),
        record("success", first=5, words=2),
        record("success", first=5, words=1),
    ]
    assert accuracy_by_queries(records) == [(0, 0.75), (5, 0.25)]
    assert accuracy_by_words(records) == [(0, 0.75), (1, 0.5), (2, 0.25)]
    assert accuracy_by_queries([record("settled"), record("error")]) == [(0, 0.0)]
    assert accuracy_by_queries([]) == []


@given(st.lists(st.tuples(st.sampled_from(["failed", "success", "skipped"]), st.integers(2, 50)), min_size=1))
def test_curves_only_fall(found: list[tuple[str, int]]) -> None:
    points = accuracy_by_queries([record(outcome, first=q if outcome == "success" else None) for outcome, q in found])
    assert [p.spent for p in points] == sorted({p.spent for p in points})
    assert all(a.accuracy > b.accuracy for a, b in pairwise(points))


@settings(max_examples=50)
@given(st.integers(20, 5000), st.floats(0.05, 0.9))
def test_what_is_detectable_is_found_by_so_many_examples(n: int, discordant: float) -> None:
    difference = detectable(n, discordant)
    if isnan(difference):
        assert needed(discordant, discordant) > n
    else:
        assert needed(min(difference * 1.01, discordant), discordant) <= n
        assert detectable(4 * n, discordant) <= difference


def test_the_power_is_about_what_was_asked_for() -> None:
    """Simulated with the exact test, which is a little more careful than the approximation."""
    discordant, difference = 0.3, 0.1
    n = needed(difference, discordant)
    rng, found = Random(0), 0
    for _ in range(400):
        draws = [rng.random() for _ in range(n)]
        won = [draw < (discordant + difference) / 2 for draw in draws]
        lost = [(discordant + difference) / 2 <= draw < discordant for draw in draws]
        found += mcnemar(won, lost) < 0.05
    assert 0.7 < found / 400 < 0.88


def test_a_worst_case_is_never_above_its_members(tmp_path: Path) -> None:
    run = evaluate(
        victim=KeywordVictim(),
        dataset=PAIRS,
        attacks=["deepwordbug", "pwws", "worst_case"],
        similarity="none",
        output=tmp_path,
    )
    (path,) = written(run.folder, ["curves"])
    frame = pd.read_csv(path)
    assert [*frame.columns] == [*COLUMNS]
    assert (frame["floor"] == 1.0).all()
    assert frame["accuracy"].between(frame["accuracy_low"], frame["accuracy_high"]).all()
    words = {
        attack: part.set_index("spent")["accuracy"] for attack, part in frame[frame["by"] == "words"].groupby("attack")
    }
    worst = words.pop("worst_case:deepwordbug+pwws")
    for spent in range(8):
        told = min(curve[curve.index <= spent].iloc[-1] for curve in words.values())
        assert worst[worst.index <= spent].iloc[-1] <= told
    last = frame[frame["by"] == "queries"].groupby("attack")["accuracy"].last()
    robust = run.table.set_index("attack")["robust_accuracy"]
    assert last.to_dict() == pytest.approx(robust.to_dict())


def test_in_a_cascade_the_worst_case_alone_has_curves(tmp_path: Path) -> None:
    pairs = [(f"a good and great but dull film number {i}", 1) for i in range(8)]
    run = evaluate(
        victim=KeywordVictim(), dataset=pairs, attacks="worst-case:fast-1", output=tmp_path, similarity="none"
    )
    written(run.folder, ["curves"])
    assert set(pd.read_csv(run.folder / "curves.csv")["attack"]) == {"worst_case:fast-1"}
    titles = {
        chart.title for made in (query_charts, word_charts) for chart in made(run.table, recorded_cells(run.folder))
    }
    assert titles == {"worst case fast-1"}


def test_fewest_words_are_looked_for_among_all_members() -> None:
    many, few = (Cell({}, {"e": record("success", words=words)}) for words in (5, 1))
    worst = Cell({}, {"e": record("success", words=5)}, (many, few))
    assert of_fewest_words(worst).records["e"].words_changed == 1
    assert of_fewest_words(many) is many


def test_a_difference_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="differ on more"):
        needed(0.4, 0.3)
    assert isnan(detectable(0, 0.3))
