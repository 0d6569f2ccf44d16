"""How long a user waits: for help, for a list, and for the first result line of a run that has finished before.

Each is a process of its own, the median of several after one that warms the disk and leaves bytecode there, as a user's first does:
wall seconds until the line is there, and seconds of the processor for the whole command.

Usage: startup.py [--victim minilm-mr] [--examples N] [--repeats K]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bars import Bars

COMMAND = (sys.executable, "-m", "robustbench_nlp.cli")
QUICK, CACHED = 0.5, 5.0
"""Wall seconds: for help and lists, and for the first result of a finished run."""


class Waited(NamedTuple):
    """Wall seconds until the wanted line, and the processor's for the whole command."""

    wall: float
    processor: float


def waited(arguments: Sequence[str], wanted: str = "") -> Waited:
    """Run a command until its end. Raises `SystemExit` where it fails or never prints a line that holds `wanted`."""
    start = time.perf_counter()
    kept = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True, env=kept)
    assert process.stdout is not None
    walls = [time.perf_counter() - start for line in process.stdout if wanted in line]
    _, status, usage = os.wait4(process.pid, 0)
    if status or not walls:
        raise SystemExit(f"robustbench-nlp {' '.join(arguments)} failed, or printed no '{wanted}'")
    return Waited(walls[0], usage.ru_utime + usage.ru_stime)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--victim", default="minilm-mr")
    parser.add_argument("--examples", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    bars = Bars()
    with tempfile.TemporaryDirectory() as folder:
        run = ["run", "--victim", given.victim, "--dataset", "mr", "--attacks", "deepwordbug"]
        run += ["--limit", str(given.examples), "--output", str(Path(folder) / "run")]
        for name, arguments, wanted, bar in (
            ("-h", ["-h"], "", QUICK),
            ("list attacks", ["list", "attacks"], "", QUICK),
            (f"run of {given.victim}, finished: first result", run, "deepwordbug: ", CACHED),
        ):
            waited(arguments, wanted)
            times = [waited(arguments, wanted) for _ in range(given.repeats)]
            wall, processor = (median(column) for column in zip(*times, strict=True))
            print(
                f"{name:44} {wall:6.2f} s, {processor:6.2f} s of the processor, {bars.at_most(wall, bar)}", flush=True
            )
    bars.end()


if __name__ == "__main__":
    main()
