"""`verify`: a run that holds, and every planted fault is told in a line of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from texts import complaint

from robustbench_nlp import api, helpers
from robustbench_nlp.api import evaluate
from robustbench_nlp.cli import main
from robustbench_nlp.detection import Watched
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.predictor import FRESH, JUDGED
from robustbench_nlp.records import _line
from robustbench_nlp.report.files import written
from robustbench_nlp.verification import Verification, verify

PAIRS = [
    ("a good and great but dull film", 1),
    ("a fine, great story", 1),
    ("a bad film", 0),
    ("an awful, dull story with a good cast", 0),
    ("no film", 0),
]
Change = Callable[[dict[str, Any]], object]


def made(folder: Path, victim: KeywordVictim | None = None, **settings: Any) -> Path:
    attacks = ["deepwordbug", "pwws", "input_reduction", "random_typos", "worst_case"]
    given = {"attacks": attacks, "defenses": ["none", "unicode_normalize"], "similarity": "none", **settings}
    return evaluate(victim=victim or KeywordVictim(), dataset=PAIRS, output=folder, **given).folder


def check(folder: Path, victim: KeywordVictim | None = None, **settings: Any) -> Verification:
    return verify(folder, victim=victim or KeywordVictim(), dataset=PAIRS, **settings)


def rewrite(path: Path, change: Change, outcome: str = "success") -> None:
    """Change the first record of an outcome, with a sound checksum."""
    lines = path.read_text("ascii").splitlines()
    for number, line in enumerate(lines[1:], 1):
        content = json.loads(line)
        del content["checksum"]
        if content["outcome"] == outcome:
            change(content)
            lines[number] = _line(content).decode("ascii").rstrip("\n")
            break
    path.write_text("\n".join(lines) + "\n", "ascii")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"mode": "transfer", "attacks": ["deepwordbug", "pwws", "worst_case"]},
        {"cascade": True, "attacks": ["random_typos", "deepwordbug", "worst_case:random_typos+deepwordbug"]},
        {"max_queries": 5},
    ],
)
def test_a_run_holds(tmp_path: Path, settings: dict[str, Any]) -> None:
    result = check(made(tmp_path, **settings))
    assert result.differences == ()
    assert result.cells == len(list((tmp_path / "records").iterdir()))
    assert result.texts > 0


@pytest.mark.parametrize("budget", [None, 2])
def test_a_random_victims_run_holds(tmp_path: Path, budget: int | None) -> None:
    victim = KeywordVictim(random=True)
    folder = made(tmp_path, victim, draws=3, attacks=["deepwordbug"], max_queries=budget)
    assert check(folder, victim).differences == ()


def test_what_fresh_draws_outvote_and_what_a_detector_rejects_holds(tmp_path: Path) -> None:
    """The referee's answer to the clean text is on record where it counts; a success that was rejected is none."""

    class Flattered(KeywordVictim):
        def predict(self, inputs: Any, draw: int = 0) -> Any:
            answers = super().predict(inputs)
            return answers[:, ::-1].copy() if draw >= FRESH else answers

    victim = Flattered(random=True)
    folder = made(tmp_path / "outvoted", victim, draws=3, attacks=["deepwordbug"], defenses=["none"])
    table = pd.read_csv(folder / "table.csv")
    assert table["skipped"].item() > table["attempted"].item()
    assert check(folder, victim).differences == ()
    watched = Watched(
        KeywordVictim(), lambda items: np.array([len(str(i)) % 2 for i in items]), 0.5, ["odd"], evaded=True
    )
    folder = made(tmp_path / "rejected", watched, attacks=["deepwordbug", "pwws"], defenses=["none"])
    lines = [line for path in (folder / "records").iterdir() for line in path.read_text().splitlines()]
    assert any(json.loads(line).get("rejected_successes") for line in lines)
    assert check(folder, watched).differences == ()


def test_records_of_a_random_victim_judged_otherwise_are_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one that isn't random they are: nothing changed there."""

    def again(random: bool) -> Path:
        how: dict[str, Any] = {"attacks": ["deepwordbug"], "defenses": ["none"]}
        return made(tmp_path / str(random), KeywordVictim(random=random), draws=3 if random else 1, **how)

    before = [again(random) for random in (False, True)]
    monkeypatch.setattr("robustbench_nlp.runner.JUDGED", JUDGED + 1)
    assert again(False) == before[0]
    assert "judged" in complaint(lambda: again(True))


@pytest.mark.parametrize(
    ("change", "outcome", "told"),
    [
        (lambda r: r.update(adversarial=r["original"]), "success", "recorded as a success: the victim"),
        (lambda r: r.update(adversarial="something else entirely, and much longer"), "success", "outside the threat"),
        (lambda r: r.update(outcome="failed"), "success", "recorded as failed, and its text is a success"),
        (lambda r: r.update(outcome="skipped"), "success", "is recorded as skipped with the prediction"),
        (lambda r: r.update(clean_prediction=1 - r["label"]), "success", "without an attack"),
        (lambda r: r.update(words_changed=r["words_changed"] + 1), "success", "has words_changed"),
        (lambda r: r.update(original="another text"), "success", "has another text or label"),
        (lambda r: r.update(example_id="0" * 16), "success", "has no record"),
        (lambda r: r.update(adversarial=None), "success", "without a text"),
        (lambda r: r.update(margin=0.9), "success", "has the margin"),
        (lambda r: r.update(adversarial_output=[0.5, 0.5]), "success", "has the output ["),
        (lambda r: r.update(adversarial_output=[0.5, 0.2, 0.3]), "success", "has the output ["),
        (lambda r: r.update(clean_output=[1.0]), "success", "has the clean output ["),
        (lambda r: r.update(adversarial_prediction=r["label"]), "success", "under attack"),
        (lambda r: r.update(similarity=0.99), "success", "has the similarity 0.99, and the run measures none"),
        (lambda r: r.update(queries=2), "success", "first succeeded at query"),
        (lambda r: r.update(queries=2, first_success_query=2), "success", "spent 2 queries on"),
        (lambda r: r.update(first_success_query=1), "success", "first succeeded at query 1 of"),
        (lambda r: r.update(first_success_query=None), "success", "first succeeded at query None of"),
        (lambda r: r.update(forwards=1), "success", "on 1 texts"),
        (lambda r: r.update(first_success_query=2), "failed", "as a success at query 2"),
        (lambda r: r.update(queries=9999), "failed", "spent 9999 queries, at most 30 were allowed"),
    ],
)
def test_a_changed_record_is_found(tmp_path: Path, change: Change, outcome: str, told: str) -> None:
    folder = made(tmp_path, attacks=["deepwordbug"], defenses=["none"], max_queries=30)
    rewrite(folder / "records" / "none__deepwordbug.jsonl", change, outcome)
    lines = check(folder).differences
    assert any(told in line and line.startswith("none × deepwordbug: example") for line in lines), lines


def test_a_settled_example_that_nobody_broke_is_found(tmp_path: Path) -> None:
    folder = made(tmp_path, attacks=["worst_case:random_typos+deepwordbug"], defenses=["none"])
    rewrite(folder / "records" / "none__deepwordbug.jsonl", lambda r: r.update(outcome="settled"), "success")
    assert any("no attack before broke it" in line for line in check(folder).differences), check(folder).differences


def test_a_changed_similarity_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def letters(texts: Sequence[str]) -> NDArray[np.float32]:
        counts = np.array([[text.count(letter) for letter in ascii_lowercase] for text in texts], np.float32)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)

    monkeypatch.setattr(helpers, "provider", lambda *asked: letters)
    monkeypatch.setattr(api, "folder_of", lambda name: tmp_path)
    folder = made(tmp_path, attacks=["deepwordbug"], defenses=["none"], similarity="letters")
    assert check(folder).differences == ()
    for forged in (0.1, None):
        rewrite(folder / "records" / "none__deepwordbug.jsonl", lambda r, to=forged: r.update(similarity=to))
        assert any(f", {forged} on record" in line for line in check(folder).differences)


def test_errors_are_counted_and_a_failure_made_one_is_found(tmp_path: Path) -> None:
    folder = made(tmp_path, attacks=["random_typos"], defenses=["none"])
    rewrite(
        folder / "records" / "none__random_typos.jsonl",
        lambda r: r.update(outcome="error", error="out of memory", clean_prediction=1 - r["label"]),
        "failed",
    )
    written(folder, ["csv", "md"])
    result = check(folder)
    assert result.errors == 1
    predicted, counted = result.differences
    assert "without an attack" in predicted
    assert counted.startswith("manifest.json, none × random_typos: outcomes ")
    assert ", the records give 1 error, " in counted


def test_changed_tables_and_counts_are_found(tmp_path: Path) -> None:
    folder = made(tmp_path, attacks=["deepwordbug", "pwws"], defenses=["none", "unicode_normalize"])
    table, page, manifest = (folder / name for name in ("table.csv", "table.md", "manifest.json"))
    whole = {path: path.read_text("utf-8") for path in (table, page, manifest)}

    def changed(path: Path, before: str, after: str) -> tuple[str, ...]:
        path.write_text(whole[path].replace(before, after, 1), "utf-8")
        found = check(folder).differences
        path.write_text(whole[path], "utf-8")
        return found

    assert changed(table, ",5,", ",6,") == ("table.csv, none × deepwordbug: n is 6, the records give 5",)
    last = whole[table].splitlines()[-1] + "\n"
    assert changed(table, last, "") == ("table.csv, unicode_normalize × pwws: no such row",)
    for before in ("| 80.0 |", "- Bold"):
        (line,) = changed(page, before, "| 99.9 |")
        assert line.startswith("table.md, line ")
        assert "| 99.9 |" in line
    assert changed(page, "robustbench-nlp 0", "robustbench-nlp 99") == ()
    (line,) = changed(manifest, '"skipped": 1', '"skipped": 0')
    assert line.startswith("manifest.json, none × deepwordbug: outcomes ")
    assert changed(manifest, '"outcomes"', '"counts"') == (
        "manifest.json doesn't count the outcomes of cells ('outcomes')",
    )
    page.unlink()
    assert check(folder).holds
    manifest.unlink()
    assert check(folder).differences == ("there is no manifest.json",)


@pytest.mark.parametrize(
    "settings",
    [
        {"attacks": ["deepwordbug", "pwws", "worst_case"]},
        {"attacks": ["worst_case:pwws+deepwordbug"], "cascade": True},
        {"attacks": ["deepwordbug", "pwws", "worst_case"], "mode": "transfer"},
    ],
)
def test_what_follows_from_a_damaged_or_missing_file_is_not_told(tmp_path: Path, settings: dict[str, Any]) -> None:
    folder = made(tmp_path, **settings)
    path = folder / "records" / "none__pwws.jsonl"
    content = path.read_text()
    path.write_text(content.replace("a bad film", "a bed film", 1))
    (line,) = check(folder).differences
    assert line.startswith(f"none × pwws: {path}, line ")
    assert "damaged (checksum)" in line
    path.unlink()
    assert check(folder).differences == ("none × pwws: no records in none__pwws.jsonl",)


def test_a_folder_without_records_is_told_in_one_line() -> None:
    place = Path(__file__).parent.parent / "results" / "quickstart"
    assert f"{place} holds no records" in complaint(lambda: verify(place))


def test_another_victim_or_setting_is_named(tmp_path: Path) -> None:
    folder = made(tmp_path, attacks=["deepwordbug"], defenses=["none"])
    other = KeywordVictim(keywords=(("good",), ("bad",)))
    lines = check(folder, other).differences
    assert any(line.startswith("none × deepwordbug: victim is ") for line in lines)
    assert any("without an attack" in line for line in lines)
    run = folder / "run.yaml"
    run.write_text(run.read_text().replace("seed: 0", "seed: 1").replace("max_queries: null", "max_queries: 99"))
    assert "none × deepwordbug: seed is 1 here and 0 on record" in check(folder).differences
    assert "none × deepwordbug: threat max_queries is 99 here and none on record" in check(folder).differences


def test_a_sample_checks_fewer_texts(tmp_path: Path) -> None:
    folder = made(tmp_path, attacks=["deepwordbug"], defenses=["none"])
    assert check(folder, sample=2).texts == 2


def test_bad_use_is_told_in_one_line(tmp_path: Path) -> None:
    assert "is no run folder: it has no run.yaml" in complaint(lambda: verify(tmp_path))
    folder = made(tmp_path / "run", attacks=["deepwordbug"], defenses=["none"])
    assert "without these Python objects" in complaint(lambda: verify(folder))


def test_the_command_prints_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("text,label\na good film,positive\na bad film,negative\n", "utf-8")
    run = [
        "run",
        "--victim",
        "tfidf-mr",
        "--dataset",
        f"csv:{rows}",
        "--attacks",
        "deepwordbug",
        "--similarity",
        "none",
    ]
    assert main([*run, "--output", str(tmp_path / "run"), "--quiet"]) == 0
    capsys.readouterr()
    assert main(["verify", str(tmp_path / "run")]) == 0
    assert "1 cells, 2 examples predicted again; it holds" in capsys.readouterr().out
    table = tmp_path / "run" / "table.csv"
    table.write_text(table.read_text().replace("tfidf_mr", "tfidf_mx", 1))
    assert main(["verify", str(tmp_path / "run")]) == 1
    assert "victim is tfidf_mx" in capsys.readouterr().out
    records = tmp_path / "run" / "records" / "none__deepwordbug.jsonl"
    rewrite(records, lambda r: r.update(outcome="error", error="out of memory"), "success")
    assert main(["verify", str(tmp_path / "run")]) == 1
    assert "2 examples predicted again, 1 on record as errors, which can't be checked; " in capsys.readouterr().out
    assert main(["verify", str(tmp_path / "nowhere")]) == 2
