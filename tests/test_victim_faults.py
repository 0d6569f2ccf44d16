"""Victims that hang, and machines whose memory ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fault_run
import numpy as np
import pytest
from test_faults import RUN, content, ended, go, process

from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.records import read


class Hangs:
    """Gives no answer to batches with a word in them, or to any after so many calls."""

    def __init__(self, word: str = "", calls: int = 0) -> None:
        self.word, self.calls = word, calls

    def __call__(self, texts: Sequence[str]) -> Any:
        self.calls -= 1
        if (self.word and any(self.word in text for text in texts)) or self.calls < 0 <= self.calls + 1e6:
            time.sleep(5)
        return fault_run.VICTIM.predict(list(texts))


def test_a_victim_that_hangs_on_one_text_makes_one_error(tmp_path: Path) -> None:
    pairs = [*fault_run.PAIRS[:7], ("the good poison was made", 1)]
    run = go(tmp_path / "run", Hangs("poison", 10**9), dataset=pairs, timeout=0.1)
    (records,) = run.records.values()
    (failed,) = [record for record in records if record.outcome == "error"]
    assert failed.original == "the good poison was made"
    assert "gave no answer within 0.1 s" in str(failed.error)


def test_a_victim_that_hangs_for_good_stops_the_run(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(UsageError, match=r"hangs: 3 inputs in a row had no answer within 0\.1 s; mend it"):
        go(tmp_path / "run", Hangs(calls=3), timeout=0.1)
    assert time.monotonic() - start < 4


def test_the_timeout_of_the_command_line(tmp_path: Path) -> None:
    code = "import time\nfrom fault_run import VICTIM\ndef predict(texts):\n    time.sleep(60)\n"
    (tmp_path / "mine.py").write_text(code, "utf-8")
    code, err = ended(process(tmp_path, *RUN, "--timeout", "0.1"))
    assert code == 2
    assert "python:mine:predict hangs" in err
    assert err.count("\n") == 1
    assert ended(process(tmp_path, *RUN, "--timeout", "0"))[0] == 2


class OutOfMemoryError(RuntimeError):
    """Named as torch's is."""


class Small:
    """A victim whose memory takes so many texts at a time."""

    def __init__(self, most: int, problem: Exception) -> None:
        self.most, self.problem = most, problem
        self.sizes: list[int] = []

    def __call__(self, texts: Sequence[str]) -> Any:
        self.sizes.append(len(texts))
        if len(texts) > self.most:
            raise self.problem
        return fault_run.VICTIM.predict(list(texts))


@pytest.mark.parametrize(
    "problem",
    [
        OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("MPS backend out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 4096 bytes."),
    ],
    ids=["cuda", "machine", "mps", "torch", "windows"],
)
def test_where_memory_ends_batches_halve_and_stay_small(tmp_path: Path, sound: Path, problem: Exception) -> None:
    victim = Small(7, problem)
    run = go(tmp_path / "run", victim)
    refused = [size for size in victim.sizes if size > 7]
    assert refused == [60, 30, 15, 32, 16, 8]  # the cell's, and later those of the warnings' 32 texts
    assert max(victim.sizes[3 : victim.sizes.index(32)]) == 7
    ours, theirs = content(run.folder), content(sound)
    assert [value[1] for name, value in ours.items() if name.endswith("jsonl")] == [
        value[1] for name, value in theirs.items() if name.endswith("jsonl")
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS")
def test_a_process_whose_memory_really_ends(tmp_path: Path) -> None:
    code = """
import resource
import numpy as np
from fault_run import VICTIM
limited = False
def predict(texts):
    global limited
    if not limited:
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30), -1))
        limited = True
    held = [np.empty((1 << 26) // 8) for _ in texts]  # 64 MiB a text: 15 at most
    with open("sizes", "a") as file:
        print(len(texts), file=file)
    return VICTIM.predict(texts)
"""
    (tmp_path / "mine.py").write_text(code, "utf-8")
    assert ended(process(tmp_path, *RUN, "--limit", "20"))[0] == 0
    sizes = [int(size) for size in (tmp_path / "sizes").read_text().split()]
    assert 1 <= max(sizes) <= 16
    (path,) = (tmp_path / "run" / "records").glob("*.jsonl")
    cell = read(path)
    assert cell is not None
    assert not [record for record in cell.records.values() if record.outcome == "error"]


def test_costs_of_a_victim_that_fails_are_unknown(tmp_path: Path) -> None:
    def fails(texts: list[str]) -> Any:
        if any("number 3 " in text for text in texts):
            raise ValueError("not that")
        return KeywordVictim().predict(texts)

    run = go(tmp_path / "run", fails, defenses=["none", "unicode-normalize"])
    assert np.isnan(run.table["latency_ratio"].iloc[-1])
    assert "takes an unknown time" in (run.folder / "table.md").read_text("utf-8")
