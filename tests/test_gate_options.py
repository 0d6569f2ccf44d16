"""The gates' options, fixtures and selection, the suite, xdist; and that collection stays light."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import scipy.stats  # noqa: F401 - inner runs forget what they import, and compiled modules load once only

import robustbench_nlp.gates.compared  # noqa: F401
from robustbench_nlp.attacks.deepwordbug import DeepWordBug
from robustbench_nlp.ensembles import ensemble_names, load_ensemble
from robustbench_nlp.gates.options import tolerances_of
from robustbench_nlp.gates.selection import attack_names, limited, suite_members
from robustbench_nlp.gates.summary import properties, summary, told
from robustbench_nlp.grid import grid_of

pytest_plugins = ["pytester"]
PLUGIN = ("-p", "robustbench_nlp.pytest_plugin")
PARTS = """
    import pytest

    def predict(texts):
        return [[0.1, 0.9] if {"good", "great"} & set(text.split()) else [0.9, 0.1] for text in texts]

    DATA = [(f"a {word} film, number {i}", label) for i in range(3) for word, label in (("good", 1), ("great", 1), ("bad", 0))]
"""
SUITE = """
    @pytest.mark.robustness(suite="random-typos,leetspeak", min_accuracy=0)
    def test_each(robustness, attack_suite):
        run = robustness.check(victim=predict, data=DATA)
        assert list(run.table["attack"]) == [attack_suite.replace("-", "_")]

    @pytest.mark.robustness(attack=["pwws", "worst-case:pwws+spacing"], min_accuracy=0)
    def test_pwws(robustness):
        robustness.check(victim=predict, data=DATA)

    def test_late(robustness):
        robustness.check(victim=predict, data=DATA, attack="leetspeak", min_accuracy=0)

    def test_no_gate():
        pass
"""
UNUSED = "baselines that no test uses any more: base/test_it/test_late.json"


@pytest.fixture
def inner(pytester, monkeypatch):
    """Runs a test module with the plug-in and nothing else's."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(body: str, *options: str, ini: str = "", conftest: str = "") -> pytest.RunResult:
        pytester.makeini(f"[pytest]\naddopts = --strict-markers\n{ini}\n")
        pytester.makeconftest(conftest)
        pytester.makepyfile(test_it=PARTS + body)
        return pytester.runpytest(*PLUGIN, *options)

    return run


def ran(result: pytest.RunResult) -> list[str]:
    """The tests that passed, of a verbose run."""
    return [line.partition("::")[2].split(" ")[0] for line in result.outlines if " PASSED" in line]


def test_a_suite_is_a_test_an_attack(inner):
    result = inner(SUITE, "-v")
    assert ran(result) == ["test_each[random_typos]", "test_each[leetspeak]", "test_pwws", "test_late", "test_no_gate"]


@pytest.mark.parametrize(
    ("options", "names", "outcomes"),
    [
        (("--robust-only", "random-typos"), ["test_each[random_typos]"], {"skipped": 1, "deselected": 3}),
        (("--robust-only", "spacing"), ["test_pwws"], {"skipped": 1, "deselected": 3}),
        (("--robust-only", "leetspeak"), ["test_each[leetspeak]", "test_late"], {"deselected": 3}),
        (("--robust-skip", "pwws,leetspeak"), ["test_each[random_typos]", "test_no_gate"], {"skipped": 3}),
        (("--robust-skip", "all"), ["test_no_gate"], {"skipped": 4}),
    ],
)
def test_gates_are_chosen_by_their_attacks(inner, options, names, outcomes):
    result = inner(SUITE, "-v", *options)
    assert ran(result) == names
    result.assert_outcomes(passed=len(names), **outcomes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--robust-only", "pwsw"), "*no attack 'pwsw'; did you mean 'pwws'*"),
        (("--robust-limit", "none"), "*--robust-limit is 'none'; give a whole number of at least 1*"),
        (("--robust-compare-fail", "queries:5%"), "*no field to compare 'queries'; *robust_accuracy*"),
        (("--robust-compare-fail", "robust_accuracy"), "*is 'robust_accuracy'; give FIELD:N%*"),
        (("--robust-compare-fail", "robust_accuracy:5"), "*give at most 100%, and note the percent sign*"),
        (("--robust-compare-fail", "robust_accuracy:1"), "*give at most 100%, and note the percent sign*"),
        (("--robust-update-baseline",), "*no folder for the baselines; give --robust-baseline DIR*"),
        (("--robust-baseline", "b", "--robust-update-baseline", "--robust-limit", "3"), "*would leave examples out*"),
        (("--robust-baseline", "b", "--robust-update-baseline", "--robust-update-new-only"), "*give one of them*"),
    ],
)
def test_options_that_cannot_work_are_refused_before_any_test(inner, options, message):
    result = inner(SUITE, *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])
    assert "Traceback" not in str(result.stderr)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("attack='random-typos', tolerance=0.1", "a tolerance needs baselines; give --robust-baseline DIR*"),
        ("attack='random-typos', min_accuracy=0.1, data=None", "the gate has no data; give check(data=…)*"),
        ("attack='pwws', min_accuracy=0.1, threat=0.2, data=DATA", "threat is 0.2; give limits by name, *"),
        ("attack='pwws', min_accuracy=0.1, threat={'share': 0.2}, data=DATA", "*no field of a threat 'share'*"),
    ],
)
def test_gates_without_what_they_need_say_so(inner, settings, message):
    inner(f"""
    @pytest.mark.robustness({settings})
    def test_gate(robustness):
        robustness.check(victim=predict)
    """).stdout.fnmatch_lines([message])


def test_a_gates_threat_limits_the_attacks_that_search(inner):
    inner("""
    from robustbench_nlp.attacks.pwws import PWWS

    @pytest.mark.robustness(attack=["random-typos", "pwws", PWWS(variant="textattack")], min_accuracy=0)
    def test_gate(robustness):
        run = robustness.check(victim=predict, data=DATA, threat={"max_words_changed": 1})
        assert list(run.table["threat"]) == ["typos@1"] + 2 * ["synonym[max_words_changed=1]@1"]
    """).assert_outcomes(passed=1)
    assert limited("pwws(threat={'max_queries': 3}):x", {"max_edits": 2}) == (
        "pwws(threat={'max_queries': 3, 'max_edits': 2}):x"
    )


def test_an_unknown_suite_is_refused_at_collection(inner):
    result = inner("\n    def test_gate(robustness, attack_suite): pass", "--robust-suite", "fast-11")
    assert result.ret != pytest.ExitCode.OK
    assert "no attack or ensemble 'fast_11'" in str(result.stdout) + str(result.stderr)


PLAIN = """
    @pytest.mark.robustness(attack="random-typos", min_accuracy=0)
    def test_gate(robustness):
        run = robustness.check()
        assert len(run.records["none", "random_typos"]) == 4
"""


def test_victim_data_and_limit_come_from_options_and_ini_settings(inner, pytester):
    (pytester.path / "mine.csv").write_text("text,label\n" + "".join(f"a good film {i},1\n" for i in range(6)), "utf-8")
    (pytester.path / "mymodel.py").write_text("def predict(texts):\n    return [[0.1, 0.9] for _ in texts]\n", "utf-8")
    pytester.syspathinsert()
    ini = "robust_victim = python:mymodel:predict\nrobust_data = csv:mine.csv\nrobust_limit = 5"
    inner(PLAIN, "--robust-limit", "4", ini=ini).assert_outcomes(passed=1)
    inner(PLAIN, ini="robust_data = csv:mine.csv").stdout.fnmatch_lines(["no victim; give check(victim=…)*"])
    result = inner(PLAIN, "--robust-victim", "minilm-rm", ini="robust_data = csv:mine.csv")
    assert "no victim 'minilm-rm'" in str(result.stdout).replace("minilm_rm", "minilm-rm")
    conftest = """
        import pytest

        @pytest.fixture
        def victim():
            return lambda texts: [[0.1, 0.9] for _ in texts]
    """
    inner(PLAIN, "--robust-limit", "4", ini="robust_data = csv:mine.csv", conftest=conftest).assert_outcomes(passed=1)


def test_ini_settings_stand_for_options(inner, pytester):
    ini = "robust_baseline = base\nrobust_strict = true\nrobust_compare_fail =\n    robust_accuracy:1%\n    clean_accuracy:2%"
    body = """
    @pytest.mark.robustness(attack="random-typos")
    def test_gate(robustness):
        robustness.check(victim=predict, data=DATA)
    """
    result = inner(body, "--robust-update-baseline", ini=ini)  # nine examples would never pass
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["inconclusive, which --robust-strict fails: *tolerance 1.0*", "*clean accuracy*tolerance 2.0*"]
    )
    assert not (pytester.path / "base").exists()


def test_every_worker_of_xdist_writes_its_own_files_and_all_are_counted(inner, pytester, monkeypatch):
    pytest.importorskip("xdist")
    options = ("-p", "xdist", "-n", "2", "--robust-baseline", "base")
    inner(SUITE, *options, "--robust-update-baseline").stdout.fnmatch_lines(
        ["4 gates: 4 inconclusive (needs n ≥ *)", "baselines: 4 written"]
    )
    files = sorted((pytester.path / "base").rglob("*"))
    assert [path.name.split("-")[0] for path in files] == [
        "test_it",
        "test_each",
        "test_each",
        "test_late.json",
        "test_pwws.json",
    ]
    assert all(json.loads(path.read_text("utf-8"))["cells"] for path in files if path.is_file())
    inner(SUITE.replace("test_late", "test_later"), *options).stdout.fnmatch_lines([UNUSED])


def test_baselines_of_tests_that_are_gone_are_named_where_all_tests_ran(inner, pytester):
    options = ("--robust-baseline", "base")
    inner(SUITE, *options, "--robust-update-new-only").stdout.no_fnmatch_line("baselines that *")
    renamed = SUITE.replace("test_late", "test_later")
    inner(renamed, *options).stdout.fnmatch_lines([UNUSED])
    for chosen in (["-k", "each"], ["--robust-only", "pwws"], ["--robust-skip", "pwws"], ["-x"], ["test_it.py"]):
        inner(renamed, *options, *chosen).stdout.no_fnmatch_line("baselines that *")
    skipped = SUITE.replace("def test_late", "@pytest.mark.skip\n    def test_late")
    inner(skipped, *options).stdout.no_fnmatch_line("baselines that *")
    (pytester.path / "base" / "notes.json").write_text("[]", "utf-8")
    (pytester.path / "base" / "gone.json").write_text('{"test": "test_gone.py::test_gate"}', "utf-8")
    inner(SUITE, *options).stdout.fnmatch_lines(["baselines that no test uses any more: base/gone.json"])


def test_collecting_gates_imports_nothing_heavy(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(test_it=PARTS + SUITE + "\n    def test_fast(robustness, attack_suite, victim): pass\n")
    pytester.makeconftest("""
        def pytest_sessionfinish():
            import sys
            print("heavy:", sorted({"numpy", "pandas", "scipy", "sklearn", "torch", "transformers"} & set(sys.modules)))
    """)
    line = [sys.executable, "-m", "pytest", *PLUGIN, "--collect-only", "-q", "-s", "--robust-only", "all"]
    result = pytester.run(*line)
    result.stdout.fnmatch_lines(["test_it.py::test_fast[[]pwws]", "heavy: []"])


def test_loading_the_plugin_takes_none_of_the_package_but_gates():
    code = "import sys, pytest; before = set(sys.modules); import robustbench_nlp.pytest_plugin; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert {name for name in loaded if not name.startswith("robustbench_nlp")} <= {"difflib"}
    assert len(loaded) < 12


@pytest.mark.parametrize("name", ensemble_names())
def test_a_suite_has_an_ensembles_attacks_with_their_threats_and_budgets(name):
    def known_as_one(attacks: list[str]) -> list[Any]:
        members = [member.attack for member in grid_of(attacks, cascade=False).members]
        return [replace(attack, threat=replace(attack.threat, name="")) for attack in members]

    suite = list(suite_members(name).values())
    assert known_as_one(suite) == known_as_one([f"worst-case:{name}"])
    assert len(suite) == len(load_ensemble(name).members)


def test_names_behind_selectors():
    assert attack_names("pwws(variant='textattack')") == {"pwws"}
    assert attack_names(["random-typos", "worst-case:pwws+spacing"]) == {
        "random_typos",
        "worst_case",
        "pwws",
        "spacing",
    }
    assert attack_names("worst-case:fast-1") == {"worst_case", "fast_1"}
    assert attack_names(DeepWordBug()) == {"deepwordbug"}
    assert attack_names(None) == set()
    assert list(suite_members(["pwws", "pwws(variant='textattack')"])) == ["pwws", "pwws2"]


def test_tolerances_are_points_or_shares():
    assert tolerances_of([]) is None
    assert tolerances_of(["robust-accuracy:5%", "clean_accuracy:0.02"]) == {
        "robust_accuracy": 0.05,
        "clean_accuracy": 0.02,
    }


def test_the_summary_counts_every_check():
    found = [("x", 1), *properties(1, "pass", "", None, "written"), *properties(2, "inconclusive", "so", 420, "")]
    gates = told("test_a", found) + told("test_b", properties(1, "pass", "", None, "")) + told("test_c", [("x", 1)])
    assert summary(gates) == [
        "inconclusive: test_a: so",
        "3 gates: 2 pass, 1 inconclusive (needs n ≥ 420)",
        "baselines: 1 written",
    ]
    assert summary([]) == []
