"""What is published: the README's table is the committed one, and the committed one says what the sanity checks expect."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from robustbench_nlp.commands.review import command
from robustbench_nlp.grid import Benchmark
from robustbench_nlp.leaderboard.board import frame, rankings
from robustbench_nlp.leaderboard.entry import entries
from robustbench_nlp.leaderboard.shown import markdown
from robustbench_nlp.report.shown import percent
from robustbench_nlp.report.table import COLUMNS
from robustbench_nlp.verification import verify

ROOT = Path(__file__).resolve().parent.parent
QUICKSTART = ROOT / "results" / "quickstart"


@pytest.fixture(scope="module")
def robust() -> pd.Series[float]:
    frame = pd.read_csv(QUICKSTART / "table.csv").set_index(["defense", "attack"])
    robust: pd.Series[float] = frame["robust_accuracy"]
    return robust


def test_the_readme_shows_the_committed_table() -> None:
    table = (QUICKSTART / "table.md").read_text("utf-8")
    assert table in (ROOT / "README.md").read_text("utf-8")


def test_the_committed_run_is_the_quickstart() -> None:
    benchmark = Benchmark.of(yaml.safe_load((QUICKSTART / "run.yaml").read_text("utf-8")))
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for part in (
        f"--dataset {benchmark.dataset} --victim {benchmark.victim}",
        f"--defenses {','.join(benchmark.defenses)}",
        f"--attacks {','.join(benchmark.attacks)} --limit {benchmark.limit}",
    ):
        assert part in makefile
    assert tuple(pd.read_csv(QUICKSTART / "table.csv").columns)[: len(COLUMNS)] == COLUMNS


def test_noise_is_far_weaker_than_search(robust: pd.Series[float]) -> None:
    assert robust["none", "random_typos"] > robust["none", "deepwordbug"] + 0.3


def test_spell_helps_against_typos_and_not_against_synonyms(robust: pd.Series[float]) -> None:
    assert robust["spell", "deepwordbug"] > robust["none", "deepwordbug"] + 0.15
    assert robust["spell", "pwws"] < robust["none", "pwws"] + 0.1


def test_the_worst_case_is_at_most_every_member(robust: pd.Series[float]) -> None:
    for defense in ("none", "spell", "typo_augmentation"):
        members = [robust[defense, attack] for attack in ("random_typos", "deepwordbug", "pwws")]
        assert robust[defense, "worst_case:random_typos+deepwordbug+pwws"] <= min(members)


@pytest.mark.parametrize("name", ["constraints", "typos"])
def test_a_reproduction_is_the_benchmark_of_its_file(name: str) -> None:
    folder = ROOT / "results" / name
    wanted = yaml.safe_load((ROOT / "docs" / "reproduce" / f"{name}.yaml").read_text("utf-8"))
    made = yaml.safe_load((folder / "run.yaml").read_text("utf-8"))
    assert {key: made[key] for key in wanted} == wanted
    assert (folder / "table.md").read_text("utf-8").strip()


def test_constraints_decide_success() -> None:
    rates = pd.read_csv(ROOT / "results" / "constraints" / "table.csv")["attack_success_rate"].tolist()
    assert rates == sorted(rates, reverse=True)
    assert rates[0] - rates[-1] > 0.7  # Morris et al. (2020): more than 70 points


def test_recognised_words_restore_what_typos_took() -> None:
    frame = pd.read_csv(ROOT / "results" / "typos" / "table.csv").set_index(["defense", "attack"])
    robust = frame["robust_accuracy"]
    for attack in dict.fromkeys(frame.index.get_level_values("attack")):
        assert robust["word_recognition", attack] > robust["none", attack]


def test_searches_are_compared_in_a_folder_of_the_readers_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    monkeypatch.chdir(tmp_path)
    from compare_searches import PUBLISHED, SEARCHES, main

    published = (ROOT / "results" / "search" / "README.md").read_text("utf-8")
    main(["4"])
    page = (tmp_path / "runs" / "search" / "README.md").read_text("utf-8")
    assert (ROOT / "results" / "search" / "README.md").read_text("utf-8") == published
    assert PUBLISHED.keys() < SEARCHES.keys()
    for text in (page, published):
        assert "; a constant answer scores " in text
        assert "| clean % |" in text
        assert "59.4, 69 | 74.2, 59 |" in text


LEADERBOARD = ROOT / "results" / "leaderboard"


def test_the_leaderboard_is_what_its_entries_give() -> None:
    found = rankings(LEADERBOARD)
    assert (LEADERBOARD / "README.md").read_text("utf-8") == markdown(found, LEADERBOARD)
    table = frame(found, LEADERBOARD).to_csv(index=False, lineterminator="\n")
    assert (LEADERBOARD / "leaderboard.csv").read_text("utf-8") == table
    assert {(entry.victim["name"], entry.defense["name"]) for entry in entries(LEADERBOARD).values()} >= {
        ("tfidf_mr", "none"),
        ("tfidf_mr", "spell"),
    }


@pytest.mark.parametrize("defense", ["none", "unicode_normalize"])
def test_an_entry_of_the_leaderboard_holds(defense: str) -> None:
    path = LEADERBOARD / "classification" / "fast-1" / f"tfidf_mr__{defense}.json"
    result = verify(path, sample=20)
    assert result.differences == ()
    assert (result.cells, result.texts) == (3, 60)


def test_the_page_of_defenses_has_what_readers_of_the_recipes_broken_examples_said() -> None:
    read = ROOT / "results" / "recommended-read"
    sheets = [str(read / f"reader-{number}.csv") for number in (1, 2)]
    told = CliRunner().invoke(command, ["--read", *sheets, "--key", str(read / "review.key.csv"), "--csv"])
    groups = pd.read_csv(StringIO(told.output)).set_index("group")
    page = (ROOT / "docs" / "defenses.md").read_text("utf-8")
    named = {
        "controls (originals)": "none (controls)",
        **{
            f"recommended × standard-1/{attack}": name
            for attack, name in (
                ("bae", "BAE"),
                ("pwws", "PWWS"),
                ("deepwordbug", "DeepWordBug"),
                ("charmer", "Charmer"),
                ("stress_test", "stress test"),
            )
        },
    }
    assert set(groups.index) == {"all successes", *named}
    for group, name in named.items():
        row = groups.loc[group]
        kept = " ".join(
            (percent(row["label_kept"]), f"[{percent(row['label_kept_low'])}–{percent(row['label_kept_high'])}]")
        )
        assert f"| {name} | {row['rows']:.0f} | {kept} |" in page
