"""Automatic warnings: each fires on records made to show its sign, and stays silent beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import NamedTuple

import needs
import numpy as np
import pytest

from robustbench_nlp import evaluate
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.records import Record
from robustbench_nlp.report.flags import Evidence, Flag, flags
from robustbench_nlp.report.table import row, table

OUTCOMES = {"x": "success", ".": "failed", "-": "skipped", "!": "error", "s": "settled"}
UNLIMITED = "textattack:textbugger"


class Case(NamedTuple):
    """One cell: an example's outcome a character, the same examples in every cell."""

    attack: str
    outcomes: str
    mode: str = "adaptive"
    max_queries: int | None = 100
    defense: str = "none"
    tops: tuple[float, ...] = ()


def records(case: Case) -> list[Record]:
    rng = Random(0)
    tops = case.tops or [round(rng.uniform(0.5, 0.99), 5) for _ in case.outcomes]
    return [
        Record(
            example_id=f"e{i}",
            label=1,
            original=f"film number {i}",
            outcome=OUTCOMES[mark],
            clean_output=None if mark == "!" else [round(1 - top, 5), top],
            clean_prediction=int(mark != "-"),
        )
        for i, (mark, top) in enumerate(zip(case.outcomes, tops, strict=True))
    ]


def flagged(*cases: Case, victim=None) -> list[Flag]:
    """The warnings but that of the floor, which examples of one label always earn (`test_collapse.py`)."""
    found = {(case.defense, case.attack): records(case) for case in cases}
    rows = [
        row(
            {
                "dataset": "films",
                "victim": "v",
                "defense": case.defense,
                "attack": case.attack,
                "mode": case.mode,
                "threat": "t@1",
                "max_queries": case.max_queries,
            },
            found[case.defense, case.attack],
        )
        for case in cases
    ]
    return [flag for flag in flags(Evidence(table(rows), found), victim) if flag.name != "clean_at_floor"]


def names(*cases: Case, victim=None) -> list[str]:
    return [flag.name for flag in flagged(*cases, victim=victim)]


FEW, MANY = "x" * 5 + "." * 35, "." * 20 + "x" * 20


@dataclass
class Moody:
    """Says that it isn't random, and answers every third text by how often it was called."""

    name: str = "moody"
    label_names: tuple[str, ...] = ("negative", "positive")
    random: bool = False
    fingerprint: str = "moody"
    calls: int = 0

    def predict(self, inputs, draw=0):
        self.calls += 1
        p = np.full(len(inputs), 0.3, np.float32)
        p[::3] += 0.1 * self.calls
        return np.stack([p, 1 - p], axis=1)


class Failing(KeywordVictim):
    def predict(self, inputs, draw=0):
        raise RuntimeError("out of order")


def test_a_victim_that_changes_its_mind():
    (flag,) = flagged(Case("pwws", MANY), victim=Moody())
    assert flag.name == "nondeterministic_victim"
    assert "11 of 32 texts" in flag.evidence
    assert "by up to 0.1" in flag.evidence


@pytest.mark.parametrize("victim", [KeywordVictim(), Moody(random=True), Failing(), None])
def test_a_victim_that_is_honest_or_silent(victim):
    assert names(Case("pwws", MANY), victim=victim) == []


@pytest.mark.parametrize(("rejected", "flagged_as"), [(0, []), (1, ["rejected_claims"])])
def test_claims_that_the_referee_rejected(rejected: int, flagged_as: list[str]) -> None:
    case = Case("pwws", "x" * 50 + "." * 50)
    cell = [replace(record, rejected_successes=rejected * (record.example_id == "e7")) for record in records(case)]
    header = {
        "dataset": "films",
        "victim": "v",
        "defense": "none",
        "attack": "pwws",
        "mode": "adaptive",
        "threat": "t@1",
    }
    evidence = Evidence(table([row(header, cell)]), {("none", "pwws"): cell})
    assert [flag.name for flag in flags(evidence) if flag.name != "clean_at_floor"] == flagged_as


@pytest.mark.parametrize(("budget", "flagged_as"), [(0, ["no_attack"]), (1, ["no_attack"]), (2, [])])
def test_a_budget_that_buys_no_candidate(budget, flagged_as):
    assert names(Case("pwws", "." * 20, max_queries=budget)) == flagged_as
    assert names(Case("pwws", "." * 20, mode="transfer", max_queries=budget)) == []


def test_saturated_scores():
    (flag,) = flagged(Case("pwws", MANY, tops=(1.0,) * 10 + tuple(0.6 + i / 1000 for i in range(30))))
    assert flag.name == "saturated_scores"
    assert "10 of 40" in flag.evidence
    assert names(Case("pwws", MANY, tops=(1.0,) * 9 + tuple(0.6 + i / 1000 for i in range(31)))) == []


def test_quantised_scores():
    (flag,) = flagged(Case("pwws", MANY, tops=tuple(0.5 + i % 20 / 100 for i in range(40))))
    assert flag.name == "quantised_scores"
    assert "40 unsaturated clean outputs hold only 20 distinct" in flag.evidence
    assert names(Case("pwws", MANY, tops=tuple(0.5 + i % 21 / 100 for i in range(40)))) == []
    assert names(Case("pwws", "x" * 10, tops=(0.7,) * 10)) == []  # too few to tell


@pytest.mark.parametrize(
    ("blind", "search"),
    [
        (Case("random_typos", MANY, mode="noise"), Case("fast-1/deepwordbug", FEW)),
        (Case("word_search:random", MANY), Case("pwws", FEW)),
    ],
)
def test_random_beats_search(blind, search):
    (flag,) = flagged(blind, search)
    assert flag.name == "random_beats_search"
    assert "breaks 20 of 40 examples" in flag.evidence
    assert "only 5 (McNemar p = 0.0041)" in flag.evidence


def test_a_cascade_compares_what_each_member_met():
    """The later member meets only what the earlier one failed on, which is no sign that the earlier one is weak."""
    noise, search = (Case(name, "", mode="cascade") for name in ("random_typos", "deepwordbug"))
    earlier, rest = "x" * 20 + "." * 20, "s" * 20 + "x" * 10 + "." * 10
    assert names(search._replace(outcomes=earlier), noise._replace(outcomes=rest)) == []
    assert names(noise._replace(outcomes=earlier), search._replace(outcomes=rest)) == []
    gradient = Case("textbugger(candidates='none', ranking='gradient')", earlier, mode="cascade")
    assert names(gradient, Case("charmer(places=1)", rest, mode="cascade")) == []
    (flag,) = flagged(search._replace(outcomes=FEW), noise._replace(outcomes="s" * 5 + "x" * 20 + "." * 15))
    assert flag.name == "random_beats_search"  # whatever the noise would have done to the five, it breaks more
    assert "random_typos (t@1) breaks at least 20 of 40 examples" in flag.evidence
    assert "deepwordbug (t@1) only 5" in flag.evidence


@needs.textattack
def test_a_cascade_holds_an_unlimited_attack_to_what_it_met():
    free = Case(UNLIMITED, "s" * 30 + "x" * 5 + "." * 5, mode="cascade", max_queries=None)
    assert names(free) == []
    assert names(free._replace(outcomes="s" * 5 + "x" * 5 + "." * 30)) == ["unlimited_attack_fails"]


def test_random_does_not_beat_a_better_search_another_unit_or_by_chance():
    noise = Case("random_typos", MANY, mode="noise")
    assert names(noise._replace(outcomes=FEW), Case("deepwordbug", MANY)) == []
    assert names(noise, Case("pwws", FEW)) == []
    assert names(noise._replace(outcomes="xxxx" + "." * 36), Case("deepwordbug", "." * 40)) == []
    assert names(noise, Case("deepwordbug", FEW, defense="spell")) == []


def test_transfer_beats_direct():
    transferred = Case("charmer", MANY, mode="transfer")
    (flag,) = flagged(transferred, Case("deepwordbug", FEW))
    assert flag.name == "transfer_beats_direct"
    assert names(transferred, Case("deepwordbug", FEW), Case("pruthi", MANY)) == []  # the strongest direct one counts
    assert names(transferred._replace(outcomes=FEW), Case("deepwordbug", MANY)) == []
    assert names(transferred) == []


@needs.textattack
def test_an_attack_without_limits_or_budget_should_break_nearly_all():
    free = Case(UNLIMITED, MANY, max_queries=None)
    (flag,) = flagged(free)
    assert flag.name == "unlimited_attack_fails"
    assert "20 of 40 attempted" in flag.evidence
    for silent in (
        free._replace(outcomes="x" * 38 + ".."),
        free._replace(max_queries=100),
        free._replace(attack="nlpaug:KeyboardAug"),  # no search
        free._replace(attack="pwws"),  # its synonyms are a limit
        free._replace(attack="deepwordbug"),
        free._replace(attack="AnObject"),
        free._replace(outcomes="-" * 40),
    ):
        assert names(silent) == []


def test_gradient_weaker_than_score():
    (flag,) = flagged(Case("hotflip", FEW), Case("pwws", MANY))
    assert flag.name == "gradient_weaker_than_score"
    assert names(Case("hotflip", MANY), Case("pwws", FEW)) == []
    assert names(Case("hotflip", FEW), Case("deepwordbug", MANY)) == []  # another unit
    assert names(Case("hotflip", FEW), Case("word_search:random", "." * 40)) == []


def test_only_examples_that_both_attempted_count():
    assert (
        names(Case("random_typos", "x" * 20 + "." * 20, mode="noise"), Case("deepwordbug", "!" * 20 + "." * 20)) == []
    )


def test_worst_cases_and_empty_runs_are_passed_over():
    assert names() == []
    assert names(Case("pwws", "")) == []
    evidence = Evidence(table([row({"defense": "none", "attack": "worst_case:a", "mode": "adaptive"}, [])]), {})
    assert flags(evidence) == []


def test_a_run_is_evidence(tmp_path):
    texts = [(f"a {word} film, number {i}", int(word == "good")) for i in range(15) for word in ("good", "bad")]
    run = evaluate(
        victim=KeywordVictim(),
        dataset=texts,
        attacks=["random_typos", "deepwordbug"],
        similarity="none",
        output=tmp_path,
    )
    assert [flag.name for flag in flags(run, KeywordVictim())] == ["quantised_scores"]
