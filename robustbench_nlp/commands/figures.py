"""`figures`: a run's plots for a paper."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from robustbench_nlp.console import say
from robustbench_nlp.flags import listed

__all__ = ["command"]


@click.command("figures")
@click.argument("folders", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--formats", metavar="A,B", type=click.UNPROCESSED, callback=listed, help="pdf, svg, png. Default: pdf,svg."
)
def command(folders: Sequence[Path], formats: list[str] | None) -> None:
    """Draw a run's figures for a paper.

    Into RUN/figures, from the run's records: accuracy (clean beside robust), queries, words, noise, heat; each with what a
    constant answer scores. 5.5 inches wide, fonts embedded, safe for the colour-blind, no dates inside. Needs the extra plots.
    """
    from robustbench_nlp.report.figures import figures, saved
    from robustbench_nlp.report.files import tabled

    for folder in folders:
        for path in saved(figures(*tabled(folder)), folder / "figures", formats or ("pdf", "svg")):
            say(path)
