"""`list`: what there is to name."""

from __future__ import annotations

import json
import shutil
import sys
from typing import Any, get_args

import click

from robustbench_nlp import plugins
from robustbench_nlp.console import say

__all__ = ["command"]

KINDS = {f"{kind}s": kind for kind in get_args(plugins.Kind)}


@click.command("list")
@click.argument("kind", metavar=f"[{'|'.join(KINDS)}]", type=click.Choice(list(KINDS)), required=False)
@click.option("--json", "as_json", is_flag=True, help="As a JSON list, for programs.")
def command(kind: str | None, as_json: bool) -> None:
    """Attacks, defenses, victims, datasets, tasks or trackers, a line on each; without a kind, how many there are of each.

    Attacks stand by what they change and what they see of the victim, with their threats; recipes of other libraries with
    whether they run here. A terminal cuts long lines, a pipe doesn't.
    """
    from robustbench_nlp import listing

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    if as_json:
        say(json.dumps(_overview() if kind is None else _listed(KINDS[kind]), indent=1))
        return
    for line in listing.overview(KINDS, width) if kind is None else listing.lines(KINDS[kind], width):
        say(line)


def _overview() -> list[dict[str, Any]]:
    from robustbench_nlp import listing

    return [{"kind": name, "names": listing.names(kind)} for name, kind in KINDS.items()]


def _listed(kind: plugins.Kind) -> list[dict[str, Any]]:
    from robustbench_nlp import listing

    return [{**row._asdict(), "choices": [choice._asdict() for choice in row.choices]} for row in listing.listed(kind)]
