"""`doctor`: what is installed and what is not."""

from __future__ import annotations

import click

from robustbench_nlp.console import INCOMPLETE, aligned, columns, say

__all__ = ["command"]


@click.command("doctor")
@click.option("--verify", is_flag=True, help="Check every resource by its hash, not only by its size.")
def command(verify: bool) -> int:
    """What is installed, how to get the rest, where the cache is.

    With each data file and model: its size, the first digits of its SHA-256 sum, its state here and its licence.
    """
    from robustbench_nlp import diagnosis

    result = diagnosis.diagnose()
    aligned(result.lines)
    say()
    columns(diagnosis.resource_rows(verify=verify))
    return 0 if result.healthy else INCOMPLETE
