"""`fetch`: build now what is otherwise built at first use."""

from __future__ import annotations

from collections.abc import Sequence

import click

from robustbench_nlp.console import INCOMPLETE, columns, complain
from robustbench_nlp.errors import UsageError

__all__ = ["command"]


@click.command("fetch")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "everything", is_flag=True, help="All that the installed extras bring or build.")
def command(names: Sequence[str], everything: bool) -> int:
    """Build now what is otherwise built at first use, and check it by its hash.

    Without a name: every data file and model, with its size, state and licence.
    """
    from robustbench_nlp import diagnosis, progress, resources
    from robustbench_nlp.screen import screen

    wanted = [resources.resource_named(name) for name in names]
    if everything:
        here = (r for r in resources.resources() if resources.inspect(r).state != "extra missing")
        wanted += [resource for resource in here if resource not in wanted]
    if not wanted:
        columns(diagnosis.resource_rows())
        return 0
    failed = False
    with progress.listening(screen()):
        for resource in wanted:
            try:
                progress.note(f"{resource.name}: {diagnosis.told(resource, resources.fetch(resource))}")
            except UsageError as problem:
                failed = True
                complain(f"{resource.name}: {problem}")
    return INCOMPLETE if failed else 0
