"""`report`: the run's own table again from its records, and the paper's table."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
from texts import complaint

from robustbench_nlp.api import evaluate
from robustbench_nlp.attacks.deepwordbug import DeepWordBug
from robustbench_nlp.cli import main
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.records import RecordFile, read
from robustbench_nlp.report.files import FORMATS, written
from robustbench_nlp.seeds import over_seeds
from robustbench_nlp.threat import Threat

PAIRS = [(f"{words} number {i}", 1) for i in range(10) for words in ("a good and great but dull film", "a fine film")]
HOSTILE = r"50% \input{/etc/passwd} $x_1$ {~^#&"
SETTINGS: dict[str, Any] = {
    "dataset": PAIRS,
    "attacks": ["deepwordbug", "bad_characters:homoglyphs", "random_typos", "worst_case"],
    "defenses": ["none", "unicode_normalize"],
    "similarity": "none",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return evaluate(victim=KeywordVictim(), output=tmp_path_factory.mktemp("run"), **SETTINGS).folder


def test_the_records_give_the_runs_own_files(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    written(copy, ["csv", "md"])
    for name in ("table.csv", "table.md"):
        assert (copy / name).read_bytes() == (run / name).read_bytes()


def test_parquet_holds_the_table(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    (path,) = written(copy, ["parquet"])
    found = pd.read_parquet(path)
    told = pd.read_csv(run / "table.csv")
    assert list(found.columns) == list(told.columns)
    assert found["robust_accuracy"].tolist() == told["robust_accuracy"].tolist()


def spoil(path: Path, more: int) -> None:
    """Some failed attacks of a cell's become successes, as if they had found something."""
    file = read(path)
    assert file is not None
    path.unlink()
    with RecordFile(path, file.header) as journal:
        for record in file.records.values():
            broken = record.outcome == "failed" and more > 0
            more -= broken
            journal.append(replace(record, outcome="success") if broken else record)


def warned(run: Path, copy: Path) -> Path:
    """A copy of the run which warns."""
    shutil.copytree(run, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"warnings": ["saturated: half of the scores are 1"]}))
    return copy


def of(folder: Path) -> str:
    """The run's LaTeX table."""
    with TemporaryDirectory() as place:
        return written(Path(shutil.copytree(folder, Path(place) / "copy")), ["latex"])[0].read_text("utf-8")


def test_the_best_defense_is_bold_and_its_ties_are_marked(run: Path) -> None:
    lines = of(run).splitlines()
    plain, normal = (next(line for line in lines if line.strip().startswith(name)) for name in ("none", "unicode"))
    before, after = (line.rstrip(" \\").split(" & ") for line in (plain, normal))
    glyphs = 3  # defense, clean, deepwordbug, bad_characters
    assert after[glyphs] == r"\bfseries 100.0"
    assert re.fullmatch(r"\d+\.\d", before[glyphs])
    assert before[4] == after[4] == "100.0"  # noise breaks neither: no best, no ties


def test_what_is_not_told_from_the_best_is_marked_alike_everywhere(run: Path, tmp_path: Path) -> None:
    """One example of 20 that only `none` withstands is a tie; under homoglyphs `unicode_normalize` stays ahead."""
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    spoil(copy / "records" / "unicode_normalize__deepwordbug.jsonl", 1)
    md, tex, _, ranks = (path.read_text("utf-8") for path in written(copy, ["md", "latex", "ranking"]))
    tied = next(line for line in md.splitlines() if "unicode" in line and "deepwordbug" in line)
    assert tied.split(" | ")[5].endswith("] ≈")
    assert "≈: can't be told from it" in md
    assert r"$^{\approx}$" in next(line for line in tex.splitlines() if line.strip().startswith("unicode"))
    frame = pd.read_csv(copy / "ranking.csv")
    assert frame["attack"].iloc[0].startswith("worst_case:")
    at = frame.set_index(["attack", "defense"])
    assert at["rank"]["deepwordbug"].to_dict() == {"none": 1, "unicode_normalize": 1}
    glyphs = at.loc["bad_characters:homoglyphs"]
    assert glyphs["rank"].to_dict() == {"unicode_normalize": 1, "none": 2}
    assert glyphs["better"]["none"] == "unicode_normalize"
    assert (frame["floor"] == 1.0).all()
    assert ranks.count("*a constant answer*") == 4


def test_without_the_extra_ties_are_untold_and_a_ranking_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "statsmodels.stats.multitest", None)
    three = SETTINGS | {"defenses": ["none", "unicode_normalize", "unicode_normalize+unicode_normalize"]}
    folder = evaluate(victim=KeywordVictim(), output=tmp_path, **three).folder
    told = (folder / "table.md").read_text("utf-8")
    assert "pip install 'robustbench-nlp[stats]'" in told
    assert "≈" not in told
    assert "robustbench-nlp[stats]" in complaint(lambda: written(folder, ["ranking"]))


def test_a_name_that_is_no_utf8_is_written_out_in_every_table(tmp_path: Path) -> None:
    for seed in (0, 1):
        evaluate(
            victim=KeywordVictim(name="my \udcff model"),
            dataset=[("a good film", 1), ("a bad film", 0), ("a fine film", 1)],
            attacks=["random-typos", "deepwordbug"],
            defenses=["none", "unicode_normalize"],
            similarity="none",
            seed=seed,
            output=tmp_path / str(seed),
        )
    formats = [name for name in FORMATS if name != "parquet"]
    assert all(path.exists() for path in written(tmp_path / "0", formats))
    for name in ("table", "valid", "ranking", "curves"):
        assert set(pd.read_csv(tmp_path / "0" / f"{name}.csv")["victim"]) == {r"my \udcff model"}, name
    assert set(over_seeds([tmp_path / "0", tmp_path / "1"])["victim"]) == {r"my \udcff model"}


def test_latex_is_balanced_and_hostile_names_are_escaped(tmp_path: Path) -> None:
    victim = KeywordVictim(name=HOSTILE)
    folder = evaluate(victim=victim, output=tmp_path, **SETTINGS | {"defenses": ["none"]}).folder
    text = of(folder)
    assert r"\input{/etc" not in text
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    assert text.count(r"\begin{") == text.count(r"\end{") == 2
    assert not re.search(r"(?<!\\)[#&%](?![^\n]*\\\\| In the preamble)", text)


def test_latex_has_a_cell_for_every_column_and_says_what_a_paper_must(run: Path, tmp_path: Path) -> None:
    text = of(warned(run, tmp_path / "copy"))
    (columns,) = re.findall(r"\\begin\{tabular\}\{l\*\{(\d+)\}\{S\[", text)
    lines = [line for line in text.splitlines() if line.endswith(r" \\")]
    assert len(lines) == 1 + 2 * 2
    assert {line.count(" & ") for line in lines} == {int(columns)} == {5}
    (told,) = re.findall(r"\\caption\[\{.*?\}\]\{(.*)\}", text)
    for part in ("n = 20", "seed 0", r"char\_30@1", "No attack has a budget", "Python 3", "torch", "robustbench-nlp 0"):
        assert part in told
    versions = (r"on pairs@1 in percent", "deepwordbug@1", r"random\_typos@1")
    assert [part for part in versions if part not in told] == []
    (notes,) = re.findall(r"\\parbox\{\\linewidth\}\{\\footnotesize (.*)\}", text)
    for part in ("no training", "Bold", "Warning: saturated", "95\\,\\% Wilson"):
        assert part in notes
        assert part not in told


def test_latex_has_the_interval_below_each_robust_accuracy(run: Path) -> None:
    rows = pd.read_csv(run / "table.csv").set_index(["defense", "attack"])
    lines = of(run).splitlines()
    at = next(i for i, line in enumerate(lines) if line.strip().startswith("unicode"))
    low, high = (100 * rows[name]["unicode_normalize", "deepwordbug"] for name in ("robust_low", "robust_high"))
    assert lines[at + 1].split(" & ")[2] == rf"{{\scriptsize {low:.1f}--{high:.1f}}}"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX is installed here")
@pytest.mark.parametrize("name", ["keywords", HOSTILE])
def test_latex_compiles(name: str, tmp_path: Path) -> None:
    folder = evaluate(victim=KeywordVictim(name=name), output=tmp_path, **SETTINGS).folder
    body = (
        r"\documentclass{article}\usepackage{booktabs,siunitx,graphicx}\begin{document}"
        + of(folder)
        + r"\end{document}"
    )
    (tmp_path / "paper.tex").write_text(body, "utf-8")
    line = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_the_command(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    assert main(["report", str(copy), "--formats", "latex"]) == 0
    assert capsys.readouterr().out.splitlines() == [str(copy / "table.tex")]
    assert main(["report", str(copy)]) == 0
    made = ("table.csv", "table.md", "table.tex", "valid.csv", "valid.md", "report.html")
    assert capsys.readouterr().out.splitlines() == [str(copy / name) for name in made]
    assert "no format 'word'" in complaint(lambda: written(copy, ["word"]))
    assert main(["report", str(tmp_path)]) == 2
    (copy / "run.yaml").write_text("victim: tfidf-mr\nalpha: 0.001\n", "utf-8")
    assert "holds certificates" in complaint(lambda: written(copy, ["csv"]))


def test_warnings_below_the_table_stay(run: Path, tmp_path: Path) -> None:
    (path,) = written(warned(run, tmp_path / "copy"), ["md"])
    assert "Warning: saturated: half of the scores are 1" in path.read_text()


def test_what_an_earlier_benchmark_left_in_the_folder_is_not_the_runs(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    smaller = SETTINGS | {"attacks": ["deepwordbug", "random_typos"], "defenses": ["none"]}
    evaluate(victim=KeywordVictim(), output=copy, **smaller)
    written(copy, ["csv", "ranking"])
    assert set(pd.read_csv(copy / "table.csv")["attack"]) == {"deepwordbug", "random_typos"}
    assert set(pd.read_csv(copy / "ranking.csv")["defense"]) == {"none"}


def test_worst_cases_of_attacks_that_are_objects_are_put_together_too(tmp_path: Path) -> None:
    attacks = [DeepWordBug(threat=Threat(name="few", max_edits=3)), "random_typos", "worst_case"]
    run = evaluate(victim=KeywordVictim(), output=tmp_path, **SETTINGS | {"attacks": attacks})
    before = run.table["attack"].tolist()
    assert before[2].startswith("worst_case:deepwordbug")
    written(run.folder, ["csv", "ranking"])
    assert pd.read_csv(tmp_path / "table.csv")["attack"].tolist() == before
    assert pd.read_csv(tmp_path / "ranking.csv")["attack"].iloc[0] == before[2]
    (tmp_path / "table.csv").unlink()
    written(run.folder, ["csv"])
    assert len(pd.read_csv(tmp_path / "table.csv")) == 4
