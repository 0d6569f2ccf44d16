"""Long runs: what stays on the disk gives the same findings, and takes next to no memory."""

from __future__ import annotations

import gc
import pickle
import random
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import memory as benchmark
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from robustbench_nlp import on_disk
from robustbench_nlp.api import Run, evaluate
from robustbench_nlp.compact import Compact
from robustbench_nlp.data import from_pairs, load_dataset, tables
from robustbench_nlp.data.example import Stored, content_hash, listed_hash
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.records import Record, RecordFile, read
from robustbench_nlp.report.examples import examples
from robustbench_nlp.report.files import FORMATS, written
from robustbench_nlp.workers import Left

MOST_BYTES = 160
"""Of memory, for one more example: 60 are measured, most of them only while lists are sorted; 1,100 with the lists in memory."""
LABELS = ("negative", "positive")
WORDS = ["good", "fine", "great", "bad", "awful", "dull"]
VICTIM = KeywordVictim(keywords=(("bad", "awful", "dull", "cinema"), ("good", "great", "fine", "made")))


@pytest.fixture
def on_the_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lists of more entries than this stay on the disk from now on."""
    return lambda kept: monkeypatch.setattr(on_disk, "KEPT", kept)


def csv_of(folder: Path, n: int) -> Path:
    path = folder / f"{n}.csv"
    lines = (
        f"the {WORDS[i % 6]} film number {i} was made for the cinema,{LABELS[i % 6 < 3 or i % 11 == 0]}"
        for i in range(n)
    )
    path.write_text("\n".join(["text,label", *lines]))
    return path


def go(output: Path, data: Path, **kwargs: Any) -> Run:
    values: dict[str, Any] = {"victim": VICTIM, "attacks": ["random-typos"], "similarity": "none"}
    return evaluate(**(values | {"dataset": f"csv:{data}", "output": output} | kwargs))


def findings(run: Run) -> dict[tuple[str, str], list[Record]]:
    """The records without their costs in time, by example: a file has them in the order in which they came."""
    return {
        cell: sorted((replace(record, seconds=0.0) for record in records), key=lambda record: record.example_id)
        for cell, records in run.records.items()
    }


# --- memory


def test_memory_hardly_grows_with_the_examples(tmp_path: Path, on_the_disk: Callable[[int], None]) -> None:
    on_the_disk(50)
    small, large = csv_of(tmp_path, 200), csv_of(tmp_path, 1400)
    go(tmp_path / "warm", large)  # what caches hold, they hold now

    def peak(data: Path) -> int:
        gc.collect()
        tracemalloc.start()
        go(tmp_path / f"run-{data.stem}", data)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(large) - peak(small) < MOST_BYTES * 1200


def test_memory_hardly_grows_with_what_a_report_tells_of(
    tmp_path: Path, on_the_disk: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robustbench_nlp.report.web.examples", lambda cells: examples(cells, most=50))
    on_the_disk(50)
    small, large = (go(tmp_path / str(n), csv_of(tmp_path, n)).folder for n in (200, 1400))
    written(large, [*FORMATS])  # what caches hold, they hold now

    def peak(folder: Path) -> int:
        gc.collect()
        tracemalloc.start()
        written(folder, [*FORMATS])
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(large) - peak(small) < MOST_BYTES * 1200


def test_the_benchmark_measures_a_run_and_every_report_of_it(tmp_path: Path) -> None:
    benchmark.write(tmp_path / "data.csv", 12)
    for step in benchmark.STEPS.values():
        found = step(tmp_path, 12)
        assert found["seconds"] > 0
        assert found["peak"] >= found["before"] > 0
    made = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"table.md", "table.csv", "examples.csv", "report.html", "table.parquet"} <= made


# --- the same findings


@pytest.mark.parametrize(
    "settings",
    [
        {"attacks": ["random-typos", "deepwordbug", "worst-case"], "defenses": ["none", "unicode-normalize"]},
        {"attacks": ["random-typos", "deepwordbug"], "cascade": True},
        {"attacks": ["deepwordbug"], "defenses": ["none", "unicode-normalize"], "mode": "transfer"},
    ],
    ids=["worst case", "cascade", "transfer"],
)
def test_findings_are_those_of_a_run_in_memory(
    settings: dict[str, Any], tmp_path: Path, on_the_disk: Callable[[int], None]
) -> None:
    data = csv_of(tmp_path, 40)
    memory = go(tmp_path / "memory", data, **settings)
    written(memory.folder, [*FORMATS])
    on_the_disk(3)
    disk = go(tmp_path / "disk", data, **settings)
    written(disk.folder, [*FORMATS])
    assert isinstance(next(iter(disk.records.values())), on_disk.Lines)
    assert findings(disk) == findings(memory)
    timed = [name for name in memory.table.columns if name in ("seconds", "latency_ratio", "train_ratio")]
    assert disk.table.drop(columns=timed).equals(memory.table.drop(columns=timed))
    assert disk.table.attrs == memory.table.attrs
    for name in ("ranking.csv", "curves.csv", "valid.csv", "valid.md"):
        assert (disk.folder / name).read_bytes() == (memory.folder / name).read_bytes(), name


def test_a_torn_run_goes_on(tmp_path: Path, on_the_disk: Callable[[int], None]) -> None:
    data = csv_of(tmp_path, 40)
    whole = findings(go(tmp_path / "whole", data))
    on_the_disk(3)
    (path,) = (go(tmp_path / "torn", data).folder / "records").glob("*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:20]) + lines[20][:30])
    assert findings(go(tmp_path / "torn", data)) == whole


# --- examples


def test_examples_of_a_file_stay_there(tmp_path: Path, on_the_disk: Callable[[int], None]) -> None:
    selector = f"csv:{csv_of(tmp_path, 30)}"
    memory = load_dataset(selector)
    on_the_disk(3)
    disk = load_dataset(selector)
    assert isinstance(disk.examples, Stored)
    assert (disk.examples, disk.fingerprint) == (memory.examples, memory.fingerprint)
    assert [example.id for example in disk.head(7)] == [example.id for example in memory.head(7)]
    assert pickle.loads(pickle.dumps(disk)).examples == memory.examples
    assert disk.examples != memory.examples[1:]
    with pytest.raises(UsageError, match="outside its 1 label names"):
        replace(disk, label_names=("negative",))


def test_a_file_is_read_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "PIECE", 3)
    path = tmp_path / "a.csv"
    path.write_bytes("text,label\néé€🎬,1\n".encode())
    assert load_dataset(f"csv:{path}").examples[0].input == "éé€🎬"
    for tail, place in ((b"\xe9,1\n", 13), (b"\xe2\x82,1\n", 13), (b"\xe2\x82", 13)):
        path.write_bytes("text,label\né".encode() + tail)
        with pytest.raises(UsageError, match=f"at position {place};"):
            load_dataset(f"csv:{path}")


def test_the_first_of_equal_inputs_gives_its_label(tmp_path: Path, on_the_disk: Callable[[int], None]) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "".join(f"t{i % 20},{'xyzw'[i // 20 + i % 2]}\n" for i in range(60)))
    memory = load_dataset(f"csv:{path}")
    on_the_disk(3)
    disk = load_dataset(f"csv:{path}")
    assert disk.examples == memory.examples
    assert disk.label_names == ("x", "y")  # of the rows that count
    assert "40 rows" in disk.note


@pytest.mark.parametrize("items", [[], ["a"], [f"{i:016x}" for i in range(2500)], [[i, "é"] for i in range(1000)]])
def test_a_list_is_hashed_as_if_it_were_whole(items: list[Any]) -> None:
    assert listed_hash(items=iter(items)) == content_hash(items)
    assert listed_hash("name", 1, items=iter(items)) == content_hash("name", 1, items)


def test_any_string_comes_back_as_it_was(on_the_disk: Callable[[int], None]) -> None:
    on_the_disk(1)
    texts = ["a\0\n", "\ud83c\udfac", "\udfac", "🎬", "", np.str_("numpy's")]
    data = from_pairs([(text, 0) for text in texts])
    assert isinstance(data.examples, Stored)
    assert {example.input for example in data.examples} == {*texts} - {
        "🎬"
    }  # the two halves have its id, and came first


# --- records


def record(identity: str, **facts: Any) -> Record:
    return Record(**({"example_id": identity, "label": 0, "original": ("a", "b"), "outcome": "failed"} | facts))


@pytest.mark.parametrize("name", [lambda i: f"{i:016x}", lambda i: f"é{i}"], ids=["hashes", "any"])
def test_the_last_line_of_an_example_counts(
    name: Callable[[int], str], tmp_path: Path, on_the_disk: Callable[[int], None]
) -> None:
    on_the_disk(3)
    header = {"fingerprint": "f", "spec": {}}
    with RecordFile(tmp_path / "cell.jsonl", header) as file:
        for i in (5, 2, 7, 1, 2, 9):
            file.append(record(name(i), queries=i + len(file.records)))
        written_down = dict(file.records)
    found = read(tmp_path / "cell.jsonl")
    assert found is not None
    (tmp_path / "cell.jsonl").rename(tmp_path / "elsewhere")  # who holds it still reads it
    assert isinstance(found.records, on_disk.Keyed)
    assert [*found.records] == [*written_down] == [name(i) for i in (5, 2, 7, 1, 9)]
    assert found.records == written_down
    assert found.records[name(2)].queries == 2 + 4
    assert found.records[name(2)].original == ("a", "b")
    assert (name(3) in found.records, found.records.get(name(3)), 3 in found.records) == (False, None, False)
    assert [*on_disk.taken(found.records, [name(9), name(5)])] == [name(9), name(5)]
    with pytest.raises(KeyError):
        on_disk.taken(found.records, [name(3)])


# --- verdicts


def test_a_compact_dict_is_a_dict(on_the_disk: Callable[[int], None]) -> None:
    on_the_disk(3)
    rng = random.Random(0)
    names = [f"{rng.getrandbits(64):016x}" for _ in range(40)] + ["", "é", "0" * 15, "F" * 16]
    made: Compact[int | None] = Compact(kind=int)
    plain: dict[str, int | None] = {}
    for _ in range(2000):
        name, value = rng.choice(names), rng.choice([None, 0, 1, -5, 2**31 - 1, 2**62])
        if rng.random() < 0.2:
            assert made.pop(name, 7) == plain.pop(name, 7)
        else:
            made[name] = plain[name] = value
        assert made.get(name, 8) == plain.get(name, 8)
    assert made == plain
    assert (len(made), {*made}) == (len(plain), {*plain})
    assert Compact([("a", True)], kind=bool)["a"] is True


# --- workers


def test_a_share_is_struck_off() -> None:
    left = Left(f"{i:016x}" for i in (3, 1, 2))
    assert left.strike(f"{1:016x}")
    assert not left.strike(f"{1:016x}")
    assert not left.strike(f"{9:016x}")
    assert (len(left), left.keys.tolist()) == (2, [2, 3])


@given(st.lists(st.text(st.characters(exclude_categories=()))))
@example(["\ud83d", "\ude00", "\ud83d\ude00", "", "\0"])
def test_any_strings_come_back_from_a_line_as_they_were(strings: list[str]) -> None:
    assert on_disk.unpacked(on_disk.packed(strings)) == strings
