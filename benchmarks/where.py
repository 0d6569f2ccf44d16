"""Where the time of a run goes: the functions with the largest share of their own time, of `evaluate` on one victim, with torch's
linear layers as they come and packed (`robustbench_nlp.packing`), and with a victim that costs nothing.

Usage: where.py [--attack pwws] [--examples N] [--top K]
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
from pathlib import Path

from backends import unpacked
from overhead import FreeVictim

import robustbench_nlp as rb
from robustbench_nlp.data import Dataset, Example, load_dataset
from robustbench_nlp.victim import Victim, open_victim


def shares(victim: Victim, attack: str, data: str | Dataset, limit: int) -> tuple[float, list[tuple[float, int, str]]]:
    """Seconds of the second run, profiled, and (share of own time, calls, function), the largest first."""
    profile = cProfile.Profile()
    for enabled in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            if enabled:
                profile.enable()
            rb.evaluate(
                victim=victim, dataset=data, attacks=[attack], limit=limit, similarity="none", output=Path(folder)
            )
            profile.disable()
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    total = sum(own for _, _, own, _, _ in stats.values())
    found = [(own / total, calls, _name(*where)) for where, (_, calls, own, _, _) in stats.items()]
    return total, sorted(found, reverse=True)


def _name(file: str, line: int, function: str) -> str:
    if file == "~":
        return function.strip("<>")
    return f"{'/'.join(Path(file).parts[-2:])}:{function}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--victim", default="minilm-mr")
    parser.add_argument("--attack", default="pwws")
    parser.add_argument("--examples", type=int, default=50)
    parser.add_argument("--top", type=int, default=8)
    given = parser.parse_args()
    examples = tuple(Example(fields=example.fields, label=1) for example in load_dataset("mr", "test").head(500))
    free = Dataset(name="mr", split="test", examples=examples, label_names=("negative", "positive"))
    ways: dict[str, tuple[Victim, str | Dataset, int]] = {
        f"{given.victim}, linear layers as torch has them": (unpacked(open_victim(given.victim)), "mr", given.examples),
        f"{given.victim}, packed": (open_victim(given.victim), "mr", given.examples),
        "a victim that costs nothing": (FreeVictim(), free, len(examples)),
    }
    print("| victim | share of own time | calls | function |\n| :-- | --: | --: | :-- |")
    for name, (victim, data, limit) in ways.items():
        seconds, lines = shares(victim, given.attack, data, limit)
        for share, calls, function in lines[: given.top]:
            print(f"| {name}, {seconds:.1f} s | {100 * share:.1f} % | {calls} | `{function}` |")


if __name__ == "__main__":
    main()
