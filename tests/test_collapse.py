"""What a constant answer would score: planted constant victims and collapsing defenses are told, honest ones are not."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pytest

from robustbench_nlp.api import evaluate
from robustbench_nlp.cli import main
from robustbench_nlp.fakes import ConstantVictim, KeywordVictim
from robustbench_nlp.records import Outcome, Record
from robustbench_nlp.report.collapse import Answers, collapsed, no_better_than_constant
from robustbench_nlp.report.files import written
from robustbench_nlp.report.flags import Evidence, flags
from robustbench_nlp.report.table import row, table

PAIRS = [(f"a {word} film, number {i}", int(word == "good")) for i in range(15) for word in ("good", "bad")]
SETTINGS: dict[str, Any] = {"dataset": PAIRS, "attacks": ["deepwordbug"], "similarity": "none"}


def answers(labels: str, predictions: str) -> Answers:
    """A digit an example; '!' for no answer."""
    named = {f"e{i}": int(label) for i, label in enumerate(labels)}
    said = {f"e{i}": None if mark == "!" else int(mark) for i, mark in enumerate(predictions)}
    return Answers(named, said)


def test_a_constant_victim_is_told_on_every_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = evaluate(victim=ConstantVictim(), output=tmp_path, **SETTINGS)
    line = "Warning: clean\\_at\\_floor: none: 15 of 30 examples are right without an attack, a constant answer would have 15"
    assert run.table["attack_success_rate"].tolist() == [0.0]  # perfectly robust
    assert line in (run.folder / "table.md").read_text("utf-8")
    written(run.folder, ["md", "ranking", "valid"])
    for name in ("table.md", "ranking.md", "valid.md"):
        assert line in (run.folder / name).read_text("utf-8")
    assert "| 1 | none ∅ |" in (run.folder / "ranking.md").read_text("utf-8")
    assert main(["compare", str(run.folder), str(run.folder)]) == 0
    assert "Warning: constant, none: 15 of 30 examples are right" in capsys.readouterr().out


def test_a_victim_that_reads_is_not(tmp_path: Path) -> None:
    run = evaluate(victim=KeywordVictim(), output=tmp_path, **SETTINGS)
    assert "clean\\_at\\_floor" not in (run.folder / "table.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("labels", "predictions", "told"),
    [
        ("01" * 20, "01" * 20, False),
        ("01" * 20, "1" * 40, True),
        ("01" * 20, "01" * 10 + "1" * 20, False),  # 30 of 40, p = 0.001
        ("01" * 20, "01" * 5 + "1" * 30, True),  # 25 of 40, p = 0.08
        ("0001" * 10, "0" * 40, True),
        ("0001" * 10, "0" * 30 + "0001" * 2 + "00", True),
        ("1" * 20, "1" * 20, True),  # examples of one label: no answer is better than a constant one
        ("01" * 3, "01" * 2 + "!!", True),  # what isn't answered is wrong
        ("", "", False),
    ],
)
def test_accuracy_must_be_significantly_above_the_largest_class(labels: str, predictions: str, told: bool) -> None:
    assert bool(no_better_than_constant(answers(labels, predictions))) is told


def test_honest_victims_slightly_above_the_floor_are_told_and_good_ones_are_not() -> None:
    rng = Random(0)
    labels = "".join(str(rng.randrange(2)) for _ in range(200))
    assert no_better_than_constant(answers(labels, "".join(str(rng.randrange(2)) for _ in labels)))
    good = "".join(label if rng.random() < 0.8 else str(1 - int(label)) for label in labels)
    assert not no_better_than_constant(answers(labels, good))


PLAIN = answers("01" * 20, "01" * 18 + "0010")


@pytest.mark.parametrize(
    ("predictions", "told"),
    [
        ("1" * 30 + "01" * 5, True),
        ("1" * 40, True),
        ("01" * 18 + "0010", False),  # as before
        ("01" * 20, False),  # better
        ("10" * 20, False),  # wrong, and evenly so
        ("01" * 16 + "11110010", False),  # three more, by chance
    ],
)
def test_a_defense_that_says_one_class_far_more_often(predictions: str, told: bool) -> None:
    evidence = collapsed(answers("01" * 20, predictions), PLAIN)
    assert bool(evidence) is told
    if told:
        assert "it says class 1 to" in evidence
        assert "and the labels to 20" in evidence


def test_a_defense_that_answers_as_the_labels_are_has_not_collapsed() -> None:
    """It says 1 more often than the undefended victim did, and no more often than it should."""
    labels = "1" * 30 + "0" * 10
    assert not collapsed(answers(labels, "1" * 20 + "0" * 10 + "1" * 10), answers(labels, "1" * 15 + "0" * 25))


def records(defense: str, predictions: str, outcomes: str) -> tuple[dict[str, Any], list[Record]]:
    kinds: dict[str, Outcome] = {"x": "success", ".": "failed", "-": "skipped"}
    header = {
        "dataset": "films",
        "victim": "v",
        "defense": defense,
        "attack": "pwws",
        "mode": "adaptive",
        "threat": "t@1",
    }
    return header, [
        Record(
            example_id=f"e{i}",
            label=i % 2,
            original=f"film {i}",
            outcome=kinds[outcome],
            clean_prediction=int(said),
            clean_output=[0.4 - i / 1000, 0.6 + i / 1000],
        )
        for i, (said, outcome) in enumerate(zip(predictions, outcomes, strict=True))
    ]


def flagged(*cells: tuple[dict[str, Any], list[Record]]) -> list[tuple[str, str]]:
    evidence = Evidence(table([row(*cell) for cell in cells]), {(h["defense"], h["attack"]): r for h, r in cells})
    found = flags(evidence)
    return [flag for flag in found if flag.name in ("clean_at_floor", "robust_by_collapse")]


def test_robustness_that_a_collapse_gains_is_flagged_beside_the_undefended_victim() -> None:
    none = records("none", "01" * 20, "x" * 40)
    constant = records("useless", "1" * 40, "-." * 20)
    (at_floor, gained) = flagged(none, constant)
    assert at_floor[1].startswith("useless: 20 of 40")
    assert gained[1].startswith("useless: it says class 1 to 40 of 40 examples, the undefended victim to 20")
    assert gained[1].endswith("part of what it gains, 0 to 20 right under pwws, is a constant answer's.")
    weak = records("weak", "1" * 40, "-x" * 20)  # collapsed, and nothing gained by it
    assert [flag[0] for flag in flagged(none, weak)] == ["clean_at_floor"]
    assert [flag[0] for flag in flagged(constant)] == ["clean_at_floor"]  # nothing to compare with
    assert flagged(none, records("good", "01" * 20, "." * 40)) == []


def test_the_floor_stands_in_every_table(tmp_path: Path) -> None:
    run = evaluate(victim=KeywordVictim(), output=tmp_path, **SETTINGS)
    written(run.folder, ["md", "latex", "ranking", "valid"])
    for name in ("table.md", "table.tex", "ranking.md", "valid.md"):
        text = (run.folder / name).read_text("utf-8")
        assert "constant answer" in text
        assert "50.0" in text
    for name in ("ranking.csv", "valid.csv"):
        assert (pd.read_csv(run.folder / name)["floor"] == 0.5).all()
