"""`log`: a run in an experiment tracker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from robustbench_nlp.console import say

__all__ = ["command"]


@click.command("log")
@click.argument("folders", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--to", metavar="TRACKER:WHERE", required=True, help="tensorboard:DIR or mlflow:URI.")
def command(folders: Sequence[Path], to: str) -> None:
    """Log a run to an experiment tracker.

    From the run's records: settings, every rate of the table, accuracy against queries as curves (the step is the queries
    spent), the table, and for MLflow the run's files. `list trackers` names the trackers.
    """
    from robustbench_nlp.tracking import told, tracker

    found = tracker(to)
    for folder in folders:
        say(found.log(told(folder)))
