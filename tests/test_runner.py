"""The whole run: folders, resuming after a real kill, worst cases, invariants, bad input."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from robustbench_nlp.api import Run, evaluate
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.grid import grid_of
from robustbench_nlp.records import RecordFile, read

ADJECTIVES = ["good", "fine", "great", "bad", "awful", "dull"]
PAIRS = [
    (f"the {word} film number {i} was made for the cinema", int(i % 6 < 3 or i % 11 == 0))
    for i, word in enumerate(ADJECTIVES * 8)
]
VICTIM = KeywordVictim(keywords=(("bad", "awful", "dull", "cinema"), ("good", "great", "fine", "made")))
COSTS = ["seconds"]

SLOW_VICTIM = """
import time
from robustbench_nlp.fakes import KeywordVictim
inner = KeywordVictim(keywords=(("bad", "cinema"), ("good", "made")))
def predict(texts):
    time.sleep(0.01)
    return inner.predict(texts)
"""
SLOW_RUN = """
import sys
sys.path.insert(0, {folder!r})
import slow_victim
from robustbench_nlp.api import evaluate
pairs = [("the %s film number %d was made for the cinema" % (w, i), i % 2) for i, w in enumerate(["bad", "good"] * 100)]
evaluate(victim="python:slow_victim:predict", dataset=pairs, attacks=["deepwordbug", "pwws", "worst-case"], similarity="none", output={output!r})
"""


def go(tmp_path: Path, **kwargs: Any) -> Run:
    values: dict[str, Any] = {
        "victim": VICTIM,
        "dataset": PAIRS,
        "attacks": ["deepwordbug", "pwws", "worst-case"],
        "similarity": "none",
    }
    return evaluate(**(values | {"output": tmp_path / "run"} | kwargs))


def rows(run: Run) -> pd.DataFrame:
    return run.table.set_index(["defense", "attack"])


def test_run_folder(tmp_path: Path) -> None:
    run = go(tmp_path)
    assert {path.name for path in run.folder.iterdir()} == {
        "run.yaml",
        ".lock",
        "manifest.json",
        "records",
        "table.csv",
        "table.md",
    }
    assert yaml.safe_load((run.folder / "run.yaml").read_text())["attacks"] == ["deepwordbug", "pwws", "worst-case"]
    manifest = json.loads((run.folder / "manifest.json").read_text())
    assert [cell["attack"] for cell in manifest["cells"]] == ["deepwordbug", "pwws"]
    assert manifest["environment"]["packages"]["torch"]
    csv = pd.read_csv(run.folder / "table.csv")
    assert list(csv["attack"]) == ["deepwordbug", "pwws", "worst_case:deepwordbug+pwws"]
    assert set(run.records) == {("none", "deepwordbug"), ("none", "pwws")}
    assert run.complete


def test_invariants(tmp_path: Path) -> None:
    run = go(tmp_path, defenses=["none"], attacks=["random-typos", "deepwordbug", "pwws", "worst-case"])
    for _, row in run.table.iterrows():
        assert row["skipped"] + row["attempted"] + row["errors"] == row["n"] == len(PAIRS)
        assert row["robust_accuracy"] == pytest.approx(row["clean_accuracy"] * (1 - row["attack_success_rate"]))
        assert row["robust_low"] <= row["robust_accuracy"] <= row["robust_high"]
    members = run.table[~run.table["attack"].str.startswith("worst_case")]
    worst = run.table[run.table["attack"].str.startswith("worst_case")].iloc[0]
    assert worst["robust_accuracy"] <= members["robust_accuracy"].min()
    assert members["successes"].sum() > 0


def test_cascade_agrees_with_the_view_over_full_members(tmp_path: Path) -> None:
    full = rows(go(tmp_path))
    cascade_run = go(tmp_path, cascade=True, output=tmp_path / "cascade")
    cascade = rows(cascade_run)
    name = ("none", "worst_case:deepwordbug+pwws")
    assert cascade.loc[name, "robust_accuracy"] == full.loc[name, "robust_accuracy"]
    assert cascade.loc[name, "mode"] == "cascade"
    records = cascade_run.records["none", "pwws"]
    settled = [record for record in records if record.outcome == "settled"]
    assert settled
    assert all(record.winner == "deepwordbug" and record.queries == 0 for record in settled)
    alone = rows(go(tmp_path, attacks=["worst-case:deepwordbug+pwws"], output=tmp_path / "alone"))
    assert alone.loc[name, "robust_accuracy"] == full.loc[name, "robust_accuracy"]


def test_a_finished_run_is_read_not_repeated(tmp_path: Path) -> None:
    first = go(tmp_path)

    class Gone(KeywordVictim):
        def predict(self, inputs: Any, draw: int = 0) -> Any:
            raise AssertionError("asked again")

    again = go(tmp_path, victim=Gone(keywords=VICTIM.keywords))
    pd.testing.assert_frame_equal(first.table, again.table)


def test_another_benchmark_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    go(tmp_path)
    with pytest.raises(UsageError, match="another seed; choose another --output"):
        go(tmp_path, seed=1)
    fresh = go(tmp_path, seed=1, resume=False)
    assert set(fresh.table["seed"]) == {1}
    assert list((fresh.folder / "records").glob("*.old1"))


def test_run_yaml_reproduces_the_run(tmp_path: Path) -> None:
    first = go(tmp_path, victim="tfidf-mr", dataset="mr", attacks=["pruthi"], limit=20)
    settings = yaml.safe_load((first.folder / "run.yaml").read_text())
    again = evaluate(**settings, output=tmp_path / "again")
    pd.testing.assert_frame_equal(first.table.drop(columns=COSTS), again.table.drop(columns=COSTS))
    assert (first.folder / "run.yaml").read_text() == (again.folder / "run.yaml").read_text()


def test_run_yaml_says_what_it_lacks(tmp_path: Path) -> None:
    evaluate(victim=KeywordVictim(), dataset=[("a good film", 1)], attacks=["pruthi"], output=tmp_path / "run")
    first = (tmp_path / "run" / "run.yaml").read_text().partition("\n")[0]
    assert first == "# Not complete without these Python objects: victim keywords, dataset pairs"


def test_records_under_another_label_map_are_refused(tmp_path: Path) -> None:
    data = [("a good film", "up"), ("a bad film", "down")]
    call = {"victim": KeywordVictim(), "dataset": data, "attacks": ["pruthi"], "output": tmp_path}
    evaluate(**call, label_map={"positive": "up", "negative": "down"})
    with pytest.raises(UsageError, match="another labels"):
        evaluate(**call, label_map={"positive": "down", "negative": "up"})


def test_limits_are_nested(tmp_path: Path) -> None:
    small = go(tmp_path, limit=10, attacks=["deepwordbug"])
    large = go(tmp_path, limit=20, attacks=["deepwordbug"], output=tmp_path / "large")
    ids = {record.example_id: record.outcome for record in large.records["none", "deepwordbug"]}
    assert all(ids[record.example_id] == record.outcome for record in small.records["none", "deepwordbug"])


def test_identity_defense_is_no_defense(tmp_path: Path) -> None:
    plain = rows(go(tmp_path, defenses=["none"]))
    double = rows(go(tmp_path, defenses=["none+none"], output=tmp_path / "double"))
    for attack in ("deepwordbug", "pwws"):
        assert plain.loc[("none", attack), "robust_accuracy"] == double.loc[("none+none", attack), "robust_accuracy"]


@pytest.mark.parametrize("records", [1, 120, 230])
def test_a_killed_run_resumes_to_the_same_table(tmp_path: Path, records: int) -> None:
    (tmp_path / "slow_victim.py").write_text(SLOW_VICTIM)

    def start(output: str) -> subprocess.Popen[bytes]:
        code = SLOW_RUN.format(folder=str(tmp_path), output=str(tmp_path / output))
        return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)

    def count(output: str) -> int:
        return sum(path.read_bytes().count(b"\n") - 1 for path in (tmp_path / output / "records").glob("*.jsonl"))

    killed = start(f"killed{records}")
    deadline = time.monotonic() + 120
    while count(f"killed{records}") < records and killed.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    assert killed.poll() is None, killed.stderr and killed.stderr.read()
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    kept = count(f"killed{records}")
    assert records <= kept < 400
    for output in (f"killed{records}", "whole"):
        process = start(output)
        assert (process.communicate(timeout=300)[1], process.returncode) == (b"", 0)
    tables = [
        pd.read_csv(tmp_path / output / "table.csv").drop(columns=COSTS) for output in (f"killed{records}", "whole")
    ]
    pd.testing.assert_frame_equal(*tables)
    for path in (tmp_path / "whole" / "records").glob("*.jsonl"):
        whole, resumed = read(path), read(tmp_path / f"killed{records}" / "records" / path.name)
        assert whole is not None
        assert resumed is not None
        assert whole.records.keys() == resumed.records.keys()
        for name, record in whole.records.items():
            other = resumed.records[name]
            assert (record.outcome, record.adversarial, record.queries, record.margin) == (
                other.outcome,
                other.adversarial,
                other.queries,
                other.margin,
            )


class Flaky:
    """Fails on some texts until it is mended."""

    name, label_names, random, fingerprint = "flaky", ("0", "1"), False, "flaky"
    broken = True

    def predict(self, inputs: Any, draw: int = 0) -> Any:
        if self.broken and any("number 7 " in text for text in inputs):
            raise ConnectionError("try later")
        return VICTIM.predict(inputs)


def test_errors_mark_the_row_and_resuming_retries_them(tmp_path: Path) -> None:
    victim = Flaky()
    run = go(tmp_path, victim=victim, attacks=["deepwordbug"])
    assert not run.complete
    assert rows(run).loc[("none", "deepwordbug"), "errors"] == 1
    victim.broken = False
    mended = go(tmp_path, victim=victim, attacks=["deepwordbug"])
    assert mended.complete
    whole = go(tmp_path, attacks=["deepwordbug"], output=tmp_path / "whole")
    assert mended.table["robust_accuracy"].tolist() == whole.table["robust_accuracy"].tolist()


def test_a_victim_that_always_fails_stops_the_run_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"first 20 examples failed: .*softmax"):
        go(tmp_path, victim=lambda texts: np.array([[2.0, -1.0]] * len(texts)))


def test_a_full_disk_keeps_what_was_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = 0
    append = RecordFile.append

    def full(self: RecordFile, record: Any) -> None:
        nonlocal written
        if written == 10:
            self._file.write(b'{"torn')
            self._file.flush()
            raise OSError(errno.ENOSPC, "No space left on device")
        written += 1
        append(self, record)

    monkeypatch.setattr(RecordFile, "append", full)
    with pytest.raises(OSError, match="No space"):
        go(tmp_path)
    monkeypatch.undo()
    found = read(tmp_path / "run" / "records" / "none__deepwordbug.jsonl")
    assert found is not None
    assert len(found.records) == 10
    resumed = go(tmp_path)
    whole = go(tmp_path, output=tmp_path / "whole")
    pd.testing.assert_frame_equal(resumed.table.drop(columns=COSTS), whole.table.drop(columns=COSTS))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"attacks": ["deepwordbgu"]}, "did you mean 'deepwordbug'"),
        ({"defenses": ["spel"]}, "did you mean 'spell'"),
        ({"victim": "tfidf"}, "did you mean 'tfidf_mr'"),
        ({"dataset": "mrr"}, "did you mean 'mr'"),
        ({"attacks": ["pwws(varian='paper')"]}, "did you mean 'variant'"),
        ({"attacks": ["pwws", "pwws"]}, "named twice"),
        ({"attacks": ["random_typos(share='x')"]}, "share: float"),
        ({"attacks": ["pwws(threat='x')"]}, "is no mapping"),
        ({"attacks": [print]}, "is no attack"),
        ({"attacks": []}, "no attacks"),
        ({"limit": 0}, "limit is 0"),
        ({"batch_size": "many"}, "batch-size"),
        ({"dtype": "int4"}, "no dtype 'int4'"),
        ({"attacks": ["pwws:foo"]}, "pwws takes no argument"),
        ({"defenses": ["none", "none"]}, "named twice"),
        ({"seed": "x"}, "seed is 'x'"),
        ({"dataset": []}, "no dataset|no rows|empty|at least one"),
    ],
)
def test_bad_use_is_told_in_one_line(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        go(tmp_path, **values)
    assert "\n" not in str(caught.value)


def test_odd_texts_are_recorded_like_any_other(tmp_path: Path) -> None:
    odd = ["", "🙂🙂", "سلام good فيلم", "good\x00fine", "\ud800 good", "good " * 10_000]
    run = go(tmp_path, dataset=[(text, 1) for text in odd], attacks=["random-typos", "deepwordbug"], max_queries=200)
    assert set(run.table["n"]) == {len(odd)}
    assert set(run.table["errors"]) == {0}


class Model:
    """An object with a method, as a pipeline has one."""

    def __init__(self, flip: bool) -> None:
        self.flip = flip

    def predict_proba(self, texts: list[str]) -> Any:
        outputs = VICTIM.predict(texts)
        return outputs[:, ::-1] if self.flip else outputs


def test_two_objects_of_one_class_are_two_victims(tmp_path: Path) -> None:
    go(tmp_path, victim=Model(False).predict_proba, attacks=["random-typos"])
    again = go(tmp_path, victim=Model(False).predict_proba, attacks=["random-typos"])
    assert len(again.table) == 1
    with pytest.raises(UsageError, match="another victim"):
        go(tmp_path, victim=Model(True).predict_proba, attacks=["random-typos"])


def test_a_lambda_numpy_labels_and_no_folder_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pairs = list(zip([text for text, _ in PAIRS], np.array([label for _, label in PAIRS]), strict=True))
    run = go(
        tmp_path, victim=lambda texts: VICTIM.predict(list(texts)), dataset=pairs, output=None, attacks=["random-typos"]
    )
    assert run.folder.parent.name == "runs"
    assert run.table["n"][0] == len(PAIRS)


def test_equal_worst_cases_stand_once(tmp_path: Path) -> None:
    run = go(tmp_path, attacks=["random-typos", "worst-case", "worst-case:random-typos+random_typos"])
    assert list(run.table["attack"]) == ["random_typos", "worst_case:random_typos"]


def test_a_published_ensemble_is_a_cascade_with_its_own_budgets(tmp_path: Path) -> None:
    table = rows(go(tmp_path, attacks=["worst-case:fast-1"]))
    names = [attack for defense, attack in table.index if defense == "none"]
    assert names == ["fast-1/random_typos", "fast-1/deepwordbug", "fast-1/pwws", "worst_case:fast-1"]
    assert table.loc[("none", "worst_case:fast-1"), "mode"] == "cascade"
    assert table.loc[("none", "fast-1/pwws"), "max_queries"] == 300
    with pytest.raises(UsageError, match="fixes its members' budgets"):
        go(tmp_path, attacks=["worst-case:fast-1"], max_queries=50)


def test_warnings_stand_below_the_table(tmp_path: Path) -> None:
    class Moody(KeywordVictim):
        """Says that it is not random."""

        def predict(self, inputs: Any, draw: int = 0) -> Any:
            moods.append(0.01 * len(moods) % 0.1)
            answer = super().predict(inputs) + np.array([moods[-1], 0.0])
            return answer / answer.sum(axis=1, keepdims=True)

    moods: list[float] = []
    run = go(tmp_path, victim=Moody(), attacks=["pruthi"])
    assert any(flag.startswith("nondeterministic_victim: ") for flag in run.table.attrs["flags"])
    assert "Warning: nondeterministic" in (run.folder / "table.md").read_text().replace("\\", "")


@pytest.mark.parametrize(("draws", "named"), [(19, ["few_draws", "no_attack"]), (20, ["no_attack"])])
def test_few_draws_of_a_random_victim_are_told_and_a_budget_is_each_draws(
    tmp_path: Path, draws: int, named: list[str]
) -> None:
    run = go(tmp_path, victim=replace(VICTIM, random=True), attacks=["pruthi"], max_queries=1, draws=draws)
    told = {flag.partition(":")[0] for flag in run.table.attrs["flags"]}
    assert sorted(told & {"few_draws", "no_attack"}) == named
    assert ("the mean of 19 draws" in (run.folder / "table.md").read_text()) is (draws == 19)
    assert run.table["robust_accuracy"].tolist() == run.table["clean_accuracy"].tolist()


def test_worst_cases_that_share_a_run_see_every_member_in_full(tmp_path: Path) -> None:
    both = rows(go(tmp_path, attacks=["worst-case:deepwordbug", "worst-case:pwws"]))
    for attack in ("deepwordbug", "pwws"):
        worst, member = both.loc[("none", f"worst_case:{attack}")], both.loc[("none", attack)]
        assert worst["robust_accuracy"] == member["robust_accuracy"]
        assert member["mode"] == "adaptive"


def test_a_plain_worst_case_is_over_what_is_named_wherever_it_stands() -> None:
    for attacks in (["pwws", "worst-case", "worst-case:fast-1"], ["worst-case:fast-1", "worst-case", "pwws"]):
        assert grid_of(attacks, cascade=False).worst_cases["pwws"] == ("pwws",)


@pytest.mark.parametrize(
    ("attacks", "message"),
    [
        (["worst-case:standard-9"], "no attack or ensemble 'standard_9'"),
        (["worst-case:fast-1+pruthi"], "stands alone"),
        (["worst-case(x=1):fast-1"], "takes no settings"),
        (["nlpaug"], "write nlpaug:"),
        (["hotflip"], "attack an hf: victim"),
    ],
)
def test_worst_cases_and_attacks_that_cannot_be_run(tmp_path: Path, attacks: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        go(tmp_path, attacks=attacks)


def test_a_cascade_has_one_worst_case(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a cascade has one worst case"):
        go(tmp_path, attacks=["pruthi", "worst-case:deepwordbug"], cascade=True)


def test_a_defense_that_cannot_work_is_told_before_anything_is_attacked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="freelb trains the victim's weights, and keywords has none"):
        go(tmp_path, defenses=["none", "freelb"])
    assert not (tmp_path / "run" / "records").exists()
