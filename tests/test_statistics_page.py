"""docs/statistics.md says what the commands do: its power table is the command's, its warnings are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from robustbench_nlp.cli import main
from robustbench_nlp.report import flags

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "statistics.md").read_text("utf-8")


def test_the_power_table_is_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["power"]) == 0
    assert f"<!-- power -->\n{capsys.readouterr().out}<!-- end -->" in PAGE


def test_a_wanted_difference_says_how_many_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["power", "--difference", "5", "--discordant", "3,20"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "| 5 | - | 626 |"
    assert main(["power", "--examples", "626", "--discordant", "20"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "| 626 | 5.0 |"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--alpha", "0"], "between 0 and 1"),
        (["--examples", "many"], "give positive numbers, such as 50"),
        (["--examples", "nan"], "give positive numbers"),
        (["--discordant", "120"], "more than 100 %"),
        (["--difference", "-5"], "give a positive number"),
    ],
)
def test_bad_power_is_told(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    assert main(["power", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_every_warning_is_explained() -> None:
    source = Path(flags.__file__).read_text("utf-8")
    names = set(re.findall(r'Flag\(\s*"(\w+)"', source))
    assert len(names) == 13
    assert names <= set(re.findall(r"`(\w+)`", PAGE))
