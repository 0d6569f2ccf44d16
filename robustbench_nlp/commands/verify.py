"""`verify`: does a run hold?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from robustbench_nlp.console import INCOMPLETE, PIPED_WIDTH

__all__ = ["command"]

SHOWN = 50
"""Differences that are printed; the others are counted."""


@click.command("verify")
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--victim", metavar="VICTIM", help="The model, where it isn't found by the name that the run has for it.")
@click.option(
    "--sample", type=click.IntRange(min=1), help="Check the first N attempted examples of each cell. Default: all."
)
@click.option("--device", metavar="DEVICE", default="auto", show_default=True, help="auto, cpu, cuda, …")
def command(folder: Path, **settings: Any) -> int:
    """Check a run: texts, threats, outcomes and table.

    Predicts every recorded text again, holds it against the threat from the original text, and computes the table again from
    the records; says line by line what differs. That a failed search looked for long enough is not checked.
    """
    from rich.console import Console

    from robustbench_nlp import progress
    from robustbench_nlp.verification import verify

    with progress.listening(Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, stderr=True)):
        result = verify(folder, **settings)
    for line in result.differences[:SHOWN]:
        click.echo(line)
    if len(result.differences) > SHOWN:
        click.echo(f"… and {len(result.differences) - SHOWN} more")
    checked = f"{result.cells} cells, {result.texts} examples predicted again"
    click.echo(f"{folder}: {checked}; {'it holds' if result.holds else f'{len(result.differences)} differences'}")
    return 0 if result.holds else INCOMPLETE
