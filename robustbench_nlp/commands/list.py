"""`list`: what there is to name."""

from __future__ import annotations

import json
import shutil
import sys
from typing import get_args

import click

from robustbench_nlp import plugins
from robustbench_nlp.console import say

__all__ = ["command"]

KINDS = {f"{kind}s": kind for kind in get_args(plugins.Kind)}


@click.command("list")
@click.argument("kind", metavar="|".join(KINDS), type=click.Choice(list(KINDS)))
@click.option("--json", "as_json", is_flag=True, help="As a JSON list, for programs.")
def command(kind: str, as_json: bool) -> None:
    """Attacks, defenses, victims, datasets, tasks or trackers, a line on each.

    Attacks stand by what they change and what they see of the victim, with their threats; recipes of other libraries with
    whether they run here. A terminal cuts long lines, a pipe doesn't.
    """
    from robustbench_nlp import listing

    if as_json:
        rows = [{**row._asdict(), "choices": [c._asdict() for c in row.choices]} for row in listing.listed(KINDS[kind])]
        say(json.dumps(rows, indent=1))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in listing.lines(KINDS[kind], width):
        say(line)
