"""`report`: a run's table anew, in other forms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from robustbench_nlp.console import say
from robustbench_nlp.errors import UsageError
from robustbench_nlp.flags import listed

__all__ = ["command"]


@click.command("report")
@click.argument("folders", metavar="[RUN...]", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--leaderboard",
    metavar="[DIR]",
    is_flag=False,
    flag_value="results/leaderboard",
    type=click.Path(path_type=Path),
    help="Show a leaderboard's entries as a web page, CSV and Markdown. Default: those in results/leaderboard.",
)
@click.option(
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where a leaderboard's files go. Default: its folder.",
)
@click.option(
    "--formats",
    metavar="A,B",
    type=click.UNPROCESSED,
    callback=listed,
    help="csv, md, latex, parquet, html, ranking, valid, curves, sheet, model-index. Default: csv,md,latex,valid,html.",
)
@click.option(
    "--review",
    "sheet",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Draw a sheet for human review, as `review` does.",
)
def command(
    folders: Sequence[Path],
    formats: list[str] | None,
    leaderboard: Path | None,
    output: Path | None,
    sheet: Path | None,
) -> None:
    """Write a run's report from its records: a web page, CSV, Markdown, LaTeX, Parquet.

    Into the run folder: report.html, table.csv, table.md, table.tex, table.parquet; nothing is attacked. The web page is one
    file with the tables, valid successes, curves and every example. The best defense under an attack is bold, and ≈ marks what can't be told
    from it. ranking writes ranking.csv and ranking.md: 1 + the number of significantly better defenses, worst case first; valid
    writes valid.csv and valid.md: which successes keep stricter limits, and the accuracy that those leave; curves
    writes curves.csv: accuracy against queries and against changed words; model-index writes model-index.yaml for the front
    matter of a Hugging Face model card; sheet writes examples.csv for spreadsheets: every example with its texts, and no
    cell that a spreadsheet computes.

    --leaderboard reads entries instead (see submit) and writes index.html, leaderboard.csv and README.md; model-index as for runs.
    """
    if leaderboard is not None:
        _board(folders, formats, leaderboard, output)
        return
    if not folders or output is not None:
        raise UsageError("--output is for --leaderboard" if folders else "name a run folder, or --leaderboard")
    from robustbench_nlp.commands.review import drawn
    from robustbench_nlp.report.files import DEFAULTS, written

    if sheet is not None:
        if len(folders) != 1:
            raise UsageError("a sheet is drawn from one run; name one")
        drawn(folders[0], sheet)
        if formats is None:
            return
    for folder in folders:
        for path in written(folder, formats or DEFAULTS):
            say(path)


def _board(runs: Sequence[Path], formats: list[str] | None, folder: Path, output: Path | None) -> None:
    from robustbench_nlp.leaderboard.files import DEFAULTS, board_written

    if runs:
        raise UsageError(f"a leaderboard is made of its entries; leave {runs[0]} out, or submit it first")
    for path in board_written(folder, formats or DEFAULTS, output):
        say(path)
