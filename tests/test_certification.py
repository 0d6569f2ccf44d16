"""`certify`: records that survive an interruption, certified accuracy by radius, and the command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from robustbench_nlp.certificates import Certificate, Sampling
from robustbench_nlp.certification import CertificateRecord, Certification, certify, record_of
from robustbench_nlp.cli import main
from robustbench_nlp.data.example import Dataset, Example, Input
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.records import read_as
from robustbench_nlp.report.certified import COLUMNS, rows

TEXTS = [
    ("good great fine good great fine good", 1),
    ("bad awful dull bad awful dull bad awful", 0),
    ("a good film", 1),
    ("bad bad bad great", 1),
    ("one film or another", 1),
    ("", 0),
]
DATA = Dataset(
    name="toy",
    split="test",
    examples=tuple(Example(fields={"text": text}, label=label) for text, label in TEXTS),
    label_names=("negative", "positive"),
)
DEFENSES = ["ranmask(train=False,rate=0.7)", "random-deletion(train=False,rate=0.7)"]


def go(folder: Path, **other: Any) -> Certification:
    settings: dict[str, Any] = {"victim": KeywordVictim(), "dataset": DATA, "defenses": DEFENSES, "n": 200, "n0": 20}
    return certify(**{**settings, "output": folder, **other})


def timeless(records: Sequence[CertificateRecord]) -> list[Any]:
    return [(r.example_id, r.prediction, r.radius, r.low, r.votes, r.error) for r in records]


def test_a_table_and_records_and_a_resumed_run_is_the_same_run(tmp_path: Path) -> None:
    done = go(tmp_path / "one")
    assert tuple(done.table.columns) == COLUMNS
    assert list(done.records) == ["ranmask(train=False,rate=0.7)", "random_deletion(train=False,rate=0.7)"]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "one" / "table.csv"), done.table, check_dtype=False)
    for defense, part in done.table.groupby("defense"):
        assert part["certified_accuracy"].is_monotonic_decreasing
        assert (part["certified_low"] <= part["certified_accuracy"]).all()
        assert part["certified_accuracy"].iloc[-1] == 0
        assert (part["certified_accuracy"] <= part["clean_accuracy"]).all()
        assert part["certified_accuracy"].iloc[0] == np.mean([r.right_up_to >= 0 for r in done.records[defense]])
    files = sorted((tmp_path / "one" / "records").iterdir())
    kept = files[0].read_bytes()
    files[0].write_bytes(kept[: len(kept) * 2 // 3])
    again = go(tmp_path / "one")
    assert [timeless(rows) for rows in again.records.values()] == [timeless(rows) for rows in done.records.values()]
    half = go(tmp_path / "half", limit=3)
    for defense, some in half.records.items():
        assert timeless(some) == timeless(done.records[defense][:3])
    with pytest.raises(UsageError, match="another sampling"):
        go(tmp_path / "one", alpha=0.05)


def test_records_are_read_as_they_were_written(tmp_path: Path) -> None:
    pair = Example(fields={"premise": "good great film", "hypothesis": "a fine\ud800 one"}, label=1)
    data = Dataset(
        name="pairs", split="test", examples=(pair,), label_names=DATA.label_names, fields=("premise", "hypothesis")
    )
    done = go(tmp_path, dataset=data, defenses=DEFENSES[:1])
    (path,) = (tmp_path / "records").iterdir()
    found = read_as(path, record_of)
    assert found is not None
    assert list(found.records.values()) == done.records[DEFENSES[0]]
    assert found.header["edits"] == "words replaced in place"
    assert found.header["label_names"] == ["negative", "positive"]


def test_abstentions_and_errors_are_wrong() -> None:
    shared = {"original": "", "label": 1}
    records = [
        CertificateRecord(example_id="a", prediction=1, majority=1, radius=2, votes=(1, 99), **shared),  # type: ignore[arg-type]
        CertificateRecord(example_id="b", prediction=None, majority=1, **shared),  # type: ignore[arg-type]
        CertificateRecord(example_id="c", prediction=0, majority=0, radius=3, **shared),  # type: ignore[arg-type]
        CertificateRecord(example_id="d", error="ValueError: broken", **shared),  # type: ignore[arg-type]
    ]
    header = {"n": 100, "defense": "d"}
    made = rows(header, records)
    assert [(row["radius"], row["certified_accuracy"]) for row in made] == [(0, 0.25), (1, 0.25), (2, 0.25), (3, 0)]
    assert (made[0]["n"], made[0]["draws"], made[0]["errors"], made[0]["abstained"]) == (4, 100, 1, 1)
    assert made[0]["clean_accuracy"] == 0.5
    assert len(rows(header, [])) == 1


def test_an_example_that_breaks_the_victim_is_an_error_and_asked_again(tmp_path: Path) -> None:
    class Broken(KeywordVictim):
        def predict(self, inputs: Sequence[Input], draw: int = 0) -> Any:
            if any("another" in item for item in inputs):
                raise ValueError("no more")
            return super().predict(inputs, draw)

    broken = go(tmp_path, victim=Broken(), defenses=DEFENSES[:1])
    assert not broken.complete
    assert sum(r.error == "ValueError: no more" for r in broken.records[DEFENSES[0]]) == 1
    mended = go(tmp_path, defenses=DEFENSES[:1])
    assert mended.complete


def test_any_victim_that_certifies_is_certified(tmp_path: Path) -> None:
    """An exact certificate needs no draws; a defense of one's own needs nothing but the two methods."""

    class Exact(KeywordVictim):
        certified_edits = "none"

        def certify(self, item: Input, sampling: Sampling = Sampling()) -> Certificate:  # noqa: B008
            return Certificate(int(self.predict([item])[0].argmax()), 1)

        def edits(self, original: Input, changed: Input) -> int | None:
            return None

    done = go(tmp_path, victim=Exact(), defenses=["none"])
    assert done.table["certified_accuracy"].tolist() == [4 / 6, 4 / 6, 0]
    assert done.table["clean_accuracy"].tolist() == [4 / 6] * 3


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"defenses": ["none"]}, "none certifies nothing here"),
        ({"defenses": ["unicode-normalize+ranmask(train=False)"]}, "outermost"),
        ({"defenses": []}, "such as ranmask"),
        ({"limit": 0}, "limit is 0"),
        ({"alpha": 0.0}, "alpha is 0.0"),
        ({"n": 0}, "n is 0"),
    ],
)
def test_bad_use_is_told_in_one_line(tmp_path: Path, other: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        go(tmp_path, **other)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.rglob("*.jsonl"))


def test_the_command_prints_writes_and_runs_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "counts_keywords.py").write_text(
        "from robustbench_nlp.fakes import KeywordVictim\nvictim = KeywordVictim()\n", "utf-8"
    )
    data = tmp_path / "data.jsonl"
    lines = [
        {"text": f"{word} {word} film {number}", "label": label}
        for number, (word, label) in enumerate([("good", "positive"), ("bad", "negative")] * 2)
    ]
    data.write_text("\n".join(map(json.dumps, lines)), "utf-8")
    given = ["certify", "--victim", "python:counts_keywords:victim", "--dataset", f"jsonl:{data}"]
    options = ["--n", "100", "--n0", "10", "--output", str(tmp_path / "run")]
    assert main([*given, "--defenses", DEFENSES[0], *options]) == 0
    shown = capsys.readouterr().out
    assert "radius 1 %" in shown
    assert "Clopper-Pearson" in shown
    assert (tmp_path / "run" / "table.md").read_text("utf-8").startswith("| defense |")
    before = (tmp_path / "run" / "table.csv").read_bytes()
    assert main(["certify", str(tmp_path / "run" / "run.yaml"), "--output", str(tmp_path / "run")]) == 0
    assert (tmp_path / "run" / "table.csv").read_bytes() == before
    assert main([*given, "--defenses", "unicode-normalize"]) == 2
    assert "certifies nothing here" in capsys.readouterr().err
