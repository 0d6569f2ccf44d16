"""Several processes on one run: the same records as one process makes, also where workers die, hang or can't start."""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robustbench_nlp import workers
from robustbench_nlp.api import Run, evaluate
from robustbench_nlp.attack import Sample, Steps
from robustbench_nlp.cli import main
from robustbench_nlp.data import from_pairs
from robustbench_nlp.data.example import Example
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.grid import Benchmark, Member
from robustbench_nlp.plugins import create
from robustbench_nlp.ray_workers import RayCrew
from robustbench_nlp.records import Record
from robustbench_nlp.workers import Bench, Crew, Opening, Order, share_of

PAIRS = [
    (f"the {word} film number {i} was made for the cinema", i % 2)
    for i, word in enumerate(["bad", "good", "awful", "fine"] * 10)
]
VICTIM = """
import os, signal, time
from pathlib import Path
from robustbench_nlp.fakes import KeywordVictim
inner = KeywordVictim(keywords=(("bad", "awful", "cinema"), ("good", "fine", "made")))
def predict(texts):
    return inner.predict(texts)
def _once(texts, number, act):
    mark = Path(__file__).with_name("mark")
    if any(f"number {number} " in text for text in texts) and not mark.exists():
        mark.touch()
        act()
    return inner.predict(texts)
def dies_once(texts):
    return _once(texts, 17, lambda: os.kill(os.getpid(), signal.SIGKILL))
def hangs_once(texts):
    return _once(texts, 17, lambda: time.sleep(600))
def dies(texts):
    os._exit(3)
def hangs_once_and_tells(texts):
    Path(__file__).with_name("threads").write_text(os.environ["OMP_NUM_THREADS"])
    return hangs_once(texts)
"""
SLOW = """
import time
from dataclasses import dataclass
from robustbench_nlp import workers
from robustbench_nlp.attack import Probe, Together
from robustbench_nlp.attacks.deepwordbug import DeepWordBug
from robustbench_nlp.runner import Runner
from robustbench_nlp.threat import Threat
@dataclass(frozen=True)
class Studious:
    threat: Threat = DeepWordBug().threat
    def prepare(self, samples, rng):
        for _ in range(12):
            time.sleep(0.25)
            yield Together(Probe, [(sample, sample.text) for sample in samples[:2]])
    def run(self, sample, rng):
        return None
        yield
def slow_down():
    workers.BEAT = 0.1
    made = Runner.defend
    def defend(self, defense):
        time.sleep(3)
        return made(self, defense)
    Runner.defend = defend
    Runner.dev = property(lambda self: tuple(self.examples))
"""


@pytest.fixture(autouse=True)
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "shared_victim.py").write_text(VICTIM)
    (tmp_path / "shared_slow.py").write_text(SLOW)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("shared_victim", "shared_slow"):
        sys.modules.pop(name, None)


def go(tmp_path: Path, output: str, **kwargs: Any) -> Run:
    values: dict[str, Any] = {
        "victim": "python:shared_victim:predict",
        "dataset": PAIRS,
        "attacks": ["random-typos", "deepwordbug", "worst-case"],
        "similarity": "none",
    }
    return evaluate(**(values | {"output": tmp_path / output} | kwargs))


def findings(run: Run) -> dict[tuple[str, str], dict[str, Record]]:
    """The records without their costs in time."""
    return {key: {record.example_id: timeless(record) for record in records} for key, records in run.records.items()}


def timeless(record: Record) -> Record:
    return replace(record, seconds=0.0)


def crew(victim: str, *, stall: float = 600.0) -> Crew:
    benchmark = Benchmark(
        dataset="mr", victim=f"python:shared_victim:{victim}", attacks=("deepwordbug",), similarity="none"
    )
    return Crew(Opening(benchmark=benchmark, dataset=from_pairs(PAIRS), attacks=benchmark.attacks), 2, stall=stall)


def attacked(by: Crew | RayCrew) -> dict[str, Record]:
    examples = by.opening.dataset.examples  # type: ignore[union-attr]
    with by:
        return {
            r.example_id: timeless(r)
            for r in by.run("none", Member("deepwordbug", create("attack", "deepwordbug")), examples)
        }


def test_the_records_are_the_same_whatever_the_split(tmp_path: Path) -> None:
    alone = go(tmp_path, "alone")
    assert findings(go(tmp_path, "three", workers=3)) == findings(alone)
    mixed = go(tmp_path, "mixed")
    for path in (mixed.folder / "records").glob("*.jsonl"):
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:12]) + lines[12][:20])  # as if it was killed there
    assert findings(go(tmp_path, "mixed", workers=2)) == findings(alone)


def test_a_run_that_was_begun_alone_ends_the_same_on_a_cluster(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="no Ray for this Python")
    expected = findings(go(tmp_path, "begun"))
    for path in (tmp_path / "begun" / "records").glob("*.jsonl"):
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:12]))
    assert findings(go(tmp_path, "begun", workers=2, backend="ray")) == expected


def test_actors_of_ray_make_the_same_records(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="no Ray for this Python")
    by = RayCrew(crew("dies_once").opening, 2)
    assert attacked(by) == attacked(crew("predict"))
    assert by.restarts == 1
    with pytest.raises(UsageError, match="no_such"):
        attacked(RayCrew(crew("no_such").opening, 1))


def test_an_actor_that_hangs_on_a_cluster_is_replaced_and_takes_its_threads(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray", reason="no Ray for this Python")
    variables = {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    ray.init(include_dashboard=False, log_to_driver=False, logging_level="error", runtime_env={"env_vars": variables})
    try:
        by = RayCrew(replace(crew("hangs_once_and_tells").opening, threads=2), 2, stall=3.0)
        assert attacked(by) == attacked(crew("predict"))
    finally:
        ray.shutdown()
    assert by.restarts == 1
    assert (tmp_path / "threads").read_text() == "2"


@pytest.mark.parametrize(("victim", "stall"), [("dies_once", 600.0), ("hangs_once", 5.0)])
def test_a_lost_worker_is_replaced(victim: str, stall: float, tmp_path: Path) -> None:
    expected = attacked(crew("predict"))
    by = crew(victim, stall=stall)
    assert attacked(by) == expected
    assert by.restarts == 1
    assert (tmp_path / "mark").exists()


def test_a_worker_that_makes_its_victim_or_learns_first_is_not_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    command = "import shared_slow; shared_slow.slow_down(); from robustbench_nlp.workers import work; work({})"
    monkeypatch.setattr(workers, "_COMMAND", command)
    attack = importlib.import_module("shared_slow").Studious()
    opening = replace(crew("predict").opening, attacks=(attack,))
    with Crew(opening, 1, stall=1.5) as by:
        records = list(by.run("none", Member("studious", attack), from_pairs(PAIRS).examples))
    assert (len(records), by.restarts) == (len(PAIRS), 0)


def test_a_share_that_loses_every_worker_ends_the_run() -> None:
    with pytest.raises(UsageError, match=r"3 workers in a row died or hung on none × deepwordbug .*exit code 3"):
        attacked(crew("dies"))


def test_what_a_worker_cannot_open_is_told_in_one_line() -> None:
    with pytest.raises(UsageError, match="no_such"):
        attacked(crew("no_such"))


def test_a_worker_that_finds_another_data_set_says_so() -> None:
    unknown = Order("none", Member("deepwordbug", create("attack", "deepwordbug")), np.array([1], np.uint64))
    with pytest.raises(UsageError, match="another data set"):
        list(Bench(crew("predict").opening).attack(unknown))


def test_what_cannot_be_shared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="python:MODULE:CALLABLE"):
        go(tmp_path, "run", victim=KeywordVictim(), workers=2)
    with pytest.raises(UsageError, match="at least 1"):
        go(tmp_path, "run", workers=0)

    class Hidden:
        threat = create("attack", "deepwordbug").threat

        def run(self, sample: Sample, rng: Any) -> Steps:
            return None
            yield

    with pytest.raises(UsageError, match="can't be sent to other processes"):
        go(tmp_path, "run", attacks=[Hidden()], workers=2)


def test_shares_are_even_and_do_not_depend_on_other_examples() -> None:
    shares = [share_of(Example(fields={"text": str(i)}, label=0).id, 4) for i in range(4000)]
    assert max(abs(shares.count(share) - 1000) for share in range(4)) < 120


def test_shards_of_a_run_gather_into_the_whole(tmp_path: Path) -> None:
    alone = go(tmp_path, "alone")
    for shard in ("1/3", "3/3"):
        part = go(tmp_path, "sharded", shard=shard, victim="python:shared_victim:predict")
        assert 0 < part.table["n"][0] < len(PAIRS)
        assert part.folder == tmp_path / "sharded" / "shards" / shard.replace("/", "-of-")
    whole = go(tmp_path, "sharded")
    assert findings(whole) == findings(alone)
    assert whole.table.drop(columns="seconds").equals(alone.table.drop(columns="seconds"))


def test_a_cascade_in_shards_is_the_cascade(tmp_path: Path) -> None:
    how = {"attacks": ["random-typos", "deepwordbug"], "cascade": True}
    alone = go(tmp_path, "alone", **how)
    for shard in ("1/2", "2/2"):
        go(tmp_path, "sharded", shard=shard, **how)
    assert findings(go(tmp_path, "sharded", **how)) == findings(alone)


def test_shards_of_other_settings_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    go(tmp_path, "run", shard="1/2")
    for command in ("report", "verify", "figures"):
        assert main([command, str(tmp_path / "run")]) == 2
        assert "type its command without --shard to gather them" in capsys.readouterr().err
    with pytest.raises(UsageError, match="was recorded with another seed"):
        go(tmp_path, "run", seed=1)
    for wrong in ("0/2", "3/2", "2", "a/b"):
        with pytest.raises(UsageError, match="no shard"):
            go(tmp_path, "run", shard=wrong)
    with pytest.raises(UsageError, match="take fewer shards"):
        go(tmp_path, "run", shard="1/2000")
