"""What `make mutants` makes of mutmut's answers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import measured_at
import pytest

ROOT = Path(__file__).resolve().parent.parent
TOLD = """\
    robustbench_nlp.stats.x_wilson__mutmut_1: killed
    robustbench_nlp.stats.x_wilson__mutmut_2: timeout
    robustbench_nlp.stats.x_holm__mutmut_1: no tests
    robustbench_nlp.threat.xǁThreatǁmost_words__mutmut_3: survived
    robustbench_nlp.threat.xǁThreatǁmost_words__mutmut_4: killed
something else: killed
"""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = spec_from_file_location("mutation_score", ROOT / "scripts" / "mutation_score.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_no_test_noticed_is_counted_and_named(script: ModuleType) -> None:
    counts, survivors = script.tallied(TOLD.splitlines())
    assert survivors == [
        "robustbench_nlp.stats.x_holm__mutmut_1: no tests",
        "robustbench_nlp.threat.xǁThreatǁmost_words__mutmut_3: survived",
    ]
    assert script.table(counts).splitlines()[2:] == [
        "| stats | 3 | 2 | 66.7 |",
        "| threat | 2 | 1 | 50.0 |",
        "| all | 5 | 3 | 60.0 |",
    ]


@pytest.mark.parametrize(("told", "code"), [(TOLD, 1), (TOLD.replace("no tests", "killed"), 1), ("", 2)])
def test_too_many_survivors_and_no_answer_fail(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], told: str, code: int
) -> None:
    told_at = SimpleNamespace(measured_at=lambda: "2026-11-29 at 447dd81")
    monkeypatch.setitem(sys.modules, "measured_at", told_at)
    monkeypatch.setattr(script.subprocess, "run", answering(told))
    assert script.main() == code
    monkeypatch.setattr(script.subprocess, "run", answering("".join(TOLD.splitlines(keepends=True)[:2])))
    assert script.main() == 0
    assert "Measured on 2026-11-29 at 447dd81:\n\n| module |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("commit", "told"),
    [
        ("447dd81c0ffee", "at 447dd81"),
        ("447dd81c0ffee+changes", "at 447dd81+changes"),
        (None, "at an unknown commit"),
    ],
)
def test_figures_name_the_day_and_the_commit(monkeypatch: pytest.MonkeyPatch, commit: str | None, told: str) -> None:
    monkeypatch.setattr(measured_at, "environment", lambda: {"commit": commit})
    day, _, rest = measured_at.measured_at().partition(" ")
    assert date.fromisoformat(day) <= date.today()
    assert rest == told


def answering(told: str) -> Callable[..., Any]:
    """A process that ends well and prints this."""

    class Done:
        returncode, stdout, stderr = 0, told, ""

    return lambda *_, **__: Done()
