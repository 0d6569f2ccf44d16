"""No defense learns from a text that is attacked, whatever the training split holds; who named such a split is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from robustbench_nlp.api import Run, evaluate
from robustbench_nlp.certification import certify
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.records import read

TEXTS = [f"a {word} film number {number}" for number in range(4) for word in ("good", "bad", "fine", "dull")]
ATTACKED, OTHERS = TEXTS[:6], TEXTS[6:]


def file_of(folder: Path, texts: Sequence[str]) -> str:
    path = folder / f"{len(texts)}.jsonl"
    lines = [{"text": text, "label": "positive" if "good" in text or "fine" in text else "negative"} for text in texts]
    path.write_text("\n".join(map(json.dumps, lines)), "utf-8")
    return f"jsonl:{path}"


def go(folder: Path, train: str, **other: Any) -> Run:
    values: dict[str, Any] = {
        "victim": KeywordVictim(),
        "dataset": file_of(folder, ATTACKED),
        "attacks": ["deepwordbug"],
        "defenses": ["none", "spell"],
        "similarity": "none",
        "output": folder / f"run{Path(train).stem}",
    }
    return evaluate(**values | {"train": train} | other)


def fingerprints(run: Run) -> list[str]:
    found = [read(path) for path in sorted((run.folder / "records").iterdir())]
    return [file.header["fingerprint"] for file in found if file is not None]


def test_a_defense_learns_as_from_a_split_without_the_attacked_texts_and_it_is_told(tmp_path: Path) -> None:
    clean, mixed = (go(tmp_path, file_of(tmp_path, texts)) for texts in (OTHERS, TEXTS))
    assert fingerprints(clean) == fingerprints(mixed)
    assert not [flag for flag in clean.table.attrs["flags"] if flag.startswith("train_overlap")]
    told = "train_overlap: 6 of the 16 training examples are attacked; no defense learned from them."
    assert told in mixed.table.attrs["flags"]
    assert told in (mixed.folder / "table.md").read_text("utf-8").replace("\\", "")
    assert told in json.loads((mixed.folder / "manifest.json").read_text("utf-8"))["warnings"]


def test_only_what_is_attacked_is_left_out_and_only_where_something_learns(tmp_path: Path) -> None:
    seen = []
    run = go(tmp_path, file_of(tmp_path, TEXTS), limit=2, on_open=seen.append)
    assert (len(seen[0].train.examples), seen[0].train.left_out) == (14, 2)
    assert not {e.id for e in seen[0].train.examples} & {r.example_id for r in run.records["none", "deepwordbug"]}
    missing = f"jsonl:{tmp_path}/none.jsonl"
    assert not go(tmp_path, missing, defenses=["none"]).table.attrs["flags"]


def test_a_split_of_attacked_texts_alone_is_refused_by_what_learns(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="all 6 training examples are attacked; defense spell takes its words"):
        go(tmp_path, file_of(tmp_path, ATTACKED))
    assert not (tmp_path / "run6" / "records").exists()
    run = go(tmp_path, file_of(tmp_path, ATTACKED), defenses=["unicode-normalize"])
    assert len(run.table) == 1


def test_no_certificate_is_of_a_text_that_was_learned_from(tmp_path: Path) -> None:
    made = [
        certify(
            victim=KeywordVictim(),
            dataset=file_of(tmp_path, ATTACKED),
            train=file_of(tmp_path, texts),
            defenses=["robust-encodings"],
            output=tmp_path / str(len(texts)),
        )
        for texts in (OTHERS, TEXTS)
    ]
    clean, mixed = (run.table["fingerprint"].tolist() for run in made)
    assert clean == mixed
    pages = [(run.folder / "table.md").read_text("utf-8") for run in made]
    assert ["6 of the 16 training examples" in page for page in pages] == [False, True]
