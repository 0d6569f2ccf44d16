"""Figures for papers: the table's numbers, alike byte for byte, with embedded fonts and no dates."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from texts import complaint

from robustbench_nlp.api import evaluate
from robustbench_nlp.cli import main
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.report.charts import query_charts
from robustbench_nlp.report.figures import figures, saved
from robustbench_nlp.report.files import tabled

PAIRS = [(f"{words} number {i}", 1) for i in range(6) for words in ("a good and great but dull film", "a fine film")]
NAMES = ["accuracy", "heat", "queries", "words", "noise"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return evaluate(
        victim=KeywordVictim(name="$x_1^{ & 50%"),
        dataset=PAIRS,
        attacks=["noise(severity=1):keyboard", "noise(severity=5):keyboard", "deepwordbug", "worst_case"],
        defenses=["none", "unicode_normalize"],
        similarity="none",
        output=tmp_path_factory.mktemp("run"),
    ).folder


def test_the_command_writes_every_figure(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    assert main(["figures", str(copy)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told == [str(copy / "figures" / f"{name}.{kind}") for name in NAMES for kind in ("pdf", "svg")]
    assert main(["figures", str(tmp_path)]) == 2
    assert "no format 'gif'" in complaint(lambda: saved({}, tmp_path, ["gif"]))


def test_files_are_alike_and_hold_fonts_and_no_dates(run: Path, tmp_path: Path) -> None:
    frame, cells = tabled(run)
    once, again = (saved(figures(frame, cells), tmp_path / name, ["pdf", "svg"]) for name in ("a", "b"))
    for one, other in zip(once, again, strict=True):
        content = one.read_bytes()
        assert content == other.read_bytes()
        assert not re.search(rb"CreationDate|ModDate|<dc:date>", content)
        if one.suffix == ".pdf":
            assert b"/FontFile2" in content
            assert b"/Type3" not in content
        else:
            ElementTree.fromstring(content)


def test_lines_and_cells_show_the_tables_numbers(run: Path) -> None:
    frame, cells = tabled(run)
    made = figures(frame, cells)
    charts = query_charts(frame, cells)
    for panel, chart in zip(made["queries"].axes, charts, strict=True):
        assert panel.get_title() == chart.title
        floor = panel.get_lines()[-1]
        assert set(floor.get_ydata()) == {100 * (chart.floor or 0)}
        for drawn, line in zip(panel.get_lines(), chart.lines, strict=False):
            assert drawn.get_ydata()[-1] == pytest.approx(100 * line.points[-1][1])
    told = sorted(f"{100 * share:.1f}" for share in frame["robust_accuracy"])
    assert sorted(text.get_text().removeprefix("▾") for text in made["heat"].axes[0].texts) == told


def test_without_matplotlib_a_line_says_how_to_get_it(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "robustbench-nlp[plots]" in complaint(lambda: figures(*tabled(run)))
