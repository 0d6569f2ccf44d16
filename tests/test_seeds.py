"""Several seeds in one table: intervals that know of shared examples, checked by simulation, and refusals by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm
from texts import complaint

import robustbench_nlp as rb
from robustbench_nlp.api import evaluate
from robustbench_nlp.cli import main
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.seeds import COLUMNS, rate_over_seeds
from robustbench_nlp.stats import wilson, wilson_at

PAIRS = [
    (f"{words} number {i}", i % 3 and 1)
    for i in range(12)
    for words in ("a good and fine but dull film", "a fine film")
]
SETTINGS: dict[str, Any] = {"dataset": PAIRS, "attacks": ["random_typos", "deepwordbug"], "similarity": "none"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    place = tmp_path_factory.mktemp("seeds")
    return [evaluate(victim=KeywordVictim(), seed=s, output=place / str(s), **SETTINGS).folder for s in range(3)]


def test_one_table_over_seeds(runs: list[Path]) -> None:
    frame = rb.over_seeds(runs).set_index("attack")
    tables = [pd.read_csv(run / "table.csv").set_index("attack") for run in runs]
    assert {*frame.reset_index().columns} == {*COLUMNS}
    for attack, row in frame.iterrows():
        robust = [table["robust_accuracy"][attack] for table in tables]
        assert row["robust_accuracy"] == pytest.approx(np.mean(robust))
        assert row["robust_accuracy_sd"] == pytest.approx(np.std(robust, ddof=1))
        assert row["robust_accuracy_low"] <= row["robust_accuracy"] <= row["robust_accuracy_high"]
        assert row["robust_every_seed"] <= min(robust)
        attempted, successes = (sum(table[name][attack] for table in tables) for name in ("attempted", "successes"))
        assert row["attack_success_rate"] == pytest.approx(successes / attempted)
        assert (row["seeds"], row["n"], row["floor"]) == (3, 24, pytest.approx(2 / 3))


def test_seeds_that_change_nothing_add_nothing() -> None:
    once = (np.arange(80) % 4 == 0).astype(float)
    found = rate_over_seeds(np.stack([once] * 5))
    assert found.sd == 0
    assert found.interval == pytest.approx(wilson(20, 80), abs=0.004)
    none = rate_over_seeds(np.zeros((5, 80)))
    assert none.interval == pytest.approx(wilson(0, 80))


@given(st.integers(0, 300), st.integers(1, 300))
def test_wilson_at_whole_numbers_is_wilson(successes: int, n: int) -> None:
    successes = min(successes, n)
    assert wilson_at(successes / n, n) == pytest.approx(wilson(successes, n), abs=1e-9)


@given(arrays(float, st.tuples(st.integers(2, 5), st.integers(2, 30)), elements=st.sampled_from([0.0, 1.0])))
def test_never_worth_more_than_all_values(hits: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    rate, _, (low, high), effective = rate_over_seeds(hits)
    assert 0 <= low <= rate + 1e-9
    assert rate - 1e-9 <= high <= 1
    assert 0 < effective <= hits.size


@pytest.mark.parametrize(("examples", "seeds"), [(0.0, 0.0), (2.0, 0.0), (1.0, 0.15)])
def test_the_interval_holds_the_truth_for_new_examples_and_seeds(examples: float, seeds: float) -> None:
    """Fates drawn from a latent score with a part of the example, a part of the seed and one of both: 95 % hold, and values
    taken as independent would not."""
    rng, share, n, m, trials = np.random.default_rng(3), 0.4, 100, 4, 300
    middle = norm.ppf(share) * np.sqrt(1 + examples**2 + seeds**2)
    held = naive = 0
    for _ in range(trials):
        score = examples * rng.standard_normal(n) + seeds * rng.standard_normal((m, 1)) + rng.standard_normal((m, n))
        hits = (middle + score > 0).astype(float)
        low, high = rate_over_seeds(hits).interval
        held += low <= share <= high
        low, high = wilson(int(hits.sum()), hits.size)
        naive += low <= share <= high
    assert 0.92 < held / trials < 0.99
    assert examples == seeds == 0 or naive / trials < 0.88


def test_rates_of_what_was_attempted_hold_the_truth() -> None:
    rng, n, m, trials, held = np.random.default_rng(4), 120, 3, 200, 0
    for _ in range(trials):
        tried = np.repeat(rng.random((1, n)) < 0.75, m, axis=0)
        ease = rng.random(n)  # how easily an example breaks; 0.7 on average over those below
        hits = tried & (rng.random((m, n)) < 0.4 + 0.6 * ease)
        low, high = rate_over_seeds(hits.astype(float), tried.astype(float)).interval
        held += low <= 0.7 <= high
    assert 0.91 < held / trials < 0.99
    assert np.isnan(rate_over_seeds(np.zeros((2, 3)), np.zeros((2, 3))).rate)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"max_queries": 9}, "threat max_queries: "),
        ({"limit": 7}, "differ in n: "),
        ({"victim": KeywordVictim(keywords=(("bad",), ("fine",)))}, "victim: "),
        ({"attacks": ["random_typos"]}, "has no cell none × deepwordbug"),
    ],
)
def test_what_differs_in_more_than_the_seed_is_refused(
    runs: list[Path], tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    other = evaluate(output=tmp_path, **{"victim": KeywordVictim(), "seed": 7, **SETTINGS, **settings}).folder
    assert said in complaint(lambda: rb.over_seeds([runs[0], other]))
    assert said in complaint(lambda: rb.over_seeds([other, runs[0]]))


def test_one_seed_is_none(runs: list[Path]) -> None:
    assert "both have seed 0" in complaint(lambda: rb.over_seeds([runs[0], runs[1], runs[0]]))
    assert "at least two runs" in complaint(lambda: rb.over_seeds(runs[:1]))


def test_the_command(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    folders = [str(run) for run in runs]
    assert main(["seeds", *folders]) == 0
    out = capsys.readouterr().out
    assert "3 seeds" in out
    assert "A constant answer scores 66.7 %" in out
    assert "not significantly above" in " ".join(out.split())
    assert main(["seeds", *folders, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told[0]) == [*COLUMNS]
    assert main(["seeds", *folders, "--csv"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split(",") == [*COLUMNS]
    assert main(["seeds", *folders, "--md"]) == 0
    out = capsys.readouterr().out
    assert "| defense | attack | clean % | ± sd |" in out
    assert out.count("| none |") == len(told)
    assert "- Victim keywords on pairs, all split, n = 24, 3 seeds." in out
    assert main(["seeds", *folders, "--latex"]) == 0
    out = capsys.readouterr().out
    robust = next(row for row in told if row["attack"] == "random_typos")
    shares = [100 * robust[name] for name in ("robust_accuracy", "robust_accuracy_sd")]
    assert r"\begin{tabular}{l*{3}{r}}" in out
    assert r"& {:.1f} $\pm$ {:.1f} &".format(*shares) in out
    assert main(["seeds", folders[0]]) == 2
