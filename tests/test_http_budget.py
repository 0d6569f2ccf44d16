"""Runs against a victim behind a URL: what they spend, what a resumed one pays for, and what a liar gets."""

from __future__ import annotations

import gc
import json
import threading
import tracemalloc
from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_http import WORDS, keyword_answers, rows_of
from test_victims import lengths, serving

from robustbench_nlp.api import Run, evaluate
from robustbench_nlp.cli import main
from robustbench_nlp.costs import costs
from robustbench_nlp.errors import BudgetSpent, UsageError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.kept_answers import KeptAnswers
from robustbench_nlp.predictor import Predictor
from robustbench_nlp.records import Record
from robustbench_nlp.rewriting import Rewritten
from robustbench_nlp.spending import Spending, Tariff
from robustbench_nlp.victims.http import HttpVictim


def attacked(url: str, folder: Path, settings: str, **more: Any) -> Run:
    pairs = [(f"a {word} film, number {i}, and {word} again", int(i % 2)) for i in range(16) for word in [WORDS[i % 2]]]
    victim = f"http({settings}):{url}"
    return evaluate(victim=victim, dataset=pairs, attacks="deepwordbug", output=folder, similarity="none", **more)


def outcomes(run: Run) -> dict[str, Record]:
    return {record.example_id: replace(record, seconds=0.0) for record in run.records["none", "deepwordbug"]}


def test_a_run_stops_at_its_budget_and_a_larger_one_goes_on_and_pays_for_nothing_twice(tmp_path: Path) -> None:
    with serving(keyword_answers) as (url, seen):
        whole = attacked(url, tmp_path / "whole", "batch=8,price=0.01")
        assert whole.spending is not None
        cost = whole.spending.cost
        told = json.loads((tmp_path / "whole/spending.json").read_text("utf-8"))
        assert told == {
            "requests": len(seen),
            "inputs": round(cost * 100),
            "characters": told["characters"],
            "tokens": told["tokens"],
            "cost": round(cost, 9),
            "price": "0.01 per input",
        }
        stops: list[str] = []
        for budget in np.arange(1.0, cost + 1.0, 1.0):
            try:
                parts = attacked(url, tmp_path / "parts", f"batch=8,price=0.01,budget={budget}")
            except BudgetSpent as problem:
                stops.append(str(problem))
            assert json.loads((tmp_path / "parts/spending.json").read_text("utf-8"))["cost"] <= budget
        assert stops[0].endswith(
            "every answer so far is kept, and the same command with a larger budget= goes on from there"
        )
        assert len(stops) >= 2
        assert parts.spending is not None
        assert cost - 0.17 < parts.spending.cost <= cost  # the 16 texts of the last check may be on file once
        again = attacked(url, tmp_path / "parts", f"batch=8,price=0.01,budget={cost + 0.5}")
        assert again.spending is not None
        assert again.spending.cost == parts.spending.cost
    assert outcomes(parts) == outcomes(whole)


def test_starting_anew_sets_answers_aside_and_forgets_no_spending(tmp_path: Path) -> None:
    with serving(keyword_answers) as (url, seen):
        attacked(url, tmp_path, "price=0.01", limit=4)
        before = len(seen)
        run = attacked(url, tmp_path, "price=0.01", limit=4, resume=False)
        assert run.spending is not None
        assert run.spending.requests == len(seen) == 2 * before
    assert (tmp_path / "answers.jsonl.old1").exists()


def test_a_torn_answer_is_asked_for_again(tmp_path: Path) -> None:
    with serving(keyword_answers) as (url, _):
        victim = HttpVictim(url, tariff=Tariff(price=1.0))
        victim.keep_in(tmp_path, resume=True)
        victim.predict(["a good film", "a bad film", "no film"])
        path = tmp_path / "answers.jsonl"
        path.write_bytes(path.read_bytes()[:-5] + b"\n[1, 2]\n" + path.read_bytes()[-30:-9])
        victim = HttpVictim(url, tariff=Tariff(price=1.0))
        victim.keep_in(tmp_path, resume=True)
        victim.predict(["a good film", "a bad film", "no film", "another"])
        assert victim.spending.inputs == 5
        victim = HttpVictim(url, tariff=Tariff(price=1.0))
        victim.keep_in(tmp_path, resume=True)
        victim.predict(["no film", "another"])
        assert victim.spending.inputs == 5
    (tmp_path / "spending.json").write_text('{"requests": 1, "inputs": -1, "characters": 3, "tokens": 1}', "utf-8")
    with pytest.raises(UsageError, match="holds no spending: a count is negative; mend or remove it"):
        victim.keep_in(tmp_path, resume=True)


FULL = Path("/dev/full")
"""Takes nothing, as a full disk."""


@pytest.mark.skipif(not FULL.exists(), reason="no device here is always full")
@pytest.mark.parametrize(
    ("file", "full", "asked"), [("answers.jsonl", "answers.jsonl", 1), ("spending.json", ".spending.json.part", 0)]
)
def test_a_full_disk_stops_the_run_and_nothing_is_paid_for_twice(
    file: str, full: str, asked: int, tmp_path: Path
) -> None:
    texts = [f"a good film, number {i}" for i in range(8)]
    with serving(keyword_answers) as (url, seen):
        victim = HttpVictim(url, tariff=Tariff(price=1.0))
        victim.keep_in(tmp_path, resume=True)
        (tmp_path / full).symlink_to(FULL)
        with pytest.raises(UsageError, match=rf"cannot write \S*/{file} \(No space left on device\); mend that"):
            Predictor(victim).predict(texts)
    assert len(seen) == asked


def test_answers_on_file_stay_there_and_come_in_their_order(tmp_path: Path) -> None:
    path, count = tmp_path / "answers.jsonl", 4_000
    before = KeptAnswers()
    before.keep(path, resume=True)
    rows = np.array([[i / count, 1 - i / count] for i in range(count)], np.float32)
    for start in range(0, count, 8):
        before.came([f"text {i % (count // 2)}" for i in range(start, start + 8)], rows[start : start + 8])
    before.came(["text 7"], rows[-1:])
    gc.collect()
    tracemalloc.start()
    kept = KeptAnswers()
    kept.keep(path, resume=True)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 40 * count
    taken = [kept.take("text 7", alone=alone) for alone in (False, True, True, False, False)]
    assert [None if row is None else round(float(row[0]) * count) for row in taken] == [7, count - 1, None, 2007, None]


def test_a_text_asked_twice_gets_two_answers_of_a_liar(tmp_path: Path) -> None:
    number = 0

    def moody(inputs: list[str]) -> tuple[int, bytes]:
        nonlocal number
        number += 1
        return 200, json.dumps([[0.9 - 0.01 * (number % 5), 0.1 + 0.01 * (number % 5)] for _ in inputs]).encode()

    with serving(moody) as (url, _):
        for _ in range(2):
            run = attacked(url, tmp_path, "price=0.01", limit=6)
            assert any("nondeterministic_victim" in flag for flag in run.table.attrs["flags"])


def test_swapped_rows_make_no_success(tmp_path: Path) -> None:
    def swapping(inputs: list[str]) -> tuple[int, bytes]:
        return 200, json.dumps(KeywordVictim().predict(inputs[::-1]).tolist()).encode()

    with serving(swapping) as (url, _):
        run = attacked(url, tmp_path, "batch=7")
    records = outcomes(run).values()
    successes = [record for record in records if record.outcome == "success"]
    wrong = KeywordVictim().predict([str(record.adversarial) for record in successes]).argmax(axis=1)
    assert all(prediction != record.label for prediction, record in zip(wrong, successes, strict=True))
    assert sum(record.rejected_successes for record in records) > 0


def test_the_price_of_characters_and_what_a_budget_allows() -> None:
    spending = Spending(Tariff(price=2.0, price_per="1k_characters", budget=1.0))
    spending.charge(["x" * 300, ("y" * 100, "z" * 50)])
    assert spending.cost == pytest.approx(0.9)
    spending.charge(["x" * 50])
    with pytest.raises(
        BudgetSpent, match=r"1 of 1 spent, 3 inputs in 2 requests sent, and 1 more input would cost 0\.002"
    ):
        spending.charge(["x"])
    spending.refund(["x" * 50])
    spending.charge(["x"])


def test_tokens_are_what_the_server_says_else_a_quarter_of_the_characters() -> None:
    says: list[object] = [{"total_tokens": 1500}, None, {"total_tokens": -3}, {"total_tokens": 10**12}, "many"]
    texts = ["x" * 400, "y" * 401]

    def metered(inputs: list[str]) -> tuple[int, bytes]:
        rows = rows_of(inputs).tolist()
        return 200, json.dumps({"probabilities": rows, "usage": says.pop(0)}).encode()

    with serving(metered) as (url, _):
        victim = HttpVictim(url, tariff=Tariff(price=2.0, price_per="1k_tokens", budget=3.3))
        victim.predict(texts)
        assert victim.spending.cost == 3.0
        with pytest.raises(
            BudgetSpent, match=r"3 of 3\.3 spent, 2 inputs with 1,500 tokens in 1 request sent, and 2 more in"
        ):
            victim.predict(texts)
        victim = HttpVictim(url, tariff=Tariff(price=2.0, price_per="1k_tokens"))
        for _ in range(len(says)):
            victim.predict(texts)
        assert victim.spending.tokens == 4 * 201  # nonsense counts for nothing


def test_a_dropped_victim_leaves_no_thread_behind() -> None:
    with serving(lengths) as (url, _):
        victim = HttpVictim(url)
        victim.predict(["a"])
        (thread,) = (thread for thread in threading.enumerate() if url in thread.name)
        del victim
        gc.collect()
        thread.join(5)
    assert not thread.is_alive()


def test_workers_share_no_budget_and_other_settings_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with serving(keyword_answers) as (url, _):
        with pytest.raises(UsageError, match="give it concurrency= instead"):
            attacked(url, tmp_path / "run", "rate=5", workers=2)
        victims = [f"http:{url}", f"http(price=0.1,budget=99):{url}", f"http(concurrency=4):{url}"]
        pairs = [("a good film", 1), ("a bad film", 0)]
        folders = {evaluate(victim=v, dataset=pairs, attacks="random-typos", similarity="none").folder for v in victims}
    assert len(folders) == 1


def test_no_money_is_spent_on_taking_times() -> None:
    with serving(keyword_answers) as (url, seen):
        victim = HttpVictim(url, tariff=Tariff(price=1.0))
        assert isnan(costs(Rewritten(victim, str.lower, ["lower"]), victim, ["a", "b"]).latency_ratio)
    assert not seen


def test_the_command_stops_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "films.csv"
    data.write_text("text,label\na good film,1\na bad film,0\na fine film,1\n", "utf-8")
    with serving(keyword_answers) as (url, _):
        run = ["run", "--dataset", f"csv:{data}", "--attacks", "deepwordbug", "--output", str(tmp_path / "run")]
        run += ["--similarity", "none", "--victim"]
        assert main([*run, f"http(price=0.1,budget=0.5):{url}"]) == 1
        told = capsys.readouterr().err.splitlines()
        assert len(told) == 1
        assert told[0].startswith("robustbench-nlp: the budget ends: 0.3 of 0.5 spent, 3 inputs in 1 request sent")
        assert main([*run, f"http(price=0.1,budget=50):{url}"]) == 0
        assert "of 50 spent, " in capsys.readouterr().out
