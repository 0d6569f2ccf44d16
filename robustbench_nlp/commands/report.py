"""`report`: a run's table anew, in other forms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from robustbench_nlp.console import say
from robustbench_nlp.flags import listed

__all__ = ["command"]


@click.command("report")
@click.argument("folders", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--formats",
    metavar="A,B",
    type=click.UNPROCESSED,
    callback=listed,
    help="csv, md, latex, parquet, ranking, html, sheet. Default: csv,md,latex,html.",
)
def command(folders: Sequence[Path], formats: list[str] | None) -> None:
    """Write a run's report from its records: a web page, CSV, Markdown, LaTeX, Parquet.

    Into the run folder: report.html, table.csv, table.md, table.tex, table.parquet; nothing is attacked. The web page is one
    file with the tables, curves and every example. The best defense under an attack is bold, and ≈ marks what can't be told
    from it. ranking writes ranking.csv and ranking.md: 1 + the number of significantly better defenses, worst case first.
    sheet writes examples.csv for spreadsheets: every example with its texts, and no cell that a spreadsheet computes.
    """
    from robustbench_nlp.report.files import DEFAULTS, written

    for folder in folders:
        for path in written(folder, formats or DEFAULTS):
            say(path)
