"""What tests of faults run in processes of their own: a short benchmark, and parents that kill it at random moments."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

from robustbench_nlp.api import Run, evaluate
from robustbench_nlp.fakes import KeywordVictim

WORDS = ("bad", "good", "awful", "fine", "dull", "great")
PAIRS = [(f"the {WORDS[i % 6]} film number {i} was made for the cinema", i % 2) for i in range(60)]
VICTIM = KeywordVictim(keywords=(("bad", "awful", "dull", "cinema"), ("good", "great", "fine", "made")))


def predict(texts: list[str]) -> object:
    """Slow enough to be killed at work."""
    time.sleep(0.002)
    return VICTIM.predict(texts)


def run(output: Path) -> Run:
    return evaluate(
        victim=predict, dataset=PAIRS, attacks=["deepwordbug", "pwws", "worst-case"], similarity="none", output=output
    )


def forked(output: Path) -> int:
    """The process id of a child that does the run; everything is imported in it already."""
    child = os.fork()
    if child:
        return child
    try:
        run(output)
    finally:
        os._exit(0 if (output / "table.csv").exists() else 1)


def killed(folder: Path, kills: int, seed: int) -> None:
    """Kill `kills` runs at random moments, each going on from the one before, in a new folder whenever one has ended; the
    last one ends."""
    rng = random.Random(seed)
    start = time.monotonic()
    run(folder / "whole")
    longest = 1.2 * (time.monotonic() - start)
    done, number = 0, 0
    while done < kills:
        child = forked(folder / f"run{number}")
        time.sleep(rng.uniform(0, longest) ** 2 / longest)  # early moments, too, are many
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            done += 1
        else:  # it was done before the kill
            number += 1
    run(folder / f"run{number}")


if __name__ == "__main__":
    killed(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
