"""Hugging Face's model-index, read by the hub's own library."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml
from boards import made

from robustbench_nlp.cli import main
from robustbench_nlp.leaderboard.entry import read_entry
from robustbench_nlp.leaderboard.submission import submit

pytestmark = pytest.mark.usefixtures("there")


def metrics(path: Path) -> dict[tuple[str, str], float]:
    """Every value by model and metric, after the hub's library has read each model as a card and written it again."""
    from huggingface_hub import ModelCard, ModelCardData
    from huggingface_hub.repocard_data import model_index_to_eval_results

    found: dict[tuple[str, str], float] = {}
    for model in yaml.safe_load(path.read_text("utf-8"))["model-index"]:
        name, results = model_index_to_eval_results([model])
        card = ModelCard(f"---\n{ModelCardData(model_name=name, eval_results=results).to_yaml()}\n---\nText.\n")
        assert card.data.model_name == model["name"]
        for result in card.data.eval_results:
            assert (result.task_type, result.metric_type) == ("text-classification", "accuracy")
            assert result.metric_args["low"] <= result.metric_value <= result.metric_args["high"]
            assert result.metric_args["n"] > 0
            found[name, result.metric_name] = result.metric_value
    return found


def test_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = made(
        tmp_path / "run",
        attacks=["pwws", "input-reduction", "worst-case:fast-1"],
        defenses=["none", "unicode-normalize"],
    )
    assert main(["report", str(run), "--formats", "model-index"]) == 0
    path = Path(capsys.readouterr().out.strip())
    found = metrics(path)
    table = pd.read_csv(run / "table.csv").set_index(["defense", "attack"])
    assert found["keywords", "accuracy under pwws"] == round(table.loc[("none", "pwws"), "robust_accuracy"], 6)
    worst = table.loc[("unicode_normalize", "worst_case:fast-1")]
    assert found["keywords + unicode_normalize", "accuracy under the worst case fast-1"] == round(
        worst["robust_accuracy"], 6
    )
    assert found["keywords", "clean accuracy"] == worst["clean_accuracy"]
    assert not any("reduction" in name for _, name in found)


def test_a_cascade_says_nothing_of_its_members(board_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(board_run), "--formats", "model-index"]) == 0
    found = metrics(Path(capsys.readouterr().out.strip()))
    assert {name for model, name in found if model == "keywords"} == {
        "clean accuracy",
        "accuracy under the worst case fast-1",
    }


def test_a_leaderboard(board_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = submit(board_run, to=tmp_path, links=["https://example.org/paper"])
    assert main(["report", "--leaderboard", str(tmp_path), "--formats", "model-index"]) == 0
    path = Path(capsys.readouterr().out.strip())
    found = metrics(path)
    for entry in map(read_entry, paths):
        name = "keywords" if entry.defense["name"] == "none" else "keywords + unicode_normalize"
        assert found[name, "accuracy under the worst case fast-1"] == round(entry.measured["robust_accuracy"], 6)
    assert "url: https://example.org/paper" in path.read_text("utf-8")
    for model, entry in zip(
        yaml.safe_load(path.read_text("utf-8"))["model-index"], map(read_entry, paths), strict=True
    ):
        clean, robust = model["results"][0]["metrics"]
        assert [line.partition(": ")[0] for line in robust["args"]["flags"]] == list(entry.flags)
        assert "flags" not in clean["args"]
