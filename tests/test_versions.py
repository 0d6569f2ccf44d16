"""Every task, attack, threat, ensemble and dataset carries a version, and raising it makes other records of the same cell."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from boards import made
from test_attacks import every_attack

from robustbench_nlp import grid as grids
from robustbench_nlp.attack import Attack
from robustbench_nlp.cli import main
from robustbench_nlp.data import Dataset, from_pairs, load_dataset
from robustbench_nlp.ensembles import ensemble_names, load_ensemble
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.grid import Benchmark, Grid, Member, grid_of
from robustbench_nlp.helpers import Helpers
from robustbench_nlp.plugins import create, plugin_names
from robustbench_nlp.runner import Runner

PAIRS = from_pairs([("a good film", 1), ("a bad film", 0)], class_names=("negative", "positive"))


def fingerprint(attack: Attack, dataset: Dataset = PAIRS) -> str:
    """That of the cell of one attack; no model is asked."""
    benchmark = Benchmark(dataset="pairs", victim="keywords", attacks=("x",), similarity="none")
    member = Member("x", attack)
    runner = Runner(benchmark, dataset, KeywordVictim(), Grid((member,), {}, False), Helpers(), Path(), searches=False)
    return str(runner.header(KeywordVictim(), "none", member)["fingerprint"])


@every_attack
def test_an_attacks_version(attack: Attack, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(attack)
    assert before == fingerprint(attack)
    monkeypatch.setattr(type(attack), "version", type(attack).version + 1)  # type: ignore[attr-defined]
    assert fingerprint(attack) != before


@every_attack
def test_a_threats_version(attack: Attack) -> None:
    if not any(name == "threat" for name in getattr(type(attack), "__dataclass_fields__", {})):
        pytest.skip("its threat follows its settings")
    other = replace(attack, threat=replace(attack.threat, version=attack.threat.version + 1))  # type: ignore[type-var]
    assert fingerprint(other) != fingerprint(attack)


@pytest.mark.parametrize("name", plugin_names("task"))
def test_a_tasks_version(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task: ModuleType = import_module(f"robustbench_nlp.tasks.{name}")
    before = fingerprint(create("attack", "pwws"))
    monkeypatch.setattr(task, "VERSION", task.VERSION + 1)
    assert fingerprint(create("attack", "pwws")) != before


def test_a_datasets_version(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("text,label\na good film,positive\na bad film,negative\n")
    lines = tmp_path / "rows.jsonl"
    lines.write_text('{"text": "a good film", "label": "positive"}\n{"text": "a bad film", "label": "negative"}\n')
    there = {"csv": f"csv:{rows}", "jsonl": f"jsonl:{lines}", "mr": "mr", "imdb": "imdb"}
    assert set(plugin_names("dataset")) - {"hf"} == set(there), "a new source's version belongs here"
    for selector in there.values():
        dataset = load_dataset(selector)
        newer = replace(dataset, version=dataset.version + 1)
        assert newer.fingerprint != dataset.fingerprint
        assert fingerprint(create("attack", "pwws"), newer) != fingerprint(create("attack", "pwws"), dataset)


@pytest.mark.parametrize("name", ensemble_names())
def test_an_ensembles_version(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    family, number = re.fullmatch(r"([a-z]+)-(\d+)", name).groups()  # type: ignore[union-attr]
    newer = f"{family}-{int(number) + 1}"
    before = grid_of([f"worst-case:{name}"], cascade=False)
    monkeypatch.setattr(grids, "ensemble_names", lambda: [name, newer])
    monkeypatch.setattr(grids, "load_ensemble", lambda asked: load_ensemble(name)._replace(name=asked))
    after = grid_of([f"worst-case:{newer}"], cascade=False)
    assert [member.attack for member in before.members] == [member.attack for member in after.members]
    assert not {member.name for member in before.members} & {member.name for member in after.members}
    assert after.worst_cases.keys() == {newer}


@pytest.mark.usefixtures("there")
def test_a_copied_run_yaml_makes_the_same_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = made(
        tmp_path / "one",
        attacks=["deepwordbug(variant='textattack')", "worst-case:fast-1"],
        defenses=["none", "unicode-normalize"],
        seed=3,
        limit=16,
    )
    copy = tmp_path / "mine.yaml"
    copy.write_bytes((first / "run.yaml").read_bytes())
    assert main(["run", str(copy), "--output", str(tmp_path / "two"), "--quiet"]) == 0
    capsys.readouterr()
    import pandas as pd

    one, two = (pd.read_csv(tmp_path / name / "table.csv") for name in ("one", "two"))
    costs = ["seconds", "latency_ratio"]
    pd.testing.assert_frame_equal(one.drop(columns=costs), two.drop(columns=costs))
    assert (tmp_path / "two" / "run.yaml").read_bytes() == copy.read_bytes()
