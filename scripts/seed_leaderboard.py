"""Fill results/leaderboard: every victim × defense of this repository under a published ensemble, one run and one entry each.

Resumable anywhere: what is submitted is left as it is, and a run goes on where it stopped. A defense that a victim can't take is
told and left out. Each line says what came of it; the rest is `robustbench-nlp run` and `submit`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import click

from robustbench_nlp.api import evaluate
from robustbench_nlp.defense import shown
from robustbench_nlp.errors import UsageError
from robustbench_nlp.leaderboard.entry import read_entry
from robustbench_nlp.leaderboard.submission import submit
from robustbench_nlp.plugins import plugin_names, split_list
from robustbench_nlp.records import file_name
from robustbench_nlp.report.shown import percent

VICTIMS = "tfidf-mr,cnn-mr,minilm-mr"
TOGETHER = ("unicode_normalize+spell", "unicode_normalize+word_recognition", "unicode_normalize+robust_encodings")
"""Compositions beside the defenses alone: characters first, then what reads words."""

LARGE = ("minilm-mr",)
ONE_COPY = ("random_deletion", "ranmask", "safer")
"""Before a large victim one copy a prediction, of which a query takes 20 draws: 25 copies each would be read 500 times a query."""


class Plan(NamedTuple):
    """What every entry shares."""

    ensemble: str
    dataset: str
    limit: int
    to: Path
    runs: Path


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--ensemble", default="fast-1", show_default=True)
@click.option("--victims", default=VICTIMS, show_default=True)
@click.option("--defenses", help="Default: all of this repository, and some of them together.")
@click.option("--without", default="", help="Defenses to leave out.")
@click.option("--dataset", default="mr", show_default=True)
@click.option("--limit", default=500, show_default=True)
@click.option("--to", default="results/leaderboard", show_default=True, type=click.Path(path_type=Path))
@click.option("--runs", default="runs/leaderboard", show_default=True, type=click.Path(path_type=Path))
def main(victims: str, defenses: str | None, without: str, **settings: Any) -> None:
    """Run and submit what isn't on the leaderboard yet."""
    plan = Plan(**settings)
    names = split_list(defenses) if defenses else [*plugin_names("defense"), *TOGETHER]
    names = ["none", *(name for name in names if name not in ("none", *split_list(without)))]
    for victim in split_list(victims):
        copies = "(samples=1)" if victim in LARGE else ""
        for defense in dict.fromkeys(name + copies * (name in ONE_COPY) for name in names):
            start = time.time()
            told = _entry(plan, victim, defense)
            click.echo(f"{victim} × {defense}: {told} ({time.time() - start:.0f} s)")
            sys.stdout.flush()


def _entry(plan: Plan, victim: str, defense: str) -> str:
    """Make one entry; what came of it. A defense that would train a victim without weights is put around it as it is."""
    selectors = (defense,) if defense.endswith(")") else (defense, f"{defense}(train=False)")
    if any(_submitted(plan, victim, selector) for selector in selectors):
        return "on the leaderboard"
    for selector in selectors:
        parts = plan.ensemble, f"{plan.dataset}-{plan.limit}", victim, shown(selector)
        try:
            run = evaluate(
                victim=victim,
                dataset=plan.dataset,
                attacks=[f"worst-case:{plan.ensemble}"],
                defenses=[selector],
                limit=plan.limit,
                output=plan.runs.joinpath(*map(file_name, parts)),
            )
            (path,) = submit(run.folder, to=plan.to)
        except UsageError as problem:
            if selector == defense and "(train=False)" in str(problem):
                continue
            return f"left out: {problem}"
        measured = read_entry(path).measured
        return f"{percent(measured['robust_accuracy'])} % robust, {percent(measured['clean_accuracy'])} % clean, {path}"
    return "left out"


def _submitted(plan: Plan, victim: str, selector: str) -> bool:
    wanted = victim, shown(selector), plan.dataset, plan.limit
    there = map(read_entry, plan.to.glob(f"*/{plan.ensemble}/*.json"))
    return wanted in (
        (entry.victim["selector"], entry.defense["name"], entry.dataset["selector"], entry.benchmark["limit"])
        for entry in there
    )


if __name__ == "__main__":
    main()
