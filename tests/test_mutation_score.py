"""What `make mutants` makes of mutmut's answers."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

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
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, told: str, code: int
) -> None:
    monkeypatch.setattr(script.subprocess, "run", answering(told))
    assert script.main() == code
    monkeypatch.setattr(script.subprocess, "run", answering("".join(TOLD.splitlines(keepends=True)[:2])))
    assert script.main() == 0


def answering(told: str) -> Callable[..., Any]:
    """A process that ends well and prints this."""

    class Done:
        returncode, stdout, stderr = 0, told, ""

    return lambda *_, **__: Done()
