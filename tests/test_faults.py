"""What goes wrong on real machines, really done: kills, torn files, full disks, two runs on a folder, Ctrl-C, hangs, memory."""

from __future__ import annotations

import ast
import ctypes
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import fault_run
import pandas as pd
import pytest

import robustbench_nlp
from robustbench_nlp.api import Run, evaluate
from robustbench_nlp.cli import main
from robustbench_nlp.records import read

HERE = Path(__file__).parent
ROWS = "text,label\n" + "".join(f'"{text}",{label}\n' for text, label in fault_run.PAIRS)
CAP_DAC_OVERRIDE, PR_CAPBSET_DROP = 1, 24


def content(folder: Path) -> dict[str, Any]:
    """Everything that a run folder says of the attacks, costs aside."""
    found: dict[str, Any] = {}
    for path in sorted((folder / "records").glob("*.jsonl")):
        cell = read(path)
        assert cell is not None
        found[path.name] = (
            cell.header["fingerprint"],
            [{**asdict(record), "seconds": 0} for _, record in sorted(cell.records.items())],
        )
    frame = pd.read_csv(folder / "table.csv").drop(columns="seconds")
    return {**found, "table.csv": frame.to_csv(), "table.md": (folder / "table.md").read_text("utf-8")}


def go(folder: Path, victim: Any = fault_run.VICTIM, **settings: Any) -> Run:
    values: dict[str, Any] = {
        "dataset": fault_run.PAIRS,
        "attacks": ["deepwordbug", "worst-case"],
        "similarity": "none",
    }
    return evaluate(**(values | {"victim": victim, "output": folder} | settings))


def process(folder: Path, *arguments: str, **settings: Any) -> subprocess.Popen[str]:
    """`robustbench-nlp ARGUMENTS` in a folder that has data.csv, and the victim's code in mine.py."""
    (folder / "data.csv").write_text(ROWS, "utf-8")
    line = [sys.executable, "-m", "robustbench_nlp.cli", *arguments]
    paths = os.pathsep.join([str(Path(robustbench_nlp.__file__).parent.parent), str(HERE)])
    settings = {"cwd": folder, "env": {**os.environ, "PYTHONPATH": paths}, "text": True, **settings}
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **settings)


def ended(running: subprocess.Popen[str], seconds: float = 120) -> tuple[int, str]:
    """Exit code and stderr, which is no traceback."""
    _, err = running.communicate(timeout=seconds)
    assert "Traceback" not in err
    return running.returncode, err


RUN = (
    *("run", "--dataset", "csv:data.csv", "--attacks", "deepwordbug", "--similarity", "none"),
    *("--victim", "python:mine:predict", "--output", "run"),
)


@pytest.mark.parametrize("kills", [8, pytest.param(100, marks=pytest.mark.slow)])
def test_killed_at_random_moments(tmp_path: Path, kills: int) -> None:
    line = [sys.executable, str(HERE / "fault_run.py"), str(tmp_path), str(kills), "7"]
    paths = str(Path(robustbench_nlp.__file__).parent.parent)
    subprocess.run(line, check=True, env={**os.environ, "PYTHONPATH": paths})
    whole = content(tmp_path / "whole")
    runs = sorted(tmp_path.glob("run*"))
    assert runs
    for folder in runs:
        assert content(folder) == whole
        assert not list(folder.rglob("*.part"))


def garbled(last: bytes, rng: random.Random) -> list[bytes]:
    """What a crash may leave in place of a file's last line."""
    place = rng.randrange(len(last) - 1)
    flipped = last[:place] + bytes([last[place] ^ 1 << rng.randrange(8)]) + last[place + 1 :]
    return [
        b"",
        last[:place],
        last[:-1],
        flipped,
        last + last[:place],
        bytes(4096),
        last + bytes(512),
        rng.randbytes(300).replace(b"\n", b""),
    ]


@pytest.mark.parametrize("seed", range(3))
def test_a_garbled_last_record_is_made_again(tmp_path: Path, sound: Path, seed: int) -> None:
    folder = tmp_path / "run"
    shutil.copytree(sound, folder)
    (path,) = (folder / "records").glob("*.jsonl")
    whole, start = path.read_bytes(), path.read_bytes().rindex(b"\n", 0, -1) + 1
    for tail in garbled(whole[start:], random.Random(seed)):
        path.write_bytes(whole[:start] + tail)
        go(folder)
        assert content(folder) == content(sound)


@pytest.mark.parametrize("name", ["run.yaml", "manifest.json", "table.csv", "table.md"])
@pytest.mark.parametrize("left", [b"", b"\0\0\0\0", b"{"])
def test_a_garbled_file_beside_the_records_is_made_again(tmp_path: Path, sound: Path, name: str, left: bytes) -> None:
    shutil.copytree(sound, tmp_path / "run")
    (tmp_path / "run" / name).write_bytes(left)
    go(tmp_path / "run")
    assert content(tmp_path / "run") == content(sound)


def heed_permissions() -> None:
    """Let even root be refused what a file's mode refuses."""
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
def test_a_read_only_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from fault_run import VICTIM\npredict = VICTIM.predict\n", "utf-8")
    (tmp_path / "shut").mkdir(mode=0o555)
    arguments = RUN[:-1]
    code, err = ended(process(tmp_path, *arguments, "shut/run", preexec_fn=heed_permissions))
    assert (code, err.count("\n")) == (2, 1)
    assert "cannot make the run folder shut/run (Permission denied); choose another --output" in err
    code, err = ended(process(tmp_path, *arguments, "shut", preexec_fn=heed_permissions))
    assert (code, err.count("\n")) == (2, 1)
    assert "Permission denied" in err
    assert ended(process(tmp_path, *arguments, "/proc/no/run")) == (
        2,
        "robustbench-nlp: cannot make the run folder /proc/no/run (No such file or directory); choose another --output\n",
    )


NEW_MOUNTS = ["unshare", "--mount", "--map-root-user"]


def can_mount() -> bool:
    line = [*NEW_MOUNTS, "mount", "-t", "tmpfs", "none", "/mnt"]
    return (
        shutil.which("unshare") is not None and subprocess.run(line, check=False, capture_output=True).returncode == 0
    )


@pytest.mark.skipif(not can_mount(), reason="no file system can be mounted here")
def test_a_disk_that_fills_up_and_is_made_room_on(tmp_path: Path) -> None:
    """A disk of 16 KiB ends in the middle of the records; of 1 MiB, it takes the run from there."""
    (tmp_path / "mine.py").write_text("from fault_run import VICTIM\npredict = VICTIM.predict\n", "utf-8")
    (tmp_path / "data.csv").write_text(ROWS, "utf-8")
    (tmp_path / "run").mkdir()
    command = f"{sys.executable} -m robustbench_nlp.cli {' '.join(RUN)} --quiet"
    script = f"mount -t tmpfs -o size=16k none run\n{command}; echo first $?\nls -l run/records >&2\n"
    script += f"mount -o remount,size=1m run\n{command}; echo second $?\ncp -r run kept\n"
    paths = os.pathsep.join([str(Path(robustbench_nlp.__file__).parent.parent), str(HERE)])
    done = subprocess.run(
        [*NEW_MOUNTS, "sh", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "first 2" in done.stdout
    assert "second 0" in done.stdout
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert read(next((tmp_path / "kept" / "records").glob("*.jsonl"))) is not None


SLOW = """
import time
from pathlib import Path
from fault_run import VICTIM
def predict(texts):
    with open("calls", "a") as file:
        file.write("begun ")
    time.sleep({seconds})
    with open("calls", "a") as file:
        file.write("ended ")
    return VICTIM.predict(texts)
"""


def wait_for(told: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not told():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().split() if (folder / "calls").exists() else []


def test_two_processes_on_one_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SLOW.format(seconds=0.3), "utf-8")
    first = process(tmp_path, *RUN)
    wait_for(lambda: len(calls(tmp_path)) > 0)
    code, err = ended(process(tmp_path, *RUN))
    assert code == 2
    assert (
        err
        == f"robustbench-nlp: run is in use by process {first.pid}; wait until it ends, or choose another --output\n"
    )
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    (tmp_path / "mine.py").write_text(SLOW.format(seconds=0.0), "utf-8")
    assert ended(process(tmp_path, *RUN, "--no-resume"))[0] == 0


def heed_interrupts() -> None:
    """Undo what a shell does to the commands that it starts in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_control_c_ends_the_batch_first(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SLOW.format(seconds=0.4), "utf-8")
    running = process(tmp_path, *RUN, preexec_fn=heed_interrupts)
    wait_for(lambda: len(calls(tmp_path)) >= 5)
    running.send_signal(signal.SIGINT)
    code, err = ended(running)
    assert code == 130
    assert "interrupted; what was recorded is kept" in err
    assert len(calls(tmp_path)) % 2 == 0, "a batch that was begun was not ended"
    (path,) = (tmp_path / "run" / "records").glob("*.jsonl")
    assert read(path) is not None


def test_a_second_control_c_quits_at_once(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SLOW.format(seconds=60), "utf-8")
    running = process(tmp_path, *RUN, preexec_fn=heed_interrupts)
    wait_for(lambda: len(calls(tmp_path)) == 1)
    running.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert running.poll() is None
    running.send_signal(signal.SIGINT)
    assert ended(running, 20)[0] == 130


def test_control_c_ends_workers_too(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SLOW.format(seconds=0.2), "utf-8")
    running = process(tmp_path, *RUN, "--workers", "2", preexec_fn=heed_interrupts, start_new_session=True)
    wait_for(lambda: len(calls(tmp_path)) >= 5)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does
    code, err = ended(running)
    assert code == 130
    assert err.count("\n") == 1
    with pytest.raises(ProcessLookupError):
        os.killpg(running.pid, 0)


def test_a_clock_that_jumps_changes_nothing(tmp_path: Path, sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(0)
    monkeypatch.setattr(time, "time", lambda: rng.uniform(-1e9, 3e9))
    monkeypatch.setattr(time, "time_ns", lambda: rng.randrange(-(10**18), 3 * 10**18))
    run = go(tmp_path / "run")
    assert content(run.folder) == content(sound)
    seconds = [record.seconds for records in run.records.values() for record in records]
    assert all(0 <= value < 60 and math.isfinite(value) for value in seconds)


def test_nothing_reads_the_wall_clock() -> None:
    """Durations come from the monotonic clocks; only what a server calls a date needs one, and the wait for it has an end."""
    package = Path(robustbench_nlp.__file__).parent
    for path in [*package.rglob("*.py"), *package.parent.glob("attacks/*.py"), *package.parent.glob("defenses/*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and path.name != "posting.py":
                assert ast.unparse(node) not in {"time.time", "time.time_ns", "datetime.now", "date.today"}, path


LEFT = (b"", b"\0\0\0", b"{", b"[]", b"{}", b"a,b\n1,2\n", b"\xff\xfe", b'{"warnings": 5}', b'{"dataset": 5}')


@pytest.mark.parametrize("name", ["run.yaml", "manifest.json", "table.csv", "records/none__deepwordbug.jsonl"])
def test_a_damaged_run_folder_is_told_in_one_line(
    tmp_path: Path, sound: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever a file of it holds, every command that reads run folders says so, or does without it."""
    folder = tmp_path / "run"
    shutil.copytree(sound, folder)
    for left in LEFT:
        (folder / name).write_bytes(left)
        for line in (
            ["report", str(folder), "--formats", "md,sheet"],
            ["compare", str(folder), str(sound)],
            ["verify", str(folder)],
            ["submit", str(folder), "--to", str(tmp_path / "board")],
        ):
            code = main(line)
            err = capsys.readouterr().err
            assert (code == 0) == (err == ""), (left, line)
            assert err.count("\n") <= 1, (left, line)
