"""`compare`: cells of one setting side by side, all others refused by name."""

from __future__ import annotations

import json
from io import StringIO
from math import isnan
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console
from texts import complaint

from robustbench_nlp.api import evaluate
from robustbench_nlp.cli import main
from robustbench_nlp.comparison import compare
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.predictor import JUDGED
from robustbench_nlp.recorded import recorded_cells
from robustbench_nlp.report.ranks import ranking
from robustbench_nlp.report.stacked import stacked
from robustbench_nlp.seeds import over_seeds
from robustbench_nlp.stats import holm

PAIRS = [(f"{words} number {i}", 1) for i in range(10) for words in ("a good and great but dull film", "a fine film")]
STRONG = KeywordVictim(keywords=(("nothing",), ("good", "great", "fine")), name="strong")
"""No text has its negative word, so that nothing fools it: a text without any word of its is a tie, and no success."""


def made(folder: Path, victim: KeywordVictim | None = None, **settings: Any) -> str:
    given = {"attacks": ["deepwordbug", "pwws", "worst_case"], "similarity": "none", "dataset": PAIRS, **settings}
    return str(evaluate(victim=victim or KeywordVictim(), output=folder, **given).folder)


def test_another_victim_on_the_same_examples(tmp_path: Path) -> None:
    weak, strong = made(tmp_path / "a"), made(tmp_path / "b", STRONG)
    found = compare(weak, strong)
    assert [pair.first.name[1] for pair in found.pairs] == ["deepwordbug", "pwws", "worst_case:deepwordbug+pwws"]
    assert found.unpaired == ()
    typos = found.pairs[0]
    weaker, stronger = typos.accuracies()
    lost, won = typos.flips()
    assert stronger == 1
    assert (len(lost), len(won)) == (0, round(20 * (1 - weaker)))
    assert len(won) >= 8
    assert 0 < typos.difference.low < 1 - weaker < typos.difference.high
    assert typos.p == pytest.approx(2 * 0.5 ** len(won))
    assert [pair.adjusted for pair in found.pairs] == holm([pair.p for pair in found.pairs])


def test_a_cascade_tests_its_worst_case_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weak, strong = (
        made(tmp_path / name, victim, attacks=["worst-case:fast-1"]) for name, victim in (("a", None), ("b", STRONG))
    )
    *members, last, worst = compare(weak, strong).pairs
    assert (last.first.name[1], worst.first.name[1]) == ("fast-1/pwws", "worst_case:fast-1")
    assert last.p == worst.p < 0.01
    assert [*(pair.adjusted for pair in members), worst.adjusted] == holm([pair.p for pair in (*members, worst)])
    assert last.adjusted == worst.adjusted
    assert isnan(last.rates.difference)  # it met what the others left, which is not the same on both sides
    assert worst.rates.difference < 0
    assert main(["compare", weak, strong]) == 0
    assert "still right after it" in " ".join(capsys.readouterr().out.split())


def test_members_of_a_cascade_have_the_clean_accuracy_of_their_victim_everywhere(tmp_path: Path) -> None:
    """What an earlier member broke was right without an attack, though its record has no prediction."""
    labels = [(text, 1 if i % 4 else 0) for i, (text, _) in enumerate(PAIRS)]
    one, two = (made(tmp_path / str(i), attacks=["worst-case:fast-1"], dataset=labels, seed=i) for i in (0, 1))
    table = pd.read_csv(Path(one) / "table.csv")
    assert set(table["clean_accuracy"]) == {0.75}
    assert (table["robust_accuracy"].iloc[:-1].diff().dropna() < 0).any()
    ranks = ranking(recorded_cells(Path(one)))
    assert set(ranks["clean_accuracy"]) == {0.75}
    assert len(set(ranks["at_floor"])) == 1
    assert set(over_seeds([one, two])["clean_accuracy"]) == {0.75}
    assert {pair.first.clean() for pair in compare(one, one).pairs} == {0.75}


def test_a_run_beside_itself_has_no_flips(tmp_path: Path) -> None:
    run = made(tmp_path)
    pairs = compare(run, run).pairs
    assert all(pair.flips() == ([], []) and pair.p == 1 for pair in pairs)
    assert all(pair.rates.difference == 0 and isnan(pair.rates_adjusted) for pair in pairs)


def test_two_defenses_of_one_run(tmp_path: Path) -> None:
    run = made(tmp_path, defenses=["none", "unicode_normalize"])
    found = compare(f"{run}::none", f"{run}::unicode-normalize")
    assert {pair.second.name[0] for pair in found.pairs} == {"unicode_normalize"}


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"seed": 1}, "seed: 0 and 1"),
        ({"max_queries": 9}, "threat max_queries: none and 9"),
        ({"limit": 7}, "differ in n: 20 and 7"),
        ({"draws": 3, "max_queries": 9, "victim": KeywordVictim(random=True)}, "max_queries per draw: none and 9"),
    ],
)
def test_other_settings_are_refused_by_name(tmp_path: Path, settings: dict[str, Any], key: str) -> None:
    one, two = made(tmp_path / "a"), made(tmp_path / "b", **settings)
    line = complaint(lambda: compare(one, two))
    assert "can't be compared" in line
    assert key in line


def test_a_random_victim_stands_beside_another_by_the_budget_per_draw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A published ensemble gives a victim of three draws three times the queries, so as many texts."""
    attacks, random = ["worst-case:fast-1"], KeywordVictim(random=True)
    plain, three, four = (
        made(tmp_path / str(draws), victim, attacks=attacks, draws=draws)
        for draws, victim in ((1, KeywordVictim()), (3, random), (4, random))
    )
    budgets = [pd.read_csv(Path(run) / "table.csv")["max_queries"].iloc[1] for run in (plain, three)]
    assert budgets[1] == 3 * budgets[0]
    assert compare(plain, three).pairs[-1].second.name == ("none", "worst_case:fast-1")
    assert "draws: 3 and 4" in complaint(lambda: compare(three, four))
    once = made(tmp_path / "once", random, attacks=attacks, draws=1)
    assert compare(plain, once).pairs
    monkeypatch.setattr("robustbench_nlp.runner.JUDGED", JUDGED + 1)
    otherwise = made(tmp_path / "otherwise", random, attacks=attacks, draws=1)
    assert "judged: " in complaint(lambda: compare(three, otherwise))


def test_what_cannot_be_paired_is_told(tmp_path: Path) -> None:
    one, two = (
        made(tmp_path / "a"),
        made(tmp_path / "b", attacks=["deepwordbug"], defenses=["none", "unicode_normalize"]),
    )
    found = compare(one, two)
    assert set(found.unpaired) == {
        "none × pwws",
        "none × worst_case:deepwordbug+pwws",
        "unicode_normalize × deepwordbug",
    }
    assert "no cell in common" in complaint(lambda: compare(one, f"{two}::unicode-normalize"))
    assert "no defense 'nothing'; it has none" in complaint(lambda: compare(f"{one}::nothing", two))
    assert "is no run folder" in complaint(lambda: compare(str(tmp_path), two))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weak, strong = made(tmp_path / "a"), made(tmp_path / "b", STRONG)
    flipped = compare(weak, strong).pairs[0].flips()[1][0]
    assert main(["compare", weak, strong, "--flips", "1"]) == 0
    out = capsys.readouterr().out
    assert "keywords, none" in out
    assert "→ 100.0" in out
    assert "A constant answer scores 100.0 %" in out
    assert (
        f"deepwordbug, example {flipped}: withstood by strong, none alone\n  label positive, predicted positive → negative\n    - 'a "
        in out
    )
    assert "worst case by deepwordbug, example " in out
    assert main(["compare", weak, strong, "--json", "--flips", "2"]) == 0
    first, *_ = json.loads(capsys.readouterr().out)
    assert [flip["example_id"] for flip in first["flips"]][:1] == [flipped]
    assert len(first["flips"]) == 2
    assert (first["flips"][0]["withstood_by"], first["flips"][0]["adversarial_prediction"]) == ("second", 0)
    assert (first["n"], first["lost"]) == (20, 0)
    assert first["success_rate"] == pytest.approx([1 - first["robust"][0], 0])
    assert first["success_rate_difference"][1] < 0
    assert first["success_rate_p"] is first["success_rate_p_holm"] is None  # nine flips are too few
    assert first["won"] == 9
    assert first["difference_bootstrap"] == pytest.approx(first["difference"], abs=0.15)
    assert first["won"] >= 8


def test_runs_of_one_victim_and_defense_are_told_apart_by_their_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = made(tmp_path / "a"), made(tmp_path / "b")
    assert main(["compare", f"{one}::none", two]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"{one}: keywords, none → {two}: keywords, none, n = 20" in told


@pytest.mark.parametrize(("width", "tables"), [(46, 3), (60, 2), (100, 1)])
def test_a_narrow_terminal_has_more_tables_and_no_broken_number(width: int, tables: int) -> None:
    console = Console(width=width, file=StringIO())
    row = ["a long name", "76.7 → 75.0", "+46.7 [+32.6, +58.8]", "-62.4 [-76.1, -47.7]", "0.0002"]
    found = stacked(console, ["attack"], [["clean %"], ["difference"], ["ASR", "p"]], [row])
    assert len(found) == tables
    for table in found:
        console.print(table)
    told = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, told.splitlines())) <= width
    assert all(cell in told for cell in row[1:])


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.2]) == [0.2]
    assert holm([]) == []
