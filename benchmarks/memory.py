"""Peak memory and time an example against the number of examples, with a victim that costs next to nothing.

Each size runs in a process of its own, through a whole `evaluate`: data from a CSV file, records, table and manifest. A second
process then writes every report of that run: Markdown, CSV, LaTeX, Parquet, the sheet of examples, the web page and the others.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

WORDS = (
    "a",
    "film",
    "that",
    "is",
    "so",
    "good",
    "bad",
    "fine",
    "dull",
    "story",
    "of",
    "love",
    "and",
    "loss",
    "told",
    "well",
)


def write(path: Path, n: int) -> None:
    """A CSV file of `n` different sentences of 20 words."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("text", "label"))
        for i in range(n):
            words = [WORDS[(i >> (j % 16)) * (j + 7) % len(WORDS)] for j in range(18)]
            rows.writerow((" ".join([*words, "number", str(i)]), ("negative", "positive")[i % 2]))


def peak() -> float:
    """MiB that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(folder: Path, n: int) -> dict[str, float]:
    """Seconds of a run over the first `n` examples, and this process's peak MiB before and after it."""
    from robustbench_nlp import evaluate

    def predict(texts: list[str]) -> np.ndarray:
        right = np.array([int(text.rsplit(None, 1)[-1].strip("abcdefghijklmnopqrstuvwxyz") or 0) % 2 for text in texts])
        return np.stack([0.9 - 0.8 * right, 0.1 + 0.8 * right], axis=1).astype(np.float32)

    before = peak()
    start = time.perf_counter()
    evaluate(
        victim=predict,
        dataset=f"csv:{folder / 'data.csv'}",
        attacks=["random-typos"],
        limit=n,
        similarity="none",
        output=folder / "run",
    )
    return {"seconds": time.perf_counter() - start, "before": before, "peak": peak()}


def reports(folder: Path, n: int) -> dict[str, float]:
    """The same of all reports of that run."""
    from robustbench_nlp.report.files import FORMATS, written

    before = peak()
    start = time.perf_counter()
    written(folder / "run", tuple(FORMATS))
    return {"seconds": time.perf_counter() - start, "before": before, "peak": peak()}


STEPS = {"run": run, "reports": reports}


def measured(step: str, folder: Path, n: int) -> list[str]:
    """The table's cells of a step, in a process of its own: µs an example, peak MiB, MiB before it."""
    line = [sys.executable, __file__, "--child", step, str(folder), str(n)]
    told = subprocess.run(line, check=True, capture_output=True, text=True).stdout
    found = json.loads(told.strip().splitlines()[-1])
    return [f"{1e6 * found['seconds'] / n:.0f}", f"{found['peak']:.0f}", f"{found['before']:.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--child", nargs=3, metavar=("STEP", "FOLDER", "N"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        step, folder, n = given.child
        print(json.dumps(STEPS[step](Path(folder), int(n))))
        return
    print("| examples | µs an example | peak MiB | before the run | reports: µs an example | peak MiB | before them |")
    print("| --: | --: | --: | --: | --: | --: | --: |")
    for n in given.sizes:
        with tempfile.TemporaryDirectory() as scratch:
            write(Path(scratch) / "data.csv", n)
            cells = [cell for step in STEPS for cell in measured(step, Path(scratch), n)]
        print(f"| {n} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
