"""Experiment trackers: what a run tells them, and what their own readers find afterwards."""

from __future__ import annotations

import re
import sys
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from texts import complaint

from robustbench_nlp.api import evaluate
from robustbench_nlp.cli import main
from robustbench_nlp.curves import accuracy_by_queries
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.recorded import recorded_cells
from robustbench_nlp.tracking import Told, told, tracker

PAIRS = [(f"{words} number {i}", 1) for i in range(5) for words in ("a good and great but dull film", "a fine film")]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return evaluate(
        victim=KeywordVictim(name="<b>victim</b>"),
        dataset=PAIRS,
        attacks=["deepwordbug", "random_typos", "worst_case"],
        similarity="none",
        output=tmp_path_factory.mktemp("run"),
    ).folder


def test_a_run_tells_its_settings_rates_curves_and_files(run: Path) -> None:
    found = told(run)
    table = pd.read_csv(run / "table.csv").set_index("attack")
    for attack in ("deepwordbug", "random_typos"):
        assert found.metrics[f"robust_accuracy/none/{attack}"] == table.loc[attack, "robust_accuracy"]
    assert found.metrics["robust_accuracy/none/worst_case"] <= table["robust_accuracy"].min()
    assert found.metrics["constant_answer/pairs"] == 1.0
    assert found.settings["seed"] == "0"
    assert found.settings["attacks"] == "deepwordbug, random_typos, worst_case"
    cell = next(cell for cell in recorded_cells(run) if cell.name[1] == "deepwordbug")
    assert found.curves["accuracy_by_queries/none/deepwordbug"] == accuracy_by_queries(cell.records.values())
    assert [path.name for path in found.files] == ["run.yaml", "manifest.json", "table.csv", "table.md"]


def test_tensorboards_own_reader_finds_the_numbers(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorboard")
    assert main(["log", str(run), "--to", f"tensorboard:{tmp_path}"]) == 0
    assert capsys.readouterr().out == f"tensorboard --logdir {tmp_path}\n"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the reader's own
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        reader: Any = EventAccumulator(str(tmp_path / run.name))
        reader.Reload()
    found = told(run)
    assert set(reader.Tags()["scalars"]) == {*found.metrics, *found.curves}
    for name, value in found.metrics.items():
        assert [event.value for event in reader.Scalars(name)] == pytest.approx([value])
    for name, points in found.curves.items():
        assert [event.step for event in reader.Scalars(name)] == [step for step, _ in points]
        assert [event.value for event in reader.Scalars(name)] == pytest.approx([share for _, share in points])
    assert set(reader.Tags()["tensors"]) == {"table/text_summary", "settings/text_summary"}
    assert main(["log", str(run), "--to", f"tensorboard:{tmp_path}"]) == 2
    assert "holds a log already" in capsys.readouterr().err


def test_mlflow_has_the_run(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = (tmp_path / "store").as_uri()
    seen = tracker(f"mlflow:{uri}").log(told(run))
    client = mlflow.MlflowClient(tracking_uri=uri)
    logged = client.get_run(seen.split()[1])
    found = told(run)
    assert {name: logged.data.metrics[name] for name in found.metrics} == pytest.approx(dict(found.metrics))
    assert logged.data.params == found.settings
    for name, points in found.curves.items():
        history = {metric.step: metric.value for metric in client.get_metric_history(logged.info.run_id, name)}
        assert history == pytest.approx(dict(points))
    assert {artifact.path for artifact in client.list_artifacts(logged.info.run_id)} == {
        path.name for path in found.files
    }
    assert logged.info.status == "FINISHED"


def test_the_tracker_of_the_documentation_works(run: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "reports.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    space: dict[str, Any] = {}
    exec(code, space)
    assert space["Printed"]("here").log(told(run)).startswith("here: {'robust_accuracy/none/deepwordbug': ")


def test_what_is_missing_or_unknown_is_told_in_a_line(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "known: mlflow, tensorboard" in complaint(lambda: tracker("wandb:here"))
    assert "write mlflow:WHERE" in complaint(lambda: tracker("mlflow"))
    nothing = Told(name="x", settings={}, metrics={}, curves={}, table="", files=[])
    for name, module in (("tensorboard", "torch.utils.tensorboard"), ("mlflow", "mlflow")):
        monkeypatch.setitem(sys.modules, module, None)
        assert f"robustbench-nlp[{name}]" in complaint(lambda name=name: tracker(f"{name}:x").log(nothing))
