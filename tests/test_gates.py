"""Gates against baselines, in test runs inside a test run: planted regressions, planted noise, planted changes of settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import scipy.stats  # noqa: F401 - inner runs forget what they import, and compiled modules load once only

import robustbench_nlp.api
import robustbench_nlp.gates.compared  # noqa: F401
from robustbench_nlp.errors import UsageError
from robustbench_nlp.gates.baseline import Baseline, BaselineCell, baseline_file, differences, load, save

pytest_plugins = ["pytester"]

VICTIM = """
    import zlib
    import pytest

    def predict(texts):
        answers = []
        for text in texts:
            right = zlib.crc32(("{salt}" + text[-5:]).encode()) % 1000 >= 1000 * {share}
            good = bool({{"good", "great"}} & set(text.split()))
            answers.append([0.1, 0.9] if good == right else [0.9, 0.1])
        return answers

    DATA = [
        (f"a {{word}} film that somebody saw, number {{i:05}}", label)
        for i in range({size})
        for word, label in (("good", 1), ("great", 1), ("bad", 0), ("dull", 0))
    ]
"""
GATE = """
    @pytest.mark.robustness(attack="random-typos")
    def test_gate(robustness):
        robustness.check(victim={victim}, data=DATA{check})

    def broken(texts):
        raise AssertionError("nothing is asked")
"""
UPDATE = "--robust-update-baseline"


@pytest.fixture
def gates(pytester, monkeypatch):
    """Runs a gate on a victim that is wrong on a share of its examples, chosen by a salt; baselines lie in `base`."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini(
        "[pytest]\naddopts = --strict-markers\nfilterwarnings =\n    error\n    ignore:Module already imported\n"
        "    default::robustbench_nlp.pytest_plugin.InconclusiveGate\n"
    )

    def run(
        *options: str,
        share: float = 0.0,
        salt: str = "",
        size: int = 20,
        check: str = "",
        body: str = GATE,
        victim: str = "predict",
    ) -> pytest.RunResult:
        pytester.makepyfile(
            test_it=VICTIM.format(share=share, salt=salt, size=size)
            + body.replace("{check}", check).replace("{victim}", victim)
        )
        return pytester.runpytest("-p", "robustbench_nlp.pytest_plugin", "--robust-baseline", "base", *options)

    return run


def content(pytester: pytest.Pytester, name: str = "test_it/test_gate") -> dict[str, Any]:
    return json.loads((pytester.path / "base" / f"{name}.json").read_text("utf-8"))


def test_a_planted_regression_fails_and_shows_three_flips(gates):
    gates(UPDATE, size=75).assert_outcomes(passed=1)
    result = gates(share=0.2, size=75)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "worse than the baseline: none × random_typos: robust accuracy *% → *%: a drop of * points [[]*, *[]], "
            "tolerance 5.0, n = 300 (* worse, 0 better)",
            "the worst of * flips since the baseline:",
            "  label *, predicted * → *",  # though most of them are wrong without an attack
            "    - 'a * film that somebody saw, number *'",
            "    + '*'",
            "1 gate: 1 fail",
        ]
    )
    shown, _, _ = str(result.stdout).partition("= robustness =")
    assert shown.count("    - '") == 3


def test_planted_noise_never_fails_and_doubt_is_told_with_the_n_it_needs(gates):
    """Victims as good as the baseline's, wrong elsewhere: 300 examples can't tell, and say so."""
    gates(UPDATE, share=0.1, size=75, salt="0").assert_outcomes(passed=1)
    for salt in "12":
        result = gates(share=0.1, size=75, salt=salt)
        result.assert_outcomes(passed=1, warnings="inconclusive" in str(result.stdout))
    result = gates("--robust-limit", "40", share=0.1, size=75, salt="1")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(
        [
            "*InconclusiveGate: none × random_typos: robust accuracy is inconclusive with n = 40: needs n ≥ *",
            "1 gate: 1 inconclusive (needs n ≥ *)",
        ]
    )
    result = gates("--robust-limit", "40", "--robust-strict", share=0.1, size=75, salt="1")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["inconclusive, which --robust-strict fails: none × random_typos: *"])


def test_an_unchanged_victim_passes_and_its_file_stays_as_it_is(gates, pytester):
    gates(UPDATE).stdout.fnmatch_lines(["1 gate: 1 pass", "baselines: 1 written"])
    path: Path = pytester.path / "base" / "test_it" / "test_gate.json"
    before = path.stat().st_mtime_ns
    gates(UPDATE).stdout.fnmatch_lines(["baselines: 1 unchanged"])
    assert path.stat().st_mtime_ns == before
    result = gates()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["1 gate: 1 pass"])
    assert [file.name for file in path.parent.iterdir()] == ["test_gate.json"]


def test_a_baseline_that_no_loss_could_fail_is_written_with_a_warning_and_not_under_strict(gates, pytester):
    check = ", tolerance=0.9"
    result = gates(UPDATE, "--robust-strict", check=check)
    result.assert_outcomes(failed=1)
    assert not (pytester.path / "base").exists()
    result = gates(UPDATE, check=check)
    result.assert_outcomes(passed=1, warnings=1)
    doubt = "*InconclusiveGate: none × random_typos: *a loss of everything would not fail it: needs n ≥ *"
    result.stdout.fnmatch_lines([doubt, "1 gate: 1 inconclusive (needs n ≥ *)", "baselines: 1 written"])


def test_the_file_is_made_for_diffs(gates, pytester):
    gates(UPDATE, size=2)
    held = content(pytester)
    assert held["test"] == "test_it.py::test_gate"
    (cell,) = held["cells"].values()
    text = (pytester.path / "base" / "test_it" / "test_gate.json").read_text("utf-8")
    assert sum(cell["counts"].values()) == len(cell["verdicts"]) == 8
    lines = text.splitlines()
    assert {f'"{i}": "{word}"' for i, word in cell["verdicts"].items()} <= {line.strip(" ,") for line in lines}
    assert text == json.dumps(held, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    assert "victim" not in text


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"check": ", seed=1"}, "seed: 0 then, now 1"),
        (
            {"check": ", attack='random-typos(share=0.5)'"},
            "none × random_typos is no longer measured, none × random_typos(share=0.5) is",
        ),
        ({"size": 19}, "dataset: "),
        (
            {"check": ", defenses='unicode-normalize'"},
            "none × random_typos is no longer measured, unicode_normalize × *",
        ),
    ],
)
def test_a_baseline_of_other_settings_is_refused_by_name(gates, changed, named):
    gates(UPDATE)
    result = gates(**changed)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [f"the baseline base/test_it/test_gate.json was made with other settings (*{named}*--robust-update-baseline"]
    )


def test_what_can_be_refused_is_refused_before_the_victim_is_asked(gates):
    nowhere = gates(victim="broken")
    nowhere.stdout.fnmatch_lines(["the baseline base/test_it/test_gate.json is not there; *"])
    gates(UPDATE, check=", attack=['random-typos', 'leetspeak']")
    for change in (
        "seed=1",
        "attack=['random-typos(layout=\"de\")', 'leetspeak'], seed=1",
        "limit=1000, split='all', seed=2",
    ):
        result = gates(victim="broken", check=f", {change}")
        result.stdout.fnmatch_lines(["*was made with other settings (*seed: 0 then, now *"])


def test_a_changed_threat_and_version_are_named_as_such(tmp_path):
    def made(**settings: object) -> Baseline:
        return Baseline({"dataset": "d", "examples": "e"}, {"none × pwws": BaselineCell(settings, {"a": "robust"})})

    old, new = made(**{"threat max_queries": 300, "attack version": 1}), made(**{"attack version": 2})
    assert differences(old, new) == [
        "none × pwws: threat max_queries: 300 then, now none",
        "none × pwws: attack version: 1 then, now 2",
    ]
    assert differences(old, old) == []


def test_fewer_examples_of_the_same_data_are_compared_and_more_are_not(gates):
    gates(UPDATE, check=", limit=60")
    gates("--robust-limit", "50", "--robust-compare-fail", "robust_accuracy:10%").stdout.fnmatch_lines(
        ["1 gate: 1 pass"]
    )
    result = gates(check=", limit=61")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*other settings (n: 60 then, now 61)*"])


def test_a_missing_baseline_fails_and_new_only_writes_it_and_nothing_else(gates, pytester):
    gates().stdout.fnmatch_lines(
        ["the baseline base/test_it/test_gate.json is not there; write it with --robust-update-new-only"]
    )
    gates("--robust-update-new-only").stdout.fnmatch_lines(["baselines: 1 written"])
    before = content(pytester)
    gates("--robust-update-new-only", share=0.2).assert_outcomes(failed=1)
    assert content(pytester) == before
    another = ", attack=['random-typos', 'leetspeak']"
    gates("--robust-update-new-only", check=another, share=0.2).assert_outcomes(failed=1)
    result = gates("--robust-update-new-only", check=another + ", limit=40")
    result.stdout.fnmatch_lines(["*was made with other settings (n: 80 then, now 40)*"])
    assert content(pytester) == before
    result = gates(check=another)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["the baseline base/test_it/test_gate.json has no none × leetspeak; write it with *"])
    gates("--robust-update-new-only", check=another).assert_outcomes(passed=1)
    after = content(pytester)
    assert after["cells"].keys() == {"none × random_typos", "none × leetspeak"}
    assert after["cells"]["none × random_typos"] == before["cells"]["none × random_typos"]


def test_a_worst_case_in_a_cascade_is_compared_by_itself(gates, pytester):
    check = ", attack='worst-case:random-typos+deepwordbug', limit=30, min_accuracy=0"
    gates(UPDATE, check=check).assert_outcomes(passed=1)
    cells = content(pytester)["cells"]
    assert {name: len(cell["verdicts"]) for name, cell in cells.items()} == {
        "none × random_typos": 0,
        "none × deepwordbug": 0,
        "none × worst_case:random_typos+deepwordbug": 30,
    }
    assert cells["none × deepwordbug"]["settings"]["mode"] == "cascade"
    gates(check=check).stdout.fnmatch_lines(["1 gate: 1 *"])


def test_attacks_that_are_objects_have_baselines_too(gates, pytester):
    body = """
    from robustbench_nlp.attacks.leetspeak import Leetspeak

    def test_gate(robustness):
        robustness.check(victim=predict, data=DATA, attack=[Leetspeak(), "worst-case"], limit=30)
    """
    gates(UPDATE, body=body).assert_outcomes(passed=1)
    name, worst = content(pytester)["cells"]
    assert (name[:16], worst[:17]) == ("none × leetspeak", "none × worst_case")
    result = gates(body=body.replace('[Leetspeak(), "worst-case"]', "Leetspeak()"))
    result.stdout.fnmatch_lines(["*other settings (none × worst_case:leetspeak is no longer measured)*"])


def test_each_check_of_a_test_has_its_own_baseline(gates, pytester):
    body = """
    def test_gate(robustness):
        for number in (0, 1):
            robustness.check(victim=predict, data=DATA, attack="random-typos", seed=number)
    """
    gates(UPDATE, body=body).stdout.fnmatch_lines(["2 gates: 2 pass", "baselines: 2 written"])
    assert content(pytester, "test_it/test_gate--2")["settings"]["seed"] == 1
    gates(body=body).assert_outcomes(passed=1)


def test_a_run_that_breaks_a_bound_or_is_incomplete_writes_nothing(gates, pytester):
    gates(UPDATE, share=0.2, check=", min_accuracy=0.99").assert_outcomes(failed=1)
    assert not (pytester.path / "base").exists()


def test_a_tolerance_of_the_test_stands_over_the_options(gates):
    gates(UPDATE)
    check = ", tolerance={'robust_accuracy': 0.5, 'clean_accuracy': 0.5}"
    gates("--robust-compare-fail", "robust_accuracy:1%", share=0.2, check=check).assert_outcomes(passed=1)
    gates("--robust-compare-fail", "clean_accuracy:40%", share=0.2).assert_outcomes(passed=1)
    options = ("--robust-compare-fail", "robust_accuracy:50%", "--robust-compare-fail", "clean_accuracy:0.01")
    gates(*options, share=0.2).stdout.fnmatch_lines(["worse than the baseline: *: clean accuracy *tolerance 1.0*"])
    gates(share=0.2, check=", tolerance=None, min_accuracy=0.1").assert_outcomes(passed=1)


def test_comparisons_reach_junit(gates, pytester):
    gates(UPDATE)
    gates("--junit-xml=report.xml", share=0.2)
    report = (pytester.path / "report.xml").read_text("utf-8")
    for name in ("robust_accuracy_baseline", "robust_accuracy_worse_low", "robust_accuracy_worse_high"):
        assert f'name="{name}[none,random_typos]"' in report
    assert 'name="robust_accuracy_verdict[none,random_typos]" value="fail"' in report
    assert 'name="robust_gate" value="fail"' in report


def test_damaged_files_are_told_and_whole_ones_come_back(tmp_path):
    path = baseline_file(tmp_path, "tests/deep/test_it.py::TestIt::test_gate[a b]", 1)
    assert path.relative_to(tmp_path).parts[:3] == ("tests", "deep", "test_it")
    assert path != baseline_file(tmp_path, "tests/deep/test_it.py::TestIt::test_gate[a-b]", 1)
    assert load(path) is None
    baseline = Baseline({"dataset": "d"}, {"none × pwws": BaselineCell({"seed": 0}, {"a": "robust", "b": "wrong"})})
    assert save(path, "test", baseline)
    assert load(path) == baseline
    assert not save(path, "test", baseline)
    for damage in ("", "{}", "[]", '{"schema": 1, "cells": {"a": 3}, "settings": {}}', '{"schema": 2}'):
        path.write_text(damage, "utf-8")
        with pytest.raises(UsageError, match="--robust-update-baseline"):
            load(path)
