"""`submit`: a run becomes entries of the leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from robustbench_nlp.console import say

__all__ = ["command"]


def _claims(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, float]:
    """NAME=NUMBER each."""
    made = {}
    for value in values:
        name, _, number = value.partition("=")
        try:
            made[name.strip()] = float(number)
        except ValueError:
            raise click.BadParameter(f"cannot read '{value}'; write robust=0.31") from None
    return made


@click.command("submit")
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--defense", metavar="D", help="Only this defense of the run. Default: every one.")
@click.option(
    "--to",
    metavar="DIR",
    default="results/leaderboard",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The leaderboard's folder.",
)
@click.option("--name", metavar="NAME", help="What the leaderboard calls the victim. Default: as the run does.")
@click.option(
    "--link", "links", metavar="URL", multiple=True, help="A paper, weights or code; may be given several times."
)
@click.option(
    "--claim",
    "claims",
    metavar="robust=0.31",
    multiple=True,
    callback=_claims,
    help="The authors' own value, clean or robust, as a fraction.",
)
@click.option("--external", is_flag=True, help="The claim is an evaluation elsewhere, such as an adaptive attack.")
@click.option(
    "--whole-texts",
    is_flag=True,
    help="Publish whole adversarial texts, not edits: only where the data set's licence lets you.",
)
@click.option(
    "--replace",
    is_flag=True,
    help="Write over what has this name: another entry, or links and claims that stay otherwise.",
)
def command(folder: Path, **settings: Any) -> None:
    """Make leaderboard entries of a run.

    One for each defense, under each published ensemble that the run measured (--attacks worst-case:standard-1): DIR/TASK/ENSEMBLE/VICTIM__DEFENSE.json,
    and the adversarial texts beside it. Refused are unfinished (with --defense: of that defense) and transferred runs, rows with more than one error in a hundred, and
    ensembles that aren't as published.
    """
    from robustbench_nlp.leaderboard.entry import CLAIMS, read_entry
    from robustbench_nlp.leaderboard.shown import interval
    from robustbench_nlp.leaderboard.submission import submit
    from robustbench_nlp.report.shown import percent

    for path in submit(folder, **settings):
        entry = read_entry(path)
        told = entry.measured
        claims = [
            f"claimed {key} {percent(entry.claimed[name])} %" for key, name in CLAIMS.items() if name in entry.claimed
        ]
        marks = "".join(f"; {', '.join(found)}" for found in (entry.flags, claims, entry.links) if found)
        say(
            f"{path}: robust {percent(told['robust_accuracy'])} % {interval(told, 'robust')}, "
            f"clean {percent(told['clean_accuracy'])} %, n = {told['n']}{marks}"
        )
