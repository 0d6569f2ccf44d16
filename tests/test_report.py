"""`report`: the run's own table again from its records, and the paper's table."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from texts import complaint

from robustbench_nlp.api import evaluate
from robustbench_nlp.cli import main
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.recorded import recorded_cells
from robustbench_nlp.report.files import written
from robustbench_nlp.report.latex import latex
from robustbench_nlp.report.table import row, table

PAIRS = [(f"{words} number {i}", 1) for i in range(10) for words in ("a good and great but dull film", "a fine film")]
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


def of(folder: Path) -> str:
    cells = recorded_cells(folder)
    return latex(table([row(cell.header, list(cell.records.values())) for cell in cells]), cells)


def test_the_best_defense_is_bold_and_its_ties_are_marked(run: Path) -> None:
    lines = of(run).splitlines()
    plain, normal = (next(line for line in lines if line.strip().startswith(name)) for name in ("none", "unicode"))
    before, after = (line.rstrip(" \\").split(" & ") for line in (plain, normal))
    glyphs = 3  # defense, clean, deepwordbug, bad_characters
    assert after[glyphs].startswith(r"\textbf{\num{100.0}}")
    assert re.fullmatch(r"\\num\{\d+\.\d\}", before[glyphs])
    assert before[4] == after[4] == r"\textbf{\num{100.0}}"  # noise breaks neither


def test_latex_is_balanced_and_hostile_names_are_escaped(tmp_path: Path) -> None:
    victim = KeywordVictim(name=r"50% \input{/etc/passwd} $x_1$ {~^#&")
    folder = evaluate(victim=victim, output=tmp_path, **SETTINGS | {"defenses": ["none"]}).folder
    text = of(folder)
    assert r"\input{/etc" not in text
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    assert text.count(r"\begin{") == text.count(r"\end{") == 2
    assert not re.search(r"(?<!\\)[#&%](?![^\n]*\\\\|\s*\\usepackage)", text)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX is installed here")
def test_latex_compiles(run: Path, tmp_path: Path) -> None:
    body = (
        r"\documentclass{article}\usepackage{booktabs,siunitx,graphicx}\begin{document}" + of(run) + r"\end{document}"
    )
    (tmp_path / "paper.tex").write_text(body, "utf-8")
    line = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    assert subprocess.run(line, cwd=tmp_path, capture_output=True, check=False).returncode == 0


def test_the_command(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    assert main(["report", str(copy), "--formats", "latex"]) == 0
    assert capsys.readouterr().out.splitlines() == [str(copy / "table.tex")]
    assert "no format 'word'" in complaint(lambda: written(copy, ["word"]))
    assert main(["report", str(tmp_path)]) == 2


def test_warnings_below_the_table_stay(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"warnings": ["saturated: half of the scores are 1"]}))
    (path,) = written(copy, ["md"])
    assert "Warning: saturated: half of the scores are 1" in path.read_text()
