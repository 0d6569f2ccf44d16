"""The table of defenses: what is finished is kept and shown, with what was warned of, left out, and run on fewer examples."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import defense_page
import defense_table
import pandas as pd
import pytest
from click.testing import CliRunner

import robustbench_nlp as rb
from robustbench_nlp.plugins import plugin_names
from robustbench_nlp.stats import holm, mcnemar
from robustbench_nlp.training import TrainingCollapsed

LABELS = [example.label for example in sorted(rb.load_dataset("mr").head(40), key=lambda example: example.id)]


@pytest.fixture(autouse=True)
def _few_attacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defense_page, "ATTACKS", ("deepwordbug",))
    monkeypatch.setattr(defense_table, "WORST", "worst-case:fast-1")


def told(folder: Path, defenses: str, *, limit: int = 40, more: str = "") -> str:
    """What the script says; its page and tables lie in the folder."""
    how = f"--victim tfidf-mr --limit {limit} --runs {folder / 'runs'} --to {folder} {more}"
    made = CliRunner().invoke(defense_table.main, [*how.split(), "--defenses", defenses], catch_exceptions=False)
    return made.output


def rows(defense: str, letters: str, limit: int = 40, **more: Any) -> list[dict[str, Any]]:
    """A defense's rows in table.csv, as far as the page reads them; both attacks leave the same."""
    costs = {"known": False, "train_ratio": 0.0, "forwards_per_prediction": 1, "latency_ratio": 1.0, "draws": 1}
    rates = {"clean_accuracy": 0.5, "robust_accuracy": 0.5, "robust_low": 0.4, "robust_high": 0.6}
    place = {"selector": "tfidf-mr", "dtype": "float32", "limit": limit, "undefended": "0a", "seed": 0}
    same = {"defense": defense, "outcomes": letters, "n": limit} | costs | rates | place | more
    attacks = [
        {"attack": "deepwordbug", "mode": "adaptive", "threat": "char_30@1", "max_queries": None},
        {"attack": "worst_case:fast-1", "mode": "cascade", "threat": "t", "max_queries": None},
    ]
    return [attack | same for attack in attacks]


def page_of(folder: Path, *several: list[dict[str, Any]]) -> str:
    pd.DataFrame([row for some in several for row in some]).to_csv(folder / "table.csv", index=False)
    told(folder, "")
    return (folder / "README.md").read_text("utf-8")


def test_marks_are_those_of_the_code_not_of_the_run(tmp_path: Path) -> None:
    own = [rows("none", "rb" * 20), rows("adversarial_augmentation(attacks=('deepwordbug',))", "rb" * 20)]
    page = page_of(tmp_path, *own)
    table = pd.read_csv(tmp_path / "table.csv")
    assert table["known"].tolist() == [False, False, True, True]
    (line,) = (line for line in page.splitlines() if line.startswith("| `adversarial"))
    assert line.count("†") == 2
    page_of(tmp_path, *([row | {"known": True} for row in some] for some in own))
    assert pd.read_csv(tmp_path / "table.csv")["known"].tolist() == [False, False, True, True]


def test_a_defense_that_cannot_be_made_any_more_keeps_its_marks(tmp_path: Path) -> None:
    page_of(tmp_path, rows("none", "rb" * 20), rows("ascc(k=4)", "rb" * 20, known=True))
    assert pd.read_csv(tmp_path / "table.csv")["known"].tolist() == [False, False, True, True]


def test_the_published_marks_are_those_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    table = pd.read_csv(Path(__file__).parent.parent / "results" / "defenses-mr" / "table.csv")
    assert defense_table.marks(table) == table["known"].tolist()


def test_the_table_of_defenses_is_of_what_is_finished(tmp_path: Path) -> None:
    listed = {
        part.split("(")[0] for family in defense_page.FAMILIES.values() for name in family for part in name.split("+")
    }
    assert listed == {*plugin_names("defense")} - {"none", "density", "frequency_guided"}, "all but the detectors"
    how = f"--victim tfidf-mr --limit 6 --runs {tmp_path / 'runs'} --to {tmp_path}"
    CliRunner().invoke(defense_table.main, f"{how} --defenses none,spell --seeds 0,1", catch_exceptions=False)
    page = (tmp_path / "README.md").read_text("utf-8")
    assert [line.split(" | ")[0] for line in page.splitlines() if line.startswith("| `")] == [
        *("| `none`", "| `spell`"),
        *("| `none`", "| `none`", "| `spell`", "| `spell`"),
    ]
    table = pd.read_csv(tmp_path / "table.csv")
    whole = table[table["outcomes"].notna()]
    assert [*zip(whole["defense"], whole["attack"], whole["seed"], strict=True)] == [
        (defense, attack, seed)
        for defense in ("none", "spell")
        for seed in (0, 1)
        for attack in ("deepwordbug", "worst_case:fast-1")
    ]
    for row in whole.to_dict("records"):
        assert row["outcomes"].count("r") == round(row["robust_accuracy"] * row["n"])
        assert row["outcomes"].count("w") == row["skipped"]
        for line in json.loads(row["warnings"]):
            assert line.split(":")[0].replace("_", "\\_") in page
    assert "Of these only such warnings are known" not in page
    shutil.rmtree(tmp_path / "runs")
    again = CliRunner().invoke(defense_table.main, [*how.split(), "--defenses", "none,spell"], catch_exceptions=False)
    assert again.output.count(f"stands in {tmp_path / 'table.csv'}\n") == 2
    assert (tmp_path / "README.md").read_text("utf-8") == page

    def page_of(rows: pd.DataFrame) -> list[str]:
        rows.to_csv(tmp_path / "table.csv", index=False)
        CliRunner().invoke(defense_table.main, [*how.split(), "--defenses", ""], catch_exceptions=False)
        return (tmp_path / "README.md").read_text("utf-8").split("## Over")[0].splitlines()

    elsewhere = table.assign(undefended="123456789012e456")  # a fingerprint that would do for a number
    alone = page_of(pd.concat([table, elsewhere[elsewhere["defense"] == "spell"]]))
    assert (
        "Not shown, since `none` is still to be run with their training of the victim, in their precision: `spell`."
        in alone
    )
    assert [line for line in alone if line.startswith("| `")] == [
        line for line in page.split("## Over")[0].splitlines() if line.startswith("| `")
    ]
    page_of(pd.concat([table[table["defense"] == "none"], elsewhere[elsewhere["defense"] == "spell"]]))
    told = CliRunner().invoke(defense_table.main, [*how.split(), "--defenses", "spell"], catch_exceptions=False)
    assert f"stands in {tmp_path / 'table.csv'}\n" in told.output
    assert not (tmp_path / "runs").exists(), "what another machine ran isn't run again"
    own = table.replace({"defense": {"spell": "density"}})
    assert [line.split(" | ")[0] for line in page_of(own) if line.startswith("| ")][2:] == [
        *("| `none`", "| *others*", "| `density`"),
    ]
    both = page_of(pd.concat([table, elsewhere]))
    assert [line.split(" | ")[0] for line in both if line.startswith("| `")] == [
        *("| `none` a", "| `none` b", "| `spell` a", "| `spell` b"),
    ]
    low = table[table["defense"] == "none"].assign(dtype="bfloat16")
    lines = page_of(pd.concat([table[table["defense"] == "spell"], low]))
    assert [line.split(" | ")[0] for line in lines if line.startswith("| `")] == ["| `none`"], "of another precision"
    lines = page_of(pd.concat([table, low]))
    assert [line.split(" | ")[0] for line in lines if line.startswith("| `")] == [
        *("| `none` a", "| `none` b", "| `spell` a"),
    ]
    assert sum("searched in float32 or bfloat16 and judged in float32" in line for line in lines) == 1
    assert sum(line.startswith("a (float32), b (bfloat16): one training") for line in lines) == 1
    other = [*how.split(), "--dtype", "bfloat16", "--defenses", "spell"]
    said = CliRunner().invoke(defense_table.main, other, catch_exceptions=False).output
    assert f"stands in {tmp_path / 'table.csv'}\n" in said, "in another precision, but it stands"


def test_a_collapsed_training_is_named_and_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[str, int]] = []

    def collapsing(**how: Any) -> rb.Run:
        tried.append((*how["defenses"], how["seed"]))
        if how["defenses"] == ["vote"]:
            raise rb.UsageError("vote needs what isn't here")
        raise TrainingCollapsed("x_y collapsed: 50.0% of held-out training examples right")

    page_of(tmp_path, rows("none", "r" * 40))
    before = (tmp_path / "table.csv").read_text("utf-8")
    monkeypatch.setattr(rb, "evaluate", collapsing)
    said = told(tmp_path, "ranmask(rate=0.99),vote")
    assert "ranmask(rate=0.99), seed 0: left out: x_y collapsed: 50.0%" in said
    assert "vote, seed 0: not run: vote needs what isn't here" in said
    assert told(tmp_path, "ranmask(rate=0.99)") == said.splitlines(keepends=True)[0]
    told(tmp_path, "ranmask(rate=0.99)", more="--seeds 1")
    assert tried == [("ranmask(rate=0.99)", 0), ("vote", 0), ("ranmask(rate=0.99)", 1)]
    assert (tmp_path / "table.csv").read_text("utf-8") == before
    page = (tmp_path / "README.md").read_text("utf-8")
    assert [line for line in page.splitlines() if "collapsed" in line] == [
        "- `ranmask(rate=0.99)`: x\\_y collapsed: 50.0% of held-out training examples right",
        "- `ranmask(rate=0.99)`, seed 1: x\\_y collapsed: 50.0% of held-out training examples right",
    ]
    assert "| `ranmask" not in page
    assert "vote" not in page


def test_warnings_of_the_runs_and_those_beside_none_are_on_the_page(tmp_path: Path) -> None:
    constant = "".join("r" if label else "w" for label in LABELS)
    kept = json.dumps(["few_draws: spell: a | b", "rejected_claims: spell: 3 of 5"])
    attacked, cascade = rows("spell", constant, warnings=kept)
    cascade["warnings"] = json.dumps(["rejected_claims: spell: 7 of 9"])
    lines = page_of(
        tmp_path,
        rows("none", "b" * 40, warnings="[]"),
        rows("none", "b" * 40, seed=1, warnings="[]"),
        [attacked, cascade],
        rows("vote", "r" * 40, seed=1),
    ).splitlines()
    warned = [line for line in lines if line.startswith("- `")]
    floor, collapse, *others = warned
    assert floor.startswith(f"- `spell`: clean\\_at\\_floor: {sum(LABELS)} of 40 examples are right without an attack")
    assert collapse.startswith("- `spell`: robust\\_by\\_collapse: it says class 1 to 40 of 40 examples")
    assert others == [
        "- `spell`: few\\_draws: a \\| b",
        "- `spell`: rejected\\_claims: 3 of 5",
        "- `spell`: rejected\\_claims: 7 of 9 (standard-1)",
    ]
    assert [line for line in lines if line.startswith("Of these only")] == [
        "Of these only such warnings are known as outcomes give cause for: `vote`, seed 1."
    ]


def test_what_ran_on_fewer_examples_stands_in_a_table_of_its_own(tmp_path: Path) -> None:
    def cells(section: str, defense: str) -> list[str]:
        (line,) = (line for line in section.splitlines() if line.startswith(f"| `{defense}`"))
        return line.split(" | ")

    left, right = "r" * 10 + "b" * 30, "r" * 30 + "b" * 10
    few = [rows("none", "b" * 8, 8), rows("vote", "r" * 6 + "bb", 8), rows("spell", "r" * 8, 8)]
    page = page_of(tmp_path, *few, rows("none", left), rows("vote", right), rows("spell", left, seed=1))
    main, other = page.split("\n## n = 8\n")
    assert main.startswith("# Defenses of tfidf-mr on mr, test split, n = 40\n")
    p = [mcnemar([True] * k + [False] * (8 - k), [False] * 8) for k in (6, 8)]
    assert cells(main, "vote")[5] == f"{mcnemar([True] * 30 + [False] * 10, [True] * 10 + [False] * 30):.2g}"
    assert [cells(other, name)[5] for name in ("vote", "spell")] == [f"{chance:.2g}" for chance in holm(p)]
    assert "| `spell`" not in main
    assert "a family for Holm, by itself" in other
    alone = page_of(tmp_path, rows("none", left), rows("vote", right), rows("spell", "r" * 60, 60))
    assert alone.startswith("# Defenses of tfidf-mr on mr, test split, n = 40\n"), "the main table has a row of none"
    assert (
        "still to be run with their training of the victim, in their precision: `spell`"
        in alone.split("\n## n = 60\n")[1]
    )


def test_what_each_attack_of_the_ensemble_leaves_is_shown(tmp_path: Path) -> None:
    def cascade(defense: str, letters: str, left: dict[str, float], **more: Any) -> list[dict[str, Any]]:
        own = rows(defense, letters, len(letters), **more)
        members = [own[0] | {"attack": f"standard-1/{name}", "robust_accuracy": rate} for name, rate in left.items()]
        return own + [
            row | {"known": defense.startswith("ascc") and row["attack"].endswith("/pwws")} for row in members
        ]

    page = page_of(
        tmp_path,
        cascade("ascc(k=4)", "rb" * 20, {"pwws": 0.3}),
        cascade("none", "rb" * 20, {"bae": 0.5, "pwws": 0.25}),
        cascade("none", "rb" * 20, {"bae": 0.75, "pwws": 0.5}, seed=1),
        cascade("spell", "rb" * 20, {"bae": 0.6, "pwws": 0.35}, dtype="bfloat16"),
        cascade("none", "rb" * 4, {"bae": 0.1, "pwws": 0.1}),
    )
    assert page.count("one attack after the other") == 1
    assert page.split("one attack after the other")[1].split("## Over")[0].splitlines()[4:-1] == [
        "| defense | pwws | bae |",
        "| :-- | --: | --: |",
        "| `none` | 25.0 | 50.0 |",
        "| `none`, seed 1 | 50.0 | 75.0 |",
        "| `ascc(k=4)` | 30.0 † |  |",
    ]
    assert pd.read_csv(tmp_path / "seeds.csv")[["undefended", "dtype"]].drop_duplicates().values.tolist() == [
        ["0a", "float32"]
    ]


def test_a_defense_is_held_against_none_in_its_own_precision(tmp_path: Path) -> None:
    left, other = "r" * 10 + "b" * 30, {"dtype": "bfloat16"}
    page = page_of(
        tmp_path,
        rows("none", left),
        rows("vote", "r" * 30 + "b" * 10),
        rows("none", "r" * 30 + "b" * 10, **other),
        rows("spell", "r" * 30 + "b" * 10, **other),
    )
    cells = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    beside = {line[0]: line[4] for line in cells}
    assert list(beside) == ["| `none` a", "| `none` b", "| `spell` b", "| `vote` a"]
    low, high = map(float, beside["| `spell` b"].split(" to "))
    assert low == -high, "as many are left as without it"
    assert float(beside["| `vote` a"].split(" to ")[0]) > 30


def test_none_is_run_in_each_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(**how: Any) -> rb.Run:
        raise rb.UsageError(f"{how['dtype']} is wanted")

    here = rb.open_victim("tfidf-mr").fingerprint
    page_of(tmp_path, rows("none", "r" * 40, undefended=here), rows("vote", "r" * 40, undefended=here))
    monkeypatch.setattr(rb, "evaluate", refusing)
    assert "none, seed 0: stands in" in told(tmp_path, "none")
    assert "none, seed 0: not run: bfloat16 is wanted" in told(tmp_path, "none", more="--dtype bfloat16")
    assert "vote, seed 0: stands in" in told(tmp_path, "vote", more="--dtype bfloat16")


def test_rows_of_other_numbers_of_examples_do_not_stand_for_these(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(**how: Any) -> rb.Run:
        raise rb.UsageError(f"{how['limit']} are wanted")

    monkeypatch.setattr(rb, "evaluate", refusing)
    page_of(tmp_path, rows("none", "r" * 40), rows("vote", "r" * 40))
    assert "vote, seed 0: stands in" in told(tmp_path, "vote")
    assert "vote, seed 0: not run: 8 are wanted" in told(tmp_path, "vote", limit=8)
