"""The precision that `auto` takes: the fastest where it gains, the run's own where it goes on, and named in the records."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import tiny_bert
import yaml

from robustbench_nlp.api import evaluate
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.precision import fastest
from robustbench_nlp.records import read
from robustbench_nlp.victims.hf import HFVictim

PAIRS = [(f"the {word} film {i}", i % 2) for i, word in enumerate(["good", "bad"] * 4)]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_bert.save(tmp_path / "model")


def slowed(monkeypatch: pytest.MonkeyPatch, seconds: dict[str, float]) -> None:
    """Predictions in each precision take so long more."""
    plain = HFVictim.predict

    def predict(self: HFVictim, inputs: Any, draw: int = 0) -> Any:
        time.sleep(seconds[self.options.dtype])
        return plain(self, inputs, draw)

    monkeypatch.setattr(HFVictim, "predict", predict)


def precision(folder: Path) -> Any:
    """The one that a run's settings name."""
    return yaml.safe_load((folder / "run.yaml").read_text())["dtype"]


@pytest.mark.parametrize(
    ("seconds", "best"),
    [
        ({"float32": 0.3, "bfloat16": 0.0, "float16": 0.3}, "bfloat16"),
        ({"float32": 0.0, "bfloat16": 0.2, "float16": 0.2}, "float32"),
    ],
)
def test_the_fastest_is_taken(
    seconds: dict[str, float], best: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slowed(monkeypatch, seconds)
    assert fastest(HFVictim.from_folder(model, name="tiny")) == best


def test_a_victim_of_one_precision_keeps_it() -> None:
    assert fastest(KeywordVictim()) == "float32"


def test_a_run_names_its_precision_and_keeps_it(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    how = {"victim": f"hf:{model}", "dataset": PAIRS, "attacks": ["deepwordbug"], "similarity": "none", "dtype": "auto"}
    with monkeypatch.context() as patch:
        slowed(patch, {"float32": 0.2, "bfloat16": 0.0, "float16": 0.2})
        run = evaluate(**how, output=tmp_path / "run")  # type: ignore[arg-type]
    assert precision(run.folder) == "bfloat16"
    (path,) = (run.folder / "records").glob("*.jsonl")
    cell = read(path)
    assert cell is not None
    assert cell.header["spec"]["dtype"] == "bfloat16"
    with monkeypatch.context() as patch:
        slowed(patch, {"float32": 0.0, "bfloat16": 0.1, "float16": 0.1})
        again = evaluate(**how, output=tmp_path / "run")  # type: ignore[arg-type]
    assert again.table.equals(run.table)


def test_shards_keep_to_one_precision(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shard that goes on, another one beside it and the run that gathers them search as the first of them began."""
    how = {"victim": f"hf:{model}", "dataset": PAIRS, "attacks": ["deepwordbug"], "similarity": "none", "dtype": "auto"}
    how["output"] = tmp_path / "run"
    with monkeypatch.context() as patch:
        slowed(patch, {"float32": 0.2, "bfloat16": 0.0, "float16": 0.2})
        first = evaluate(**how, shard="1/2")  # type: ignore[arg-type]
    with monkeypatch.context() as patch:
        slowed(patch, {"float32": 0.0, "bfloat16": 0.1, "float16": 0.1})
        assert evaluate(**how, shard="1/2").table.equals(first.table)  # type: ignore[arg-type]
        second = evaluate(**how, shard="2/2")  # type: ignore[arg-type]
        whole = evaluate(**how)  # type: ignore[arg-type]
    assert {precision(run.folder) for run in (first, second, whole)} == {"bfloat16"}
    assert whole.table["n"].item() == first.table["n"].item() + second.table["n"].item()


def test_a_run_that_starts_anew_is_measured_anew(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    how = {"victim": f"hf:{model}", "dataset": PAIRS, "attacks": ["deepwordbug"], "similarity": "none"}
    evaluate(**how, dtype="bfloat16", output=tmp_path / "run")  # type: ignore[arg-type]
    slowed(monkeypatch, {"float32": 0.0, "bfloat16": 0.1, "float16": 0.1})
    run = evaluate(**how, dtype="auto", output=tmp_path / "run", resume=False)  # type: ignore[arg-type]
    assert precision(run.folder) == "float32"
