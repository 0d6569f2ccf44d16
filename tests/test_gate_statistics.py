"""What gates decide: planted drops and planted noise by simulation, the needed n, and the tables of the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_nlp.gates.options import COMPARED
from robustbench_nlp.gates.verdict import FIELDS, judged
from robustbench_nlp.power import gate_needed, gate_power

ROOT = Path(__file__).resolve().parents[1]
WORDS = st.sampled_from(["robust", "broken", "wrong", "error"])
DRAWS = 3000
SLACK = 0.012
"""Three standard errors of a share of 5 % among `DRAWS`."""


@pytest.fixture
def gate_power_script(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import gate_power

    return gate_power


def verdicts(**counts: int) -> dict[str, str]:
    words = [word for word, count in counts.items() for _ in range(count)]
    return {str(i): word for i, word in enumerate(words)}


@pytest.mark.parametrize("share", [0.1, 0.4])
@pytest.mark.parametrize("n", [50, 100, 300])
def test_false_alarms_stay_below_five_percent(gate_power_script, n, share):
    for drop, tolerance in ((0.0, 0.0), (0.05, 0.05)):  # at the tolerance itself, where they are most frequent
        outcomes = gate_power_script.simulated(n, drop, tolerance, share, draws=DRAWS)
        assert outcomes["fail"] / DRAWS <= 0.05 + SLACK
        assert outcomes["pass"] / DRAWS <= 0.07 + SLACK  # Newcombe's interval is a little short here
    assert gate_power_script.simulated(n, 0.0, 0.05, share, draws=DRAWS)["fail"] / DRAWS < 0.015


def test_a_drop_of_ten_points_is_caught_by_a_hundred_examples_one_time_in_five(gate_power_script):
    caught = gate_power_script.simulated(100, 0.10, 0.05, 0.4, draws=10_000)["fail"] / 10_000
    assert caught == pytest.approx(0.20, abs=0.015)
    assert gate_power(100, 0.10, 0.05, 0.4) == pytest.approx(caught, abs=0.02)


@pytest.mark.parametrize(("tolerance", "share"), [(0.05, 0.1), (0.05, 0.2), (0.03, 0.4)])
def test_the_needed_n_passes_an_unchanged_victim_four_times_in_five(gate_power_script, tolerance, share):
    n = gate_needed(0.0, tolerance, share)
    passed = gate_power_script.simulated(n, 0.0, tolerance, share, draws=DRAWS)["pass"] / DRAWS
    assert passed == pytest.approx(0.8, abs=0.03)
    assert gate_power(n, 0.0, tolerance, share) >= 0.8 > gate_power(n - 1, 0.0, tolerance, share)


def test_the_tables_of_the_documentation_are_what_the_command_prints(gate_power_script):
    page = (ROOT / "docs" / "gates.md").read_text("utf-8")
    tables = re.findall(r"<!-- table: python scripts/gate_power.py -->\n(.*?)\n<!-- end -->", page, re.DOTALL)
    assert tables == ["\n".join(gate_power_script.caught()), "\n".join(gate_power_script.enough())]


def test_no_n_settles_the_tolerance_itself_and_impossible_drops_are_refused():
    assert gate_needed(0.05, 0.05, 0.2) is None
    assert gate_power(100, 0.2, 0.1, 0.2) > gate_power(50, 0.2, 0.1, 0.2)
    assert gate_power(10, 1.0, 0.1, 1.0) == 1.0
    for impossible in (lambda: gate_power(100, 0.2, 0.1, 0.1), lambda: gate_needed(0.2, 0.1, 0.1)):
        with pytest.raises(ValueError, match=r"drop of 0\.2"):
            impossible()


def test_three_outcomes_on_the_same_examples():
    before = verdicts(robust=100, wrong=100)
    worse = {i: "broken" if int(i) < 40 else word for i, word in before.items()}
    slightly = {i: "broken" if int(i) < 8 else word for i, word in before.items()}
    failed, doubtful, passed = (judged("robust_accuracy", before, now, 0.05) for now in (worse, slightly, before))
    assert (failed.outcome, doubtful.outcome, passed.outcome) == ("fail", "inconclusive", "pass")
    assert len(failed.lost) == 40
    assert doubtful.needed is not None
    assert doubtful.needed > 200
    assert (failed.needed, passed.needed) == (None, None)
    assert "a drop of 20.0 points" in failed.told()
    assert "(40 worse, 0 better)" in failed.told()
    assert "needs n ≥ " in doubtful.told()


def test_the_needed_n_is_the_tolerances_then_the_drops():
    before = verdicts(robust=500, broken=500)
    near = {i: "broken" if int(i) < 50 else word for i, word in before.items()}
    few = dict(list(near.items())[::20])
    assert "inconclusive with n = 50: needs n ≥ " in judged("robust_accuracy", before, few, 0.05).doubted()
    exactly, nearly = (judged("robust_accuracy", before, near, tolerance) for tolerance in (0.05, 0.052))
    assert exactly.doubt == "it is near the tolerance: no n settles it"
    assert nearly.doubt == f"it is near the tolerance: needs n ≥ {nearly.needed}"
    assert nearly.needed > 10_000


def test_what_could_not_fail_does_not_pass():
    before = verdicts(robust=5, broken=95)
    assert judged("robust_accuracy", before, verdicts(robust=50, broken=50), 0.05).outcome == "pass"
    for now in (before, dict.fromkeys(before, "broken")):
        verdict = judged("robust_accuracy", before, now, 0.05)
        assert (verdict.outcome, verdict.needed) == ("inconclusive", None)
        assert "a loss of everything would not fail it: give a smaller tolerance or a weaker attack" in verdict.told()
    little = verdicts(robust=8, broken=92)
    verdict = judged("robust_accuracy", little, little, 0.05)
    assert verdict.outcome == "inconclusive"
    many = verdicts(robust=round(0.08 * verdict.needed), broken=round(0.92 * verdict.needed))
    assert judged("robust_accuracy", many, dict.fromkeys(many, "broken"), 0.05).outcome == "fail"
    assert judged("robust_accuracy", many, many, 0.05).outcome == "pass"


def test_a_success_rate_is_compared_where_both_were_attempted():
    before = {"a": "robust", "b": "broken", "c": "wrong", "d": "robust", "e": "error"}
    now = {"a": "broken", "b": "broken", "c": "broken", "d": "wrong", "e": "robust"}
    verdict = judged("attack_success_rate", before, now, 0.1)
    assert (verdict.n, verdict.before, verdict.now, verdict.lost) == (2, 0.5, 1.0, ("a",))
    assert "a rise of 50.0 points" in verdict.told()
    clean = judged("clean_accuracy", before, now, 0.1)
    assert (clean.n, clean.before, clean.now, clean.lost, clean.won) == (4, 0.75, 0.75, ("d",), 1)


def test_nothing_to_compare_is_inconclusive():
    verdict = judged("attack_success_rate", {"a": "wrong"}, {"a": "robust"}, 0.1)
    assert (verdict.outcome, verdict.n, verdict.needed) == ("inconclusive", 0, None)
    assert verdict.told() == "attack success rate: no example has a verdict both times"


def test_the_fields_that_options_take_are_those_that_can_be_compared():
    assert list(COMPARED) == list(FIELDS)


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=40), st.sampled_from(COMPARED), st.floats(0, 0.5))
def test_the_bounds_decide_and_improvements_never_fail(pairs, field, tolerance):
    before, now = ({str(i): pair[side] for i, pair in enumerate(pairs)} for side in (0, 1))
    verdict = judged(field, before, now, tolerance)
    blind = "a loss of everything" in verdict.doubt
    assert (verdict.outcome == "fail") == (verdict.worse.low > tolerance)
    assert (verdict.outcome == "pass") == (verdict.worse.high <= tolerance and not blind)
    assert (verdict.outcome == "inconclusive") == bool(verdict.doubt)
    assert verdict.needed is None or verdict.needed > 0
    if len(verdict.lost) <= verdict.won:
        assert verdict.outcome != "fail"
