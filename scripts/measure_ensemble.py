"""Measures what each member adds to an ensemble: runs all members in full on each victim and prints one Markdown table.

Usage: measure_ensemble.py NAME [--victims minilm-mr,tfidf-mr,cnn-mr] [--defenses none] [--limit 100] [--dataset mr] [--split test]
[--seed 0] [--output DIR]. For example: python scripts/measure_ensemble.py fast-1 --victims tfidf-mr --limit 50

Members keep the ensemble's budgets, and the noise baseline `random-typos` runs beside them. Interrupted, the same command
goes on where it stopped. "adds" is the robust accuracy of the worst case without the member minus that with it; members
stand in the order in which each lowers what those before it left, "so far", most.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from rich.console import Console

from robustbench_nlp import evaluate, progress
from robustbench_nlp.ensembles import ensemble_names, load_ensemble
from robustbench_nlp.errors import UsageError
from robustbench_nlp.grid import WORST_CASE, grid_of
from robustbench_nlp.plugins import split_list
from robustbench_nlp.report.contributions import contributions

BASELINE = "random_typos"
"""Beside a named attack, an ensemble's members run in full; this one costs two queries an example."""


def main(arguments: argparse.Namespace) -> None:
    name = load_ensemble(arguments.ensemble).name
    view = f"{WORST_CASE}:{name}"
    members = grid_of([view], cascade=False).worst_cases[name]
    frames = []
    for victim in split_list(arguments.victims):
        run = evaluate(
            victim=victim,
            dataset=arguments.dataset,
            split=arguments.split,
            attacks=[BASELINE, view],
            defenses=split_list(arguments.defenses),
            limit=arguments.limit,
            seed=arguments.seed,
            output=arguments.output / victim if arguments.output else None,
        )
        frame = contributions(run.records, members)
        frame.insert(0, "victim", victim)
        frames.append(frame)
    print(markdown(pd.concat(frames)))


def markdown(frame: pd.DataFrame) -> str:
    """The contributions as a table: rates in percent, queries a mean per attempted example."""
    heads = ["victim", "defense", "n", "clean %", "member", "robust %", "adds", "breaks alone", "queries", "so far %"]
    rows = [
        [
            row["victim"],
            row["defense"],
            str(row["n"]),
            f"{row['clean_accuracy']:.1%}"[:-1],
            f"`{row['attack']}`",
            f"{row['robust_accuracy']:.1%}"[:-1],
            f"{row['adds']:.1%}"[:-1],
            str(row["breaks_alone"]),
            f"{row['queries_mean']:.1f}",
            f"{row['robust_so_far']:.1%}"[:-1],
        ]
        for row in frame.to_dict("records")
    ]
    marks = [":--" if head in ("victim", "defense", "member") else "--:" for head in heads]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [heads, marks, *rows])


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("ensemble", help=f"one of {', '.join(ensemble_names())}")
    parser.add_argument("--victims", default="minilm-mr,tfidf-mr,cnn-mr", help="selectors, separated by commas")
    parser.add_argument("--defenses", default="none", help="a+b stands before the victim as in `run`")
    parser.add_argument("--limit", type=int, default=100, help="examples, the first in content order")
    parser.add_argument("--dataset", default="mr")
    parser.add_argument("--split", default="test")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="a folder for the runs, one folder a victim (default: in runs/)")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        with progress.listening(Console(stderr=True)):
            main(parsed())
    except UsageError as problem:
        raise SystemExit(f"measure_ensemble.py: {problem}") from None
