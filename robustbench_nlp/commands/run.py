"""`run`: table the accuracy that attacks leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from robustbench_nlp.console import INCOMPLETE, columns, complain, say
from robustbench_nlp.flags import label_map, listed, read_file, train

if TYPE_CHECKING:
    import pandas as pd

    from robustbench_nlp.runner import Runner

__all__ = ["command"]


@click.command("run")
@click.argument(
    "file", metavar="[BENCHMARK.yaml]", required=False, is_eager=True, expose_value=False, callback=read_file
)
@click.option("--task", metavar="TASK", help="classification (the default).")
@click.option("--dataset", metavar="DATASET", help="mr, imdb, csv:PATH, jsonl:PATH, hf:ID, …")
@click.option("--split", metavar="SPLIT", help="test (the default), dev or train.")
@click.option(
    "--victim", metavar="VICTIM", help="minilm-mr, tfidf-mr, hf:ID_OR_FOLDER, python:MODULE:CALLABLE, http:URL, …"
)
@click.option(
    "--defenses",
    metavar="A,B+C",
    type=click.UNPROCESSED,
    callback=listed,
    help="Defenses, each run by itself; a+b puts a before b. Default: none.",
)
@click.option(
    "--attacks",
    metavar="A,B,worst-case",
    type=click.UNPROCESSED,
    callback=listed,
    help="Attacks; worst-case adds the worst over all of them.",
)
@click.option("--limit", type=int, help="Use the first N examples; 100 are a subset of 200. Default: all.")
@click.option("--seed", type=int, help="Seed of every random choice. Default: 0.")
@click.option(
    "--max-queries",
    type=int,
    help="Queries that an attack may spend on an example, the clean one included; of a random victim, on each draw.",
)
@click.option("--batch-size", metavar="auto|N", help="Inputs of one call of the victim. Default: auto.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Give a python: function or an http: server up after so long, a batch. Default: never; a server after 60.",
)
@click.option(
    "--dtype",
    metavar="DTYPE",
    help="Precision of the search, helper models included: float32 (default), bfloat16, float16, or auto: what a short measurement finds fastest; float32 credits.",
)
@click.option("--device", metavar="DEVICE", help="auto (default), cpu, cuda, …")
@click.option(
    "--mode",
    metavar="MODE",
    help="adaptive (the default): attacks meet the defended victim; transfer: it is shown what fooled the undefended one.",
)
@click.option(
    "--draws",
    type=int,
    help="Draws of a random victim that a score averages and a success is judged by, a query each. Default: 20.",
)
@click.option("--deterministic", is_flag=True, default=None, help="Equal bits on one machine: float32, one thread.")
@click.option(
    "--similarity",
    metavar="NAME",
    help="auto (default), embedded or none: the encoder that measures how similar successes are.",
)
@click.option("--cascade", is_flag=True, default=None, help="Attack only what the attacks before left standing.")
@train
@label_map
@click.option("--output", metavar="DIR", help="Run folder. Default: one in runs/ named after the benchmark.")
@click.option("--resume/--no-resume", default=None, help="Go on from the folder's records (default), or start anew.")
@click.option("--workers", type=int, help="Processes that share the examples of each cell. Default: 1.")
@click.option(
    "--backend", metavar="NAME", help="What the workers are: processes (the default), or ray: actors of a cluster."
)
@click.option(
    "--shard",
    metavar="I/N",
    help="Attack one of N parts of the examples, on a machine of its own; the same command without it gathers the parts.",
)
@click.option(
    "--estimate",
    is_flag=True,
    default=None,
    help="Print what would be sent to a server and what it would cost; send and write nothing.",
)
@click.option("--quiet", is_flag=True, default=None, help="Print nothing but the run folder.")
def command(estimate: bool | None, quiet: bool | None, **settings: Any) -> int:
    """Table the accuracy that attacks leave.

    Every attack meets the victim without and with each defense.

    BENCHMARK.yaml holds the same settings (max_queries for --max-queries); flags win over it. A run folder's run.yaml is
    such a file.
    """
    from robustbench_nlp import api

    def evaluate(**more: Any) -> api.Run:
        return api.evaluate(**{"victim": "", "dataset": "", "attacks": [], **given, **more})

    given = {name: value for name, value in settings.items() if value is not None}
    if estimate:
        return _estimated(evaluate)
    finished = evaluate() if quiet else _shown(evaluate)
    say(finished.folder)
    if not finished.complete:
        complain(
            "incomplete: more than one example in a hundred of a row ended in an error "
            f"(see {finished.folder / 'records'}); the same command tries them again"
        )
        return INCOMPLETE
    return 0


def _priced(runner: Runner) -> None:
    """Say what a run that costs money may cost, before it begins."""
    from robustbench_nlp import progress
    from robustbench_nlp.estimate import GLANCED, estimate, priced

    if priced(runner.victim):
        progress.note(estimate(runner, GLANCED).line())


def _estimated(evaluate: Callable[..., Any]) -> int:
    """Print the estimate of a run that is opened and not begun."""
    from robustbench_nlp import progress
    from robustbench_nlp.estimate import estimate
    from robustbench_nlp.screen import screen

    def show(runner: Runner) -> None:
        with progress.listening(screen(stderr=True)):
            found = estimate(runner)
        columns(found.rows())
        for line in found.lines():
            say(line)
        raise click.exceptions.Exit(0)

    evaluate(on_open=show)
    return 0


def _shown(evaluate: Callable[..., Any]) -> Any:
    """Evaluate with progress on the terminal: each row as soon as it is there, the whole table in the end."""
    from robustbench_nlp import progress
    from robustbench_nlp.report.shown import render, summary
    from robustbench_nlp.screen import screen

    rows = 0

    def show(table: pd.DataFrame) -> None:
        nonlocal rows
        for line in summary(table.iloc[rows:]):
            progress.note(line)
        rows = len(table)

    with progress.listening(screen()):
        finished = evaluate(on_table=show, on_open=_priced)
        progress.note(render(finished.table))
        if finished.spending is not None:
            progress.note(finished.spending.told())
        return finished
