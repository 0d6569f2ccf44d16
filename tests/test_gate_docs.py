"""docs/gates.md and its workflow: the examples run as they stand, and no option is named that doesn't exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import scipy.stats  # noqa: F401 - inner runs forget what they import, and compiled modules load once only
import yaml

import robustbench_nlp.gates.compared  # noqa: F401
from robustbench_nlp.gates.options import add_options

pytest_plugins = ["pytester"]
DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = (DOCS / "gates.md").read_text("utf-8")
WORKFLOW = (DOCS / "workflows" / "robustness.yml").read_text("utf-8")
OURS = re.compile(r"--robust-[a-z-]+")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


class Declared:
    """A parser that only writes down which options are declared."""

    def __init__(self) -> None:
        self.options: set[str] = set()
        self.settings: set[str] = set()

    def getgroup(self, *_: str) -> Declared:
        return self

    def addoption(self, name: str, **_: Any) -> None:
        self.options.add(name)

    def addini(self, name: str, *_: str, **__: Any) -> None:
        self.settings.add(name)


BROKEN = """
    from zlib import crc32

    def random(texts):
        return [[0.9, 0.1] if crc32(text.encode("utf-8", "surrogatepass")) % 2 else [0.1, 0.9] for text in texts]

    def constant(texts):
        return [[0.9, 0.1] for _ in texts]
"""


def test_the_examples_pass_an_unchanged_victim_and_the_quick_gates_fail_a_broken_one(pytester, monkeypatch):
    """By the page's commands, with a victim that is quick; the least that a gate must see is a victim that knows nothing."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    ini, warnings = blocks("ini")
    pytester.makefile(".ini", pytest=ini.split("\n", 1)[1] + warnings + "    ignore:Module already imported\n")
    for block in blocks("python"):
        name = re.search(r"# (\S+)\.py", block)[1]
        pytester.makepyfile(**{name: block})
    pytester.makepyfile(mymodel=BROKEN)
    pytester.syspathinsert()

    def run(victim: str, *line: str) -> pytest.RunResult:
        return pytester.runpytest("-p", "robustbench_nlp.pytest_plugin", "--robust-victim", victim, *line)

    update, compare = (shlex.split(line, comments=True)[1:] for line in blocks("sh")[0].splitlines())
    run("tfidf-mr", *update).stdout.fnmatch_lines(["4 gates: 4 pass", "baselines: 4 written"])
    assert (pytester.path / "baselines" / "test_robustness" / "test_typos.json").exists()
    result = run("tfidf-mr", *compare, "--robust-strict")
    result.assert_outcomes(passed=4)
    for broken in ("random", "constant"):
        run(f"python:mymodel:{broken}", "test_suite.py").assert_outcomes(failed=3)


def test_every_option_is_on_the_page_and_every_option_there_exists():
    declared = Declared()
    add_options(declared)
    assert set(OURS.findall(PAGE)) == declared.options
    assert set(OURS.findall(WORKFLOW)) <= declared.options
    assert set(re.findall(r"robust_\w+(?= = )", PAGE)) <= declared.settings


def test_the_workflow_and_the_hook_are_what_their_readers_expect():
    workflow: dict[Any, Any] = yaml.safe_load(WORKFLOW)
    (job,) = workflow["jobs"].values()
    quick, full = (step for step in job["steps"] if "pytest" in step.get("run", ""))
    assert "pull_request" in workflow[True]  # YAML reads `on` so
    assert quick["if"].replace("==", "!=") == full["if"]
    assert "--robust-strict" in full["run"]
    (hook,) = yaml.safe_load(blocks("yaml")[0])["repos"][0]["hooks"]
    assert hook["entry"].split()[-1] in {f"{name}.py" for name in re.findall(r"# (\S+)\.py", PAGE)}
