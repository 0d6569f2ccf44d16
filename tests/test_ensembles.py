"""Published ensembles: frozen files whose members can be made, threats with other limits, and cascades in any order."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from importlib.resources import files
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from robustbench_nlp import ensembles, grid
from robustbench_nlp.api import evaluate
from robustbench_nlp.attacks.pwws import PWWS
from robustbench_nlp.ensembles import Ensemble, EnsembleMember, ensemble_names, load_ensemble
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.grid import attack_named, grid_of
from robustbench_nlp.plugins import create
from robustbench_nlp.threat import Threat

FROZEN = {
    "decision-1": "f1caa9ed7e7b870c5b2277be9aa60b73c4571a2f479b215582c1e16d3a25aed9",
    "fast-1": "aebdc0cd83fe47c725c1918ad9d83565a846ece0152d52ec9260e13997ea0da3",
    "standard-1": "da0bedcc7c7f2239c720e449d6943181737b1b6071e9bb204c8c3f0faee63ea2",
    "whitebox-1": "68dd87c12dd214d37d76e0f5073b984e82841eff596b7b139c839ff02a6b1da9",
}
"""The SHA-256 of every published file. A line is added for a new version and never changed."""
PAIRS = [
    (f"the {word} film number {i} was made with a good cast for the cinema", i % 2)
    for i, word in enumerate(["bad", "great", "awful", "fine"] * 5)
]
VICTIM = KeywordVictim(keywords=(("bad", "awful", "cinema"), ("good", "great", "fine")))


@pytest.mark.parametrize("name", ensemble_names())
def test_a_published_file_never_changes(name: str) -> None:
    content = (files(ensembles.__name__) / f"{name}.yaml").read_bytes()
    assert hashlib.sha256(content).hexdigest() == FROZEN[name], f"publish another version of {name} instead"


@pytest.mark.parametrize("name", ensemble_names())
def test_members_are_told_apart_by_name_and_have_the_threat_and_budget_of_the_file(name: str) -> None:
    made = grid_of([f"worst-case:{name}"], cascade=True)
    published = load_ensemble(name).members
    assert len({member.name for member in made.members}) == len(published)
    for member, wanted in zip(made.members, published, strict=True):
        assert member.name.startswith(f"{name}/")
        assert attack_named(member.name) == member.attack
        assert member.attack.threat.max_queries == wanted.max_queries
        assert all(getattr(member.attack.threat, key) == value for key, value in wanted.threat.items())


def test_one_name_is_one_threat_in_all_ensembles() -> None:
    threats: dict[str, Threat] = {}
    for name in ensemble_names():
        for member in grid_of([f"worst-case:{name}"], cascade=True).members:
            threat = replace(member.attack.threat, max_queries=None)
            assert threats.setdefault(str(threat), threat) == threat


@pytest.mark.parametrize("order", list(permutations(["deepwordbug", "pwws", "punctuation"])))
def test_another_order_changes_queries_but_never_robust_accuracy(order: tuple[str, ...], tmp_path: Path) -> None:
    settings: dict[str, Any] = {"victim": VICTIM, "dataset": PAIRS, "similarity": "none", "max_queries": 38}
    run = evaluate(attacks=[f"worst-case:{'+'.join(order)}"], output=tmp_path / "run", **settings)
    full = evaluate(attacks=[*order, "worst-case"], output=tmp_path / "full", **settings)
    cascade, whole = (
        table.set_index("attack").loc[f"worst_case:{'+'.join(order)}"] for table in (run.table, full.table)
    )
    assert (cascade["mode"], whole["mode"]) == ("cascade", "adaptive")
    assert cascade["robust_accuracy"] == whole["robust_accuracy"] < full.table["robust_accuracy"][:3].min()
    assert cascade["queries_mean"] < whole["queries_mean"]


def test_an_ensemble_that_was_made_with_another_version_of_an_attack(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(PWWS, "version", 2)
        for name in ("fast-1", "standard-1"):  # of these the first names no versions
            with pytest.raises(UsageError, match=rf"{name} was made with version 1 of pwws, and this is version 2"):
                grid_of([f"worst-case:{name}"], cascade=True)
    old = Ensemble("fast-1", "", (EnsembleMember("pwws", version=7),))
    monkeypatch.setattr(grid, "load_ensemble", lambda name: old)
    with pytest.raises(UsageError, match=r"version 7 of pwws, and this is version 1"):
        grid_of(["worst-case:fast-1"], cascade=True)


def test_a_threat_with_other_limits_tells_them_by_its_name() -> None:
    attack = create("attack", "pwws(threat={'max_words_share': 0.2, 'max_edits': 9})")
    assert str(attack.threat) == "synonym[max_words_share=0.2,max_edits=9]@1"
    assert (attack.threat.max_words_share, attack.threat.max_edits, attack.threat.unit) == (0.2, 9, "word")
    assert create("attack", "pwws(threat={'name': 'mine', 'max_edits': 9})").threat.name == "mine"
    assert create("attack", "pwws(threat={'knowledge': 'decision'})").threat.knowledge == "decision"
    assert create("attack", "pwws(threat={})") == create("attack", "pwws")


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("pwws(threat={'max_word_share': 0.2})", "did you mean 'max_words_share'"),
        ("pwws(threat={'knowledge': 'gradient'})", "leave it or lower it"),
        ("pwws(threat={'knowledge': 'all'})", "can't be 'all'"),
        ("pwws(threat='char_30')", "is no mapping"),
        ("noise(threat={'max_edits': 3})", "follows its settings"),
    ],
)
def test_threats_that_cannot_be(selector: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as told:
        create("attack", selector)
    assert "\n" not in str(told.value)


def test_each_draw_of_a_random_victim_has_the_budget_that_another_victim_has(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"dataset": [("a good film", 1)], "similarity": "none", "attacks": ["worst-case:fast-1"]}
    members = load_ensemble("fast-1").members
    for number, (victim, draws, times) in enumerate(
        [
            (KeywordVictim(), {}, 1),
            (KeywordVictim(random=True), {}, grid.DRAWS),
            (KeywordVictim(random=True), {"draws": 3}, 3),
        ]
    ):
        table = evaluate(victim=victim, output=tmp_path / str(number), **draws, **settings).table
        found = table["max_queries"].iloc[: len(members)].fillna(0).tolist()
        assert found == [(member.max_queries or 0) * times for member in members]
    own = settings | {"attacks": ["pwws", "pruthi(threat={'max_queries': 5})"]}
    for budget, found in ((None, [0, 5]), (7, [7, 7])):
        both = [
            evaluate(
                victim=KeywordVictim(random=random), output=tmp_path / f"{budget}{random}", max_queries=budget, **own
            )
            for random in (False, True)
        ]
        one, other = (run.table["max_queries"].fillna(0).tolist() for run in both)
        assert (one, other) == (found, [grid.DRAWS * each for each in found])
        texts = [[record.forwards for records in run.records.values() for record in records] for run in both]
        assert texts[0] == texts[1]
