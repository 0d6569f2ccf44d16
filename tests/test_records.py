"""Records: nothing recorded is lost, nothing torn or foreign is taken in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_nlp.errors import UsageError
from robustbench_nlp.records import Record, RecordFile, read

HEADER: dict[str, Any] = {"fingerprint": "f00", "spec": {"seed": 0}}


def record(name: str, **values: Any) -> Record:
    return Record(example_id=name, label=0, original="a text", outcome="failed", **values)


def written(path: Path, *names: str) -> Path:
    with RecordFile(path, HEADER) as file:
        for name in names:
            file.append(record(name))
    return path


def test_round_trip(tmp_path: Path) -> None:
    path = written(tmp_path / "a" / "cell.jsonl", "1", "2")
    found = read(path)
    assert found is not None
    assert found.header == HEADER
    assert list(found.records.values()) == [record("1"), record("2")]
    assert found.sound_bytes == path.stat().st_size


@given(st.text(st.characters()), st.floats(0, 1))
def test_any_string_survives(tmp_path_factory: pytest.TempPathFactory, string: str, value: float) -> None:
    path = tmp_path_factory.mktemp("records") / "cell.jsonl"
    made = replace(record("1", similarity=value), original=(string, "b"), adversarial=string, outcome="success")
    with RecordFile(path, HEADER) as file:
        file.append(made)
    found = read(path)
    assert found is not None
    assert found.records == {"1": made}
    assert path.read_bytes().isascii()


def test_every_torn_tail_is_cut_off_and_the_file_goes_on(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole.jsonl", "1", "2").read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for cut in range(len(whole)):
        path = tmp_path / "torn.jsonl"
        path.write_bytes(whole[:cut])
        with RecordFile(path, HEADER) as file:
            assert set(file.records) == ({"1"} if cut >= last else set())
            for name in {"1", "2"} - set(file.records):
                file.append(record(name))
        found = read(path)
        assert found is not None
        assert set(found.records) == {"1", "2"}
        for aside in tmp_path.glob("torn.jsonl.old*"):
            aside.unlink()


def test_a_damaged_line_in_the_middle_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "cell.jsonl", "1", "2")
    path.write_bytes(path.read_bytes().replace(b'"example_id": "1"', b'"example_id": "9"'))
    with pytest.raises(UsageError, match="line 2: damaged"):
        read(path)


def test_another_cell_is_refused_and_named(tmp_path: Path) -> None:
    path = written(tmp_path / "cell.jsonl", "1")
    with pytest.raises(UsageError, match="another seed"):
        RecordFile(path, {"fingerprint": "ba2", "spec": {"seed": 1}})


def test_starting_again_sets_the_old_file_aside(tmp_path: Path) -> None:
    path = written(tmp_path / "cell.jsonl", "1")
    with RecordFile(path, HEADER, resume=False) as file:
        assert not file.records
    aside = read(path.with_name("cell.jsonl.old1"))
    assert aside is not None
    assert set(aside.records) == {"1"}


def test_the_last_record_of_an_example_counts(tmp_path: Path) -> None:
    path = written(tmp_path / "cell.jsonl", "1")
    with RecordFile(path, HEADER) as file:
        file.append(replace(record("1"), outcome="success"))
    found = read(path)
    assert found is not None
    assert found.records["1"].outcome == "success"
