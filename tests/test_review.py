"""Human review: sheets that tell nothing, and filled sheets read back with intervals and agreement."""

from __future__ import annotations

import sys
from collections.abc import Callable
from math import isnan, nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from texts import complaint

from robustbench_nlp.api import evaluate
from robustbench_nlp.cli import main
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.review import COLUMNS, agreement, draw, filled, key_beside, shares, write

WORDS = ("a good and great but dull film", "a fine film", "=2+3 a good and great film, if dull")
PAIRS = [(f"{words} number {i}", 1) for i in range(8) for words in WORDS]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings: dict[str, Any] = {
        "attacks": ["deepwordbug", "pwws", "worst_case", "input_reduction"],
        "similarity": "none",
    }
    settings |= {"defenses": ["none", "unicode_normalize"], "dataset": PAIRS}
    return evaluate(victim=KeywordVictim(), output=tmp_path_factory.mktemp("run"), **settings).folder


Judge = Callable[[str, str], tuple[str, str, str]]
"""From kind and row to label_kept, meaning and grammar."""


@pytest.fixture
def sheets(run: Path, tmp_path: Path) -> Callable[..., list[Path]]:
    def make(*judges: Judge, limit: int = 20) -> list[Path]:
        key = write(draw(run, limit), tmp_path / "review.csv")
        kinds = pd.read_csv(key).drop_duplicates("row").set_index("row")["kind"]
        sheet = pd.read_csv(tmp_path / "review.csv", dtype=str, keep_default_na=False)
        made = []
        for i, judge in enumerate(judges):
            answers = [judge(kinds[row], row) for row in sheet["row"]]
            path = tmp_path / f"reader{i}.csv"
            sheet.assign(**dict(zip(COLUMNS[4:], zip(*answers, strict=True), strict=True))).to_csv(path, index=False)
            made.append(path)
        return made

    return make


def test_the_sheet_is_blind_and_repeats_itself(run: Path) -> None:
    sheet = draw(run, 12, seed=3)
    assert [*sheet.rows.columns] == [*COLUMNS]
    assert len(sheet.rows) == 12 + 3
    for name in ("deepwordbug", "pwws", "none", "unicode", "success", "control"):
        assert not sheet.rows.map(lambda cell, name=name: name in cell).to_numpy().any()
    assert sheet.rows.equals(draw(run, 12, seed=3).rows)
    assert set(sheet.rows["row"]) < set(draw(run, 16, seed=3).rows["row"])
    assert not set(sheet.rows["row"]) & set(draw(run, 12, seed=4).rows["row"])
    kinds = sheet.key.drop_duplicates("row").set_index("row")["kind"]
    places = [kinds[row] for row in sheet.rows["row"]]
    assert places != sorted(places)
    assert places != sorted(places, reverse=True)
    originals = {text for text, _ in PAIRS}
    for row in sheet.rows.to_dict("records"):
        assert (row["text"] in originals) == (kinds[row["row"]] == "control")
        assert (row["other"] in originals) == (kinds[row["row"]] == "success")
        assert row["label"] == "positive"
    shown = sheet.rows["text"].where(sheet.rows["row"].map(kinds) == "control", sheet.rows["other"])
    controls = shown[sheet.rows["row"].map(kinds) == "control"]
    assert not shown[controls.index].duplicated().any()
    assert set(controls).isdisjoint(shown.drop(controls.index))  # no example tells by its other row what is original
    assert set(sheet.key["attack"]) == {"deepwordbug", "pwws"}  # no worst case's, which are theirs, and no reduction


def test_every_cell_has_its_turn_and_no_text_is_asked_twice(run: Path) -> None:
    sheet = draw(run, 8)
    success = sheet.key[sheet.key["kind"] == "success"]
    assert success.groupby("attack")["row"].nunique().min() >= 3
    assert not sheet.rows.duplicated(["text", "other"]).any()
    assert {*success["defense"]} == {"none", "unicode_normalize"}


def test_formulas_are_defused(run: Path, tmp_path: Path) -> None:
    write(draw(run, 100), tmp_path / "sheet.csv")
    raw = (tmp_path / "sheet.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbfrow,")
    cells = pd.read_csv(tmp_path / "sheet.csv", dtype=str, keep_default_na=False)
    assert not cells.map(lambda cell: cell.startswith(("=", "+", "-", "@"))).to_numpy().any()
    assert cells["other"].str.startswith("'=2+3").any()


def test_shares_and_means_by_hand(sheets: Callable[..., list[Path]]) -> None:
    turn = iter(range(1000))

    def judge(kind: str, row: str) -> tuple[str, str, str]:
        if kind == "control":
            return "yes", "5", "5"
        return ("yes", "4", "2") if next(turn) % 2 else ("unclear", "2", "")

    (path,) = sheets(judge)
    judged = filled([path], key_beside(path))
    found = shares(judged, key_beside(path)).set_index("group")
    every, controls = found.loc["all successes"], found.loc["controls (originals)"]
    assert (every["rows"], every["label_kept"], every["meaning"], every["grammar"]) == (20, 0.5, 3.0, 2.0)
    assert (every["label_kept_low"], every["label_kept_high"]) == pytest.approx((0.299, 0.701), abs=1e-3)  # Wilson
    assert every["meaning_low"] < 3 < every["meaning_high"]
    assert (controls["rows"], controls["label_kept"], controls["grammar"]) == (5, 1.0, 5.0)
    assert {"none × deepwordbug", "none × pwws"} <= set(found.index)


@pytest.mark.parametrize(
    ("grades", "ends"),
    [
        ("5455", (nan, nan)),  # four texts are too few
        ("33333", (nan, nan)),  # no spread
        ("24344", (2.289, 4.511)),
        ("55551", (1.979, 5.0)),  # 6.4 is no grade
    ],
)
def test_intervals_of_grades_stay_on_the_scale(tmp_path: Path, grades: str, ends: tuple[float, float]) -> None:
    rows = [f"r{i}" for i in range(len(grades))]
    judged = pd.DataFrame({"reader": "a", "row": rows, "kind": "success", "label_kept": "yes", "grammar": [*grades]})
    (tmp_path / "s.key.csv").write_text("row,kind,defense,attack\nr0,success,none,pwws\n", "utf-8")
    (every, *_) = shares(judged.assign(meaning=""), tmp_path / "s.key.csv").to_dict("records")
    assert every["grammar"] == np.mean([int(grade) for grade in grades])
    assert (every["grammar_low"], every["grammar_high"]) == pytest.approx(ends, abs=1e-3, nan_ok=True)


def test_several_readers_widen_the_interval_by_what_they_differ_in(sheets: Callable[..., list[Path]]) -> None:
    paths = sheets(
        lambda kind, row: ("no" if int(row[1:], 16) % 2 else "yes", "3", "3"), lambda kind, row: ("yes", "4", "3")
    )
    judged = filled(paths, key_beside(paths[0]))
    both, one = (
        shares(part, key_beside(paths[0])).iloc[0] for part in (judged, filled(paths[:1], key_beside(paths[0])))
    )
    assert both["label_kept_high"] - both["label_kept_low"] > one["label_kept_high"] - one["label_kept_low"]
    found = agreement(judged)
    assert found["label_kept"] < 0.1
    assert isnan(found["grammar"])  # all alike


def test_agreement_is_krippendorffs() -> None:
    """The four observers and twelve units of Krippendorff (2011, Computing Krippendorff's alpha-reliability, section D):
    α is 0.743 for nominal and 0.849 for interval data."""
    data = ("123321412---", "1233224125-3", "-3332342251-", "12332441251-")
    rows = [
        {"reader": str(i), "row": str(j), "kind": "success", "label_kept": value, "meaning": value, "grammar": ""}
        for i, line in enumerate(data)
        for j, value in enumerate("" if value == "-" else value for value in line)
    ]
    found = agreement(pd.DataFrame(rows))
    assert found["label_kept"] == pytest.approx(0.743, abs=5e-4)
    assert found["meaning"] == pytest.approx(0.849, abs=5e-4)
    assert isnan(found["grammar"])


def test_sheets_come_back_as_spreadsheets_save_them(sheets: Callable[..., list[Path]]) -> None:
    (path,) = sheets(lambda kind, row: ("Yes ", "5", ""))
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    path.write_bytes(b"\xef\xbb\xbf" + frame.to_csv(index=False, sep=";", lineterminator="\r\n").encode())
    judged = filled([path], key_beside(path))
    assert (judged["label_kept"] == "yes").all()
    assert np.isnan(shares(judged, key_beside(path))["grammar"]).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda frame: frame.assign(meaning="6"), "meaning is '6'; write 1, 2, 3, 4, 5, or leave it empty"),
        (lambda frame: frame.assign(label_kept="maybe"), "label_kept is 'maybe'; write yes, no, unclear"),
        (lambda frame: frame.assign(row="r0"), "row 'r0' is not in"),
        (lambda frame: pd.concat([frame, frame[:1]]), "comes twice"),
        (lambda frame: frame.drop(columns="grammar"), "has no column grammar"),
        (lambda frame: frame.assign(label_kept="", meaning=" ", grammar=""), "has no answers"),
    ],
)
def test_what_is_filled_in_wrongly_is_told(sheets: Callable[..., list[Path]], change: Any, said: str) -> None:
    (path,) = sheets(lambda kind, row: ("yes", "5", "5"))
    change(pd.read_csv(path, dtype=str, keep_default_na=False)).to_csv(path, index=False)
    assert said in complaint(lambda: filled([path], key_beside(path)))


def test_files_that_are_not_there_or_must_not_be_lost(run: Path, tmp_path: Path) -> None:
    assert "cannot read the sheet" in complaint(
        lambda: filled([tmp_path / "no.csv"], write(draw(run), tmp_path / "a.csv"))
    )
    assert "is there already" in complaint(lambda: write(draw(run), tmp_path / "a.csv"))
    write(draw(run), tmp_path / "b.csv")
    assert "2 keys" in complaint(lambda: key_beside(tmp_path / "a.csv"))
    (tmp_path / "empty").mkdir()
    assert "is no key" in complaint(lambda: key_beside(tmp_path / "empty" / "a.csv"))
    assert "is no key of a sheet" in complaint(lambda: filled([], tmp_path / "a.csv"))
    assert "cannot read the key" in complaint(lambda: filled([], tmp_path / "no.key.csv"))
    (tmp_path / "none.key.csv").touch()
    assert "is no key of a sheet" in complaint(lambda: filled([], tmp_path / "none.key.csv"))
    robust = evaluate(
        victim=KeywordVictim(), dataset=[("good", 1), ("bad", 0)], attacks=["random_typos"], max_queries=1, similarity="none",
        output=tmp_path / "robust",
    )  # fmt: skip
    assert "has no successes" in complaint(lambda: draw(robust.folder))


def test_too_few_examples_for_controls_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    attacks = ["deepwordbug", "pwws", "textbugger", "bad_characters:homoglyphs"]
    run = evaluate(
        victim=KeywordVictim(), dataset=PAIRS[:1], attacks=attacks, similarity="none", output=tmp_path / "run"
    )
    assert main(["review", str(run.folder), "--output", str(tmp_path / "sheet.csv")]) == 0
    assert "only 0 controls, not 1: the run has no further examples for them" in capsys.readouterr().out


def test_the_commands(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["review", str(run), "--limit", "8", "--seed", "2", "--output", "eight.csv"]) == 0
    out = capsys.readouterr().out
    assert "10 rows to fill in" in out
    assert "controls" not in out
    assert main(["report", str(run), "--review", "sheet.csv"]) == 0
    frame = pd.read_csv("sheet.csv", dtype=str, keep_default_na=False)
    assert frame["row"].tolist() == draw(run).rows["row"].tolist()
    for name in ("a", "b"):
        frame.assign(label_kept="yes", meaning=[str(i % 5 + 1) for i in range(len(frame))], grammar="3").to_csv(
            f"{name}.csv", index=False
        )
    capsys.readouterr()
    assert main(["review", "--read", "a.csv", "b.csv", "--key", "sheet.key.csv"]) == 0
    out = capsys.readouterr().out
    assert "Krippendorff's α of 2 readers: label_kept -, meaning 1.00, grammar -" in out
    assert "controls (originals)" in out
    assert " 3.00 [-]\n" in out  # no spread, no interval
    assert main(["review", "--read", "a.csv", "--key", "sheet.key.csv", "--csv"]) == 0
    assert capsys.readouterr().out.startswith("group,rows,label_kept,")
    monkeypatch.setitem(sys.modules, "nltk.metrics", None)
    assert main(["review", "--read", "a.csv", "--key", "sheet.key.csv"]) == 0
    assert main(["review", "--read", "a.csv", "b.csv", "--key", "sheet.key.csv"]) == 2
    assert "robustbench-nlp[stats]" in capsys.readouterr().err
    assert main(["review", str(run), str(run)]) == 2
