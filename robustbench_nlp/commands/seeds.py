"""`seeds`: one table over several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import click

from robustbench_nlp.console import say

__all__ = ["command"]


@click.command("seeds")
@click.argument("folders", metavar="RUN RUN...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "form", flag_value="json", help="As a JSON list, for programs.")
@click.option("--csv", "form", flag_value="csv", help="As CSV, every digit.")
@click.option("--md", "form", flag_value="md", help="As Markdown.")
@click.option(
    "--latex", "form", flag_value="latex", help="As a table for a paper: robust accuracy ± standard deviation."
)
def command(folders: Sequence[Path], form: Literal["json", "csv", "md", "latex"] | None) -> None:
    """One table over runs that differ in their seed alone.

    Each rate over all seeds with its standard deviation from seed to seed, and a 95 % interval that knows that the runs share
    their examples. Runs that differ in anything else are refused, with the setting named.
    """
    from rich.text import Text

    from robustbench_nlp.report import over_seeds as shown
    from robustbench_nlp.report.stacked import stacked
    from robustbench_nlp.screen import screen
    from robustbench_nlp.seeds import over_seeds

    frame = over_seeds(folders)
    if form == "json":
        say(frame.to_json(orient="records", indent=1, double_precision=15))
    elif form == "csv":
        say(frame.to_csv(index=False, lineterminator="\n").rstrip("\n"))
    elif form is not None:
        say({"md": shown.markdown, "latex": shown.latex}[form](frame).rstrip("\n"))
    else:
        console = screen()
        console.print(Text(shown.title(frame), "table.title"))
        for table in stacked(
            console, shown.NAMES, shown.GROUPS, [shown.cells(row) for row in frame.to_dict("records")]
        ):
            console.print(table)
        console.print(Text(" ".join(shown.caption(frame)), "table.caption"))
