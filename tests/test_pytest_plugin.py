"""The pytest gate, in test runs inside a test run: it passes, it fails, and it says why."""

from __future__ import annotations

import subprocess
import sys

import pytest
import scipy.stats  # noqa: F401 - inner runs forget what they import, and compiled modules load once only

import robustbench_nlp.api  # noqa: F401

pytest_plugins = ["pytester"]

PARTS = """
    import pytest

    def predict(texts):
        return [[0.1, 0.9] if {"good", "great"} & set(text.split()) else [0.9, 0.1] for text in texts]

    DATA = [(f"a {word} film, number {i}", label) for i in range(3) for word, label in (("good", 1), ("great", 1), ("bad", 0))]
"""


@pytest.fixture
def gate(pytester, monkeypatch):
    """Runs the given body as a test module beside a victim that is right on `DATA` and falls to one typo."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # others' plug-ins take a second a run
    pytester.makeini(
        "[pytest]\naddopts = --strict-markers\nfilterwarnings =\n    error\n    ignore:Module already imported\n"
    )

    def run(body: str, *options: str, parts: str = PARTS) -> pytest.RunResult:
        pytester.makepyfile(parts + body)
        return pytester.runpytest("-p", "robustbench_nlp.pytest_plugin", *options)

    return run


def test_a_kept_bound_passes_and_returns_the_run(gate):
    result = gate("""
    @pytest.mark.robustness(attack="random-typos", min_accuracy=0.0, max_drop=1.0, limit=4)
    def test_gate(robustness):
        run = robustness.check(victim=predict, data=DATA)
        assert list(run.table["attack"]) == ["random_typos"]
        assert run.table["n"][0] == 4
        assert (run.folder / "table.csv").exists()
        again = robustness.check(victim=predict, data=DATA, limit=2, seed=1)
        assert again.folder != run.folder
    """)
    result.assert_outcomes(passed=1)


def test_a_gate_that_checks_nothing_fails(gate):
    result = gate("""
    pytestmark = pytest.mark.robustness(attack="random-typos", min_accuracy=0.0, limit=4)

    def test_not_a_gate():
        pass

    def test_empty(robustness):
        for name in ():
            robustness.check(victim=predict, data=DATA)

    @pytest.mark.robustness(limit=2)
    def test_without_the_fixture():
        pass

    def test_skipped(robustness):
        pytest.skip("not here")
    """)
    result.assert_outcomes(passed=1, failed=2, skipped=1)
    told = "a gate that checked nothing; call robustness.check(…) in it, by the fixture"
    result.stdout.fnmatch_lines([told, f"fail: *::test_empty: {told}", "2 gates: 2 fail"])


def test_a_victim_that_cannot_be_had_is_told_once_and_counted(gate):
    result = gate(
        """
    @pytest.mark.robustness(attack="random-typos", min_accuracy=0.0)
    def test_gate(robustness):
        robustness.check(data=DATA)
    """,
        "--robust-victim",
        "nobody",
    )
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*another exception*")
    result.stdout.fnmatch_lines(["fail: *::test_gate: no victim 'nobody'; known: *", "1 gate: 1 fail"])


def test_the_readme_form_with_a_callable_and_numbered_labels(gate):
    result = gate("""
    @pytest.mark.robustness(attack="deepwordbug", min_accuracy=0.5)
    def test_gate(robustness):
        robustness.check(victim=predict, data=[("a good film", 1), ("a dull film", 0)])
    """)
    result.assert_outcomes(passed=1)


def test_a_planted_regression_fails_and_shows_the_flips(gate):
    result = gate("""
    @pytest.mark.robustness(attack=["random-typos", "deepwordbug", "worst-case"], min_accuracy=0.9, max_drop=0.05)
    def test_gate(robustness):
        robustness.check(victim=predict, data=DATA)
    """)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*accuracy under deepwordbug with defense none on 9 examples is *% [[]*%, *%[]]; at least 90.0% is required",
            "*drops by *% [[]*%, *%[]], from 100.0% to *; at most 5.0% is allowed",
            "*accuracy under worst_case:random_typos+deepwordbug *",
            "*the worst of * flips:",
            "*predicted * → *",
            "*- 'a * film, number *'",
            "*+ '*'",
        ]
    )
    shown, _, _ = str(result.stdout).partition("short test summary")  # which repeats it where CI is set
    assert shown.count("    + '") == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("attack='deepwordbug'", "*has no bound; give min_accuracy=, max_drop=, or both*"),
        ("min_accuracy=0.5", "*has no attack; give one*"),
        (
            "attack='deepwordbug', min_acuracy=0.5, max_drop=1",
            "*no keyword *'min_acuracy'; did you mean 'min_accuracy'*",
        ),
        ("attack='deepwordbgu', min_accuracy=0.5", "*no attack 'deepwordbgu'; did you mean 'deepwordbug'*"),
        ("attack='deepwordbug', min_accuracy=50", "*min_accuracy is 50; give a share between 0 and 1*"),
        ("'deepwordbug', min_accuracy=0.5", "*takes keywords only*"),
    ],
)
def test_wrong_use_is_told_in_one_line(gate, settings, message):
    result = gate(f"""
    @pytest.mark.robustness({settings})
    def test_gate(robustness):
        robustness.check(victim=predict, data=DATA)
    """)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([message])
    assert "Traceback" not in str(result.stdout)


def test_errors_fail_the_gate(gate):
    result = gate("""
    def fragile(texts):
        if any("number 1" in text for text in texts):
            raise RuntimeError("out of order")
        return predict(texts)

    def test_gate(robustness):
        robustness.check(victim=fragile, data=DATA, attack="random-typos", min_accuracy=0.0)
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*run is incomplete: none × random_typos: 3 of 9 examples ended in an error*", "*out of order*"]
    )


def test_accuracies_reach_junit(gate, pytester):
    gate(
        """
    @pytest.mark.robustness(attack="random-typos", min_accuracy=0.0)
    def test_gate(robustness):
        robustness.check(victim=predict, data=DATA)
    """,
        "--junit-xml=report.xml",
    )
    assert 'name="robust_accuracy[none,random_typos]"' in (pytester.path / "report.xml").read_text("utf-8")


def test_the_marker_is_registered(pytester):
    pytester.runpytest("--markers").stdout.fnmatch_lines(["@pytest.mark.robustness(attack*"])


def test_loading_the_plugin_imports_nothing_heavy():
    code = "import sys, robustbench_nlp.pytest_plugin; print({'torch', 'pandas', 'numpy', 'scipy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "set()\n"
