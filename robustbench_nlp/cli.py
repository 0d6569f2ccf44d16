"""The command `robustbench-nlp`: its subcommands are the modules of `robustbench_nlp.commands`.

Exit codes: 0 done, 1 incomplete, 2 bad use or input, 130 interrupted.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import click

from robustbench_nlp import __version__, commands
from robustbench_nlp.console import BAD_USE, INCOMPLETE, INTERRUPTED, complain
from robustbench_nlp.errors import BudgetSpent, UsageError

__all__ = ["main"]

RESUMES = "what was recorded is kept, and the same command goes on from there"
_REFUSALS = (
    "ENOSPC",
    "EDQUOT",
    "EFBIG",
    "EACCES",
    "EPERM",
    "EROFS",
    "EEXIST",
    "EISDIR",
    "ENOTDIR",
    "ENAMETOOLONG",
    "EIO",
    "ELOOP",
    "ESTALE",
)
REFUSED = frozenset(getattr(errno, name) for name in _REFUSALS if hasattr(errno, name))
"""A full disk, missing permission, and what else a file system says to a user."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code. What a user can mend is told in one line on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # texts may hold what the terminal's encoding can't
            stream.reconfigure(errors="backslashreplace")
    try:
        given = sys.argv[1:] if arguments is None else list(arguments)
        code: int | None = app.main(given or ["-h"], prog_name="robustbench-nlp", standalone_mode=False)
        return code or 0
    except UsageError as problem:
        return complain(str(problem), INCOMPLETE if isinstance(problem, BudgetSpent) else BAD_USE)
    except click.ClickException as problem:
        context = getattr(problem, "ctx", None)
        told = problem.format_message()
        stop = "" if told.rstrip(")").endswith((".", "?", "!")) else "."
        return complain(f"{told}{stop} See {context.command_path if context else 'robustbench-nlp'} -h.")
    except (click.Abort, KeyboardInterrupt):
        return complain(f"interrupted; {RESUMES}", INTERRUPTED)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INCOMPLETE
    except OSError as problem:
        if problem.errno not in REFUSED:
            raise
        where = f" ({problem.filename})" if problem.filename else ""
        return complain(f"{problem.strerror}{where}; mend that: {RESUMES}")


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(module.name for module in iter_modules(commands.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        found: click.Command = import_module(f"{commands.__name__}.{cmd_name}").command
        return found

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:  # click would put an empty line before ours
            raise click.Abort from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, message="%(version)s")
def app() -> None:
    """How well do language models hold up when their input is attacked, and how much does each defense help?

    Try: robustbench-nlp run --victim tfidf-mr --dataset mr --attacks deepwordbug --limit 50
    """


if __name__ == "__main__":
    sys.exit(main())
