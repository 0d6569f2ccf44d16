"""What a run would send to a server: estimated for nothing, and held against what it sends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_http import keyword_answers
from test_victims import serving

from robustbench_nlp.api import Run, evaluate
from robustbench_nlp.cli import main
from robustbench_nlp.errors import UsageError
from robustbench_nlp.estimate import Estimate, estimate
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.runner import Runner

PAIRS = [
    (f"a {word} film, number {i}, that was made for the cinema, and {word} again", i % 2)
    for i, word in enumerate(["bad", "good", "dull", "fine"] * 10)
]
NOWHERE = "http://127.0.0.1:1/predict"


class Opened(Exception):
    """The run is open; that is all."""


def estimated(settings: str = "", url: str = NOWHERE, **more: Any) -> Estimate:
    found: list[Estimate] = []

    def stop(runner: Runner) -> None:
        found.append(estimate(runner))
        raise Opened

    chosen: dict[str, Any] = {
        "attacks": ["random-typos", "deepwordbug"],
        "similarity": "none",
        "dataset": PAIRS,
        **more,
    }
    with pytest.raises(Opened):
        evaluate(victim=f"http({settings}):{url}", on_open=stop, **chosen)
    return found[0]


def ran(folder: Path, url: str, **more: Any) -> Run:
    attacks = ["random-typos", "deepwordbug"]
    return evaluate(
        victim=f"http(batch=8,price=0.01):{url}",
        dataset=PAIRS,
        attacks=attacks,
        similarity="none",
        output=folder,
        **more,
    )


def test_nothing_is_sent_or_written_and_the_figures_hold(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with serving(keyword_answers) as (url, seen):
        found = estimated("batch=8,price=0.01", url, output=folder, max_queries=60)
        assert not seen
        assert not folder.exists()
        run = ran(folder, url, max_queries=60)
        assert run.spending is not None
        assert found.bound is not None
        assert 0.3 * found.least.inputs < run.spending.inputs < found.most.inputs < found.bound
        assert 0.3 * found.least.requests < len(seen) < found.most.requests
        done = estimated("batch=8,price=0.01,budget=100", url, output=folder, max_queries=60)
    assert [cell.examples for cell in done.cells] == [0, 0]
    assert done.most.inputs == done.besides.inputs == 64
    assert done.spending.cost == run.spending.cost


def test_noise_takes_three_inputs_an_example_and_a_budget_of_queries_is_a_bound() -> None:
    found = estimated("batch=8", max_queries=10)
    noise, search = found.cells
    assert (noise.least.inputs, noise.most.inputs) == (120, 120)  # clean, with noise, and once more by the referee
    assert noise.bound == search.bound == 40 * 19
    assert search.most.inputs <= 40 * 19
    assert estimated(attacks="deepwordbug").bound is None
    assert estimated(limit=7).cells[0].most.inputs == 21


def test_defenses_and_transfers_are_tried_too() -> None:
    plain, voted = estimated(attacks="random-typos", defenses=["none", "safer(samples=5,train=False)"], limit=8).cells
    assert voted.most.inputs >= 4 * plain.most.inputs
    direct, shown = estimated(attacks="deepwordbug", defenses=["none", "unicode-normalize"], mode="transfer").cells
    assert shown.most.inputs < 0.5 * direct.most.inputs
    assert shown.most.inputs <= 3 * 40
    with pytest.raises(UsageError, match="no estimate with the defense freelb"):
        estimated(defenses="freelb", train="mr")


def test_what_is_no_server_has_no_estimate() -> None:
    with pytest.raises(UsageError, match="and keywords is none; run it"):
        evaluate(
            victim=KeywordVictim(),
            dataset=PAIRS,
            attacks="pwws",
            similarity="none",
            on_open=lambda r: (estimate(r), None)[1],
        )


@pytest.mark.parametrize(("budget", "verdict"), [(1000, "is enough"), (0.5 * (40 + 80), "ends before the run does")])
def test_the_verdict_on_a_budget(budget: float, verdict: str) -> None:
    found = estimated(f"price=1.0,budget={budget}", attacks="random-typos")
    assert found.line() == (
        f"estimate: 184 inputs, cost 184 at 1 per input. The budget, of which {budget:g} of {budget:g} is left, {verdict}."
    )


def test_the_command_prints_figures_and_stops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "films.csv"
    data.write_text("text,label\na good film,1\na bad film,0\na fine film,1\n", "utf-8")
    run = ["run", "--dataset", f"csv:{data}", "--attacks", "random-typos", "--output", str(tmp_path / "run")]
    run += ["--similarity", "none", "--estimate", "--max-queries", "5", "--victim"]
    assert main([*run, f"http(price=2,price_per='1k_characters',rate=0.01,budget=5):{NOWHERE}"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].split() == ["defense", "attack", "examples", "inputs", "at", "most", "cost"]
    assert told[1].split()[:5] == ["none", "random_typos", "3", "9", "27"]
    assert told[2].split()[:3] == ["all", "15", "33"]
    assert told[3].endswith("requests of up to 64 inputs, 1 at a time; at 0.01 a second they take at least 12 min.")
    assert "Price: 2 per 1,000 characters. The budget, of which 5 of 5 is left, is enough." in told
    assert not (tmp_path / "run").exists()
    assert main([*run, f"http:{NOWHERE}"]) == 0
    assert "cost" not in capsys.readouterr().out
