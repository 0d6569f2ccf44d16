"""Gates against baselines, in test runs inside a test run: planted regressions, planted noise, planted changes of settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import scipy.stats  # noqa: F401 - inner runs forget what they import, and compiled modules load once only

import robustbench_nlp.api  # noqa: F401

pytest_plugins = ["pytester"]

VICTIM = """
    import zlib
    import pytest

    SHARE, SALT = {share}, {salt!r}

    def predict(texts):
        \"\"\"Knows good films by a word; gives the answer away on a share of texts that its salt chooses by their number.\"\"\"
        answers = []
        for text in texts:
            right = zlib.crc32((SALT + text[-5:]).encode()) % 1000 >= 1000 * SHARE
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
        robustness.check(victim=predict, data=DATA)
"""


@pytest.fixture
def gates(pytester, monkeypatch):
    """Runs a gate on a victim that is wrong on a share of its examples, chosen by a salt; baselines lie in `base`."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini(
        "[pytest]\naddopts = --strict-markers\nfilterwarnings =\n    error\n    ignore:Module already imported\n"
    )

    def run(*options: str, share: float = 0.0, salt: str = "", size: int = 75, body: str = GATE) -> pytest.RunResult:
        pytester.makepyfile(test_it=VICTIM.format(share=share, salt=salt, size=size) + body)
        return pytester.runpytest("-p", "robustbench_nlp.pytest_plugin", "--robust-baseline", "base", *options)

    return run


def baseline(pytester: pytest.Pytester, name: str = "test_it/test_gate") -> dict[str, object]:
    content: dict[str, object] = json.loads((pytester.path / "base" / f"{name}.json").read_text("utf-8"))
    return content


def test_a_planted_regression_fails_and_shows_three_flips(gates):
    gates("--robust-update-baseline").assert_outcomes(passed=1)
    result = gates(share=0.2)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "worse than the baseline: none × random_typos: robust accuracy *% → *%: a drop of * points [[]*, *[]], "
            "tolerance 5.0, n = 300",
            "the worst of * flips since the baseline:",
            "  label *, predicted * without an attack",
            "    - 'a * film that somebody saw, number *'",
            "1 gate: 1 fail",
        ]
    )
    shown, _, _ = str(result.stdout).partition("= robustness =")
    assert shown.count("    - '") == 3


def test_an_unchanged_victim_passes(gates):
    gates("--robust-update-baseline").assert_outcomes(passed=1)
    result = gates()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["1 gate: 1 pass"])


def test_the_file_is_made_for_diffs(gates, pytester):
    gates("--robust-update-baseline", size=2)
    content = baseline(pytester)
    (cell,) = content["cells"].values()
    path: Path = pytester.path / "base" / "test_it" / "test_gate.json"
    text = path.read_text("utf-8")
    assert sum(cell["counts"].values()) == len(cell["verdicts"]) == 8
    assert all(
        f'    "{identity}": "{word}"' in text.replace('",\n', '"\n') for identity, word in cell["verdicts"].items()
    )
    assert text == json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    before = path.stat().st_mtime_ns
    gates("--robust-update-baseline", size=2).stdout.fnmatch_lines(["baselines: 1 unchanged"])
    assert path.stat().st_mtime_ns == before
