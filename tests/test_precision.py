"""The precision that `auto` takes: the fastest where it gains, the run's own where it goes on, and named in the records."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import tiny_bert
import yaml

from robustbench_nlp.api import evaluate
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.precision import fastest
from robustbench_nlp.recorded import recorded_cells
from robustbench_nlp.records import read
from robustbench_nlp.stats import paired_difference
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


@pytest.mark.parametrize("seed", [0, 2])
def test_a_search_in_low_precision_gains_no_robustness(seed: int, tmp_path: Path) -> None:
    """It leaves the accuracy that a float32 search does, within their paired interval; float32 sees every success of it; and the table
    says what it claimed beyond that."""
    model = tiny_bert.save(tmp_path / "model", seed=seed)
    victim = HFVictim.from_folder(model, name="tiny")
    rng = Random(0)
    words = ["good", "bad", "film", "the", "ab", "on", "so", "dry", "fun", "odd", "joy", "sad", "plot", "it"]
    texts = [" ".join(rng.choices(words, k=6)) for _ in range(60)]
    pairs = list(zip(texts, victim.predict_full(texts).argmax(axis=1).tolist(), strict=True))
    how = {"victim": f"hf:{model}", "dataset": pairs, "attacks": ["deepwordbug"], "similarity": "none"}
    runs = [
        evaluate(**how, dtype=dtype, output=tmp_path / dtype)  # type: ignore[arg-type]
        for dtype in ("float32", "bfloat16")
    ]
    (full,), (low,) = (recorded_cells(run.folder) for run in runs)
    one, other = full.right(), low.right()
    interval = paired_difference([other[i] for i in one], [one[i] for i in one])
    assert interval.low <= 0 <= interval.high
    successes = [record for record in low.records.values() if record.outcome == "success"]
    assert successes
    seen = victim.predict_exact([record.adversarial for record in successes])  # type: ignore[misc]
    assert np.all(seen.argmax(axis=1) != [record.label for record in successes])
    rejected = sum(record.rejected_successes for record in low.records.values())
    told = f"Searches in bfloat16: the referee, in float32 and held to the threat, rejected {rejected} of {rejected + len(successes)} "
    assert told in (runs[1].folder / "table.md").read_text()
    assert "Searches in" not in (runs[0].folder / "table.md").read_text()
