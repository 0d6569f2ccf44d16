"""The command `robustbench-nlp`. Commands import their work when they run: `-h` and `list` load neither torch nor pandas.

Exit codes: 0 done, 1 incomplete, 2 bad use or input, 130 interrupted.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, get_args

import click

from robustbench_nlp import __version__, plugins
from robustbench_nlp.errors import UsageError
from robustbench_nlp.flags import listed, pairs, read_file

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["main"]

INCOMPLETE, BAD_USE, INTERRUPTED = 1, 2, 130
RESUMES = "what was recorded is kept, and the same command goes on from there"
_REFUSALS = ("ENOSPC", "EDQUOT", "EFBIG", "EACCES", "EPERM", "EROFS", "EEXIST", "ENOTDIR", "ENAMETOOLONG")
REFUSED = frozenset(getattr(errno, name) for name in _REFUSALS if hasattr(errno, name))
"""A full disk, missing permission, and what else a file system says to a user."""
PIPED_WIDTH = 160
"""Columns of a table that goes to a file or a pipe: enough to break no name."""
KINDS = {f"{kind}s": kind for kind in get_args(plugins.Kind)}


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
        return _complain(str(problem))
    except click.ClickException as problem:
        context = getattr(problem, "ctx", None)
        return _complain(f"{problem.format_message()} See {context.command_path if context else 'robustbench-nlp'} -h.")
    except (click.Abort, KeyboardInterrupt):
        return _complain(f"interrupted; {RESUMES}", INTERRUPTED)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INCOMPLETE
    except OSError as problem:
        if problem.errno not in REFUSED:
            raise
        where = f" ({problem.filename})" if problem.filename else ""
        return _complain(f"{problem.strerror}{where}; mend that: {RESUMES}")


def _complain(message: str, code: int = BAD_USE) -> int:
    click.echo(f"robustbench-nlp: {' '.join(message.split())}", err=True)
    return code


class _Commands(click.Group):
    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except KeyboardInterrupt:  # click would put an empty line before ours
            raise click.Abort from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, message="%(version)s")
def app() -> None:
    """How well do language models hold up when their input is attacked, and how much does each defense help?

    Try: robustbench-nlp run --victim tfidf-mr --dataset mr --attacks deepwordbug --limit 50
    """


@app.command()
@click.argument(
    "file", metavar="[BENCHMARK.yaml]", required=False, is_eager=True, expose_value=False, callback=read_file
)
@click.option("--task", metavar="TASK", help="classification (the default).")
@click.option("--dataset", metavar="DATASET", help="mr, imdb, csv:PATH, jsonl:PATH, hf:ID, …")
@click.option("--split", metavar="SPLIT", help="test (the default), dev or train.")
@click.option(
    "--victim", metavar="VICTIM", help="minilm-mr, tfidf-mr, hf:ID_OR_FOLDER, python:MODULE:CALLABLE, http:URL, …"
)
@click.option(
    "--defenses",
    metavar="A,B+C",
    type=click.UNPROCESSED,
    callback=listed,
    help="Defenses, each run by itself; a+b puts a before b. Default: none.",
)
@click.option(
    "--attacks",
    metavar="A,B,worst-case",
    type=click.UNPROCESSED,
    callback=listed,
    help="Attacks; worst-case adds the worst over all of them.",
)
@click.option("--limit", type=int, help="Use the first N examples; 100 are a subset of 200. Default: all.")
@click.option("--seed", type=int, help="Seed of every random choice. Default: 0.")
@click.option("--max-queries", type=int, help="Queries that an attack may spend on an example, the clean one included.")
@click.option("--batch-size", metavar="auto|N", help="Inputs of one call of the victim. Default: auto.")
@click.option(
    "--dtype",
    metavar="DTYPE",
    help="Precision of the search, helper models included: float32 (default), bfloat16 or float16; float32 credits.",
)
@click.option("--device", metavar="DEVICE", help="auto (default), cpu, cuda, …")
@click.option(
    "--mode",
    metavar="MODE",
    help="adaptive (the default): attacks meet the defended victim; transfer: it is shown what fooled the undefended one.",
)
@click.option("--draws", type=int, help="Draws of a random victim that are averaged. Default: 1.")
@click.option("--deterministic", is_flag=True, default=None, help="Equal bits on one machine: float32, one thread.")
@click.option(
    "--similarity",
    metavar="NAME",
    help="auto (default), embedded or none: the encoder that measures how similar successes are.",
)
@click.option("--cascade", is_flag=True, default=None, help="Attack only what the attacks before left standing.")
@click.option("--train", metavar="DATASET", help="Training data for defenses, where the dataset has no train split.")
@click.option(
    "--label-map",
    metavar="A=B,..",
    type=click.UNPROCESSED,
    callback=pairs,
    help="Which of the victim's labels is which of the dataset's.",
)
@click.option("--output", metavar="DIR", help="Run folder. Default: one in runs/ named after the benchmark.")
@click.option("--resume/--no-resume", default=None, help="Go on from the folder's records (default), or start anew.")
@click.option("--quiet", is_flag=True, default=None, help="Print nothing but the run folder.")
def run(quiet: bool | None, **settings: Any) -> int:
    """Table the accuracy that attacks leave.

    Every attack meets the victim without and with each defense.

    BENCHMARK.yaml holds the same settings (max_queries for --max-queries); flags win over it. A run folder's run.yaml is
    such a file.
    """
    from robustbench_nlp import api

    def evaluate(**more: Any) -> api.Run:
        return api.evaluate(**{"victim": "", "dataset": "", "attacks": [], **given, **more})

    given = {name: value for name, value in settings.items() if value is not None}
    finished = evaluate() if quiet else _shown(evaluate)
    click.echo(finished.folder)
    if not finished.complete:
        _complain(
            "incomplete: more than one example in a hundred of a row ended in an error "
            f"(see {finished.folder / 'records'}); the same command tries them again"
        )
        return INCOMPLETE
    return 0


def _shown(evaluate: Callable[..., Any]) -> Any:
    """Evaluate with progress on the terminal: each row as soon as it is there, the whole table in the end."""
    from rich.console import Console

    from robustbench_nlp import progress
    from robustbench_nlp.report.shown import render, summary

    rows = 0

    def show(table: pd.DataFrame) -> None:
        nonlocal rows
        for line in summary(table.iloc[rows:]):
            progress.note(line)
        rows = len(table)

    with progress.listening(Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)):
        finished = evaluate(on_table=show)
        progress.note(render(finished.table))
        return finished


@app.command("list")
@click.argument("kind", metavar="|".join(KINDS), type=click.Choice(list(KINDS)))
@click.option("--json", "as_json", is_flag=True, help="As a JSON list, for programs.")
def list_(kind: str, as_json: bool) -> None:
    """Attacks, defenses, victims, datasets or tasks, a line on each.

    Attacks stand by what they change and what they see of the victim, with their threats; recipes of other libraries with
    whether they run here. A terminal cuts long lines, a pipe doesn't.
    """
    from robustbench_nlp import listing

    if as_json:
        rows = [{**row._asdict(), "choices": [c._asdict() for c in row.choices]} for row in listing.listed(KINDS[kind])]
        click.echo(json.dumps(rows, indent=1))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in listing.lines(KINDS[kind], width):
        click.echo(line)


def _columns(rows: Sequence[Sequence[str]]) -> None:
    """A table whose first row are headings; the last column is as wide as it is."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _aligned(rows: Sequence[tuple[str, str]]) -> None:
    width = max((len(name) for name, _ in rows), default=0)
    for name, line in rows:
        click.echo(f"{name:{width}}  {line}".rstrip())


@app.command("attack")
@click.argument("text")
@click.option("--victim", default="minilm-mr", show_default=True, help="The victim's selector.")
@click.option("--attack", metavar="ATTACK", default="deepwordbug", show_default=True, help="The attack's selector.")
@click.option("--defense", default="none", show_default=True, help="A defense, or several: a+b.")
@click.option("--label", help="The text's true label. Default: what the victim says.")
@click.option("--train", metavar="DATASET", default="mr", show_default=True, help="Training data for the defense.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of every random choice.")
@click.option("--max-queries", type=int, help="Queries that the attack may spend.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, …")
def attack_(text: str, **settings: Any) -> int:
    """Attack one sentence.

    Shows the text and the prediction before and after.
    """
    from rich.console import Console

    from robustbench_nlp import progress, trial

    with progress.listening(Console(stderr=True)):
        result = trial.attack_text(text, **settings)
    _aligned(result.lines)
    return INCOMPLETE if result.failed else 0


@app.command("certify")
@click.argument("file", metavar="[CERTIFY.yaml]", required=False, is_eager=True, expose_value=False, callback=read_file)
@click.option("--victim", metavar="VICTIM", default="minilm-mr", show_default=True, help="The victim's selector.")
@click.option(
    "--defenses",
    metavar="A,B+C",
    type=click.UNPROCESSED,
    callback=listed,
    help="Defenses that certify, each by itself: ranmask, random-deletion, safer, …",
)
@click.option("--dataset", metavar="DATASET", default="mr", show_default=True, help="mr, imdb, csv:PATH, …")
@click.option("--split", metavar="SPLIT", default="test", show_default=True, help="test, dev or train.")
@click.option("--limit", type=int, help="Use the first N examples. Default: all.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of every random choice.")
@click.option("--alpha", type=float, default=0.001, show_default=True, help="The chance that a certificate is wrong.")
@click.option("--n", type=int, default=1000, show_default=True, help="Draws that bound the share of the guessed class.")
@click.option("--n0", type=int, default=100, show_default=True, help="Draws that guess the class.")
@click.option("--device", metavar="DEVICE", default="auto", show_default=True, help="auto, cpu, cuda, …")
@click.option("--train", metavar="DATASET", help="Training data for defenses, where the dataset has no train split.")
@click.option(
    "--label-map",
    metavar="A=B,..",
    type=click.UNPROCESSED,
    callback=pairs,
    help="Which of the victim's labels is which of the dataset's.",
)
@click.option("--output", metavar="DIR", help="Run folder. Default: one in runs/ named after the settings.")
@click.option("--resume/--no-resume", default=True, help="Go on from the folder's records (default), or start anew.")
def certify_(**settings: Any) -> int:
    """Table the accuracy that no attack within a radius can take.

    CERTIFY.yaml holds the same settings; flags win over it. A run folder's run.yaml is such a file.
    """
    from rich.console import Console

    from robustbench_nlp import progress
    from robustbench_nlp.certification import certify
    from robustbench_nlp.report.certified import render

    with progress.listening(Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)):
        finished = certify(**{**settings, "defenses": settings["defenses"] or []})
        progress.note(render(finished.table))
    click.echo(finished.folder)
    if not finished.complete:
        _complain(
            f"incomplete: more than one example in a hundred ended in an error (see {finished.folder / 'records'})"
        )
        return INCOMPLETE
    return 0


@app.command()
@click.option("--verify", is_flag=True, help="Check every resource by its hash, not only by its size.")
def doctor(verify: bool) -> int:
    """What is installed, how to get the rest, where the cache is.

    With each data file and model: its size, the first digits of its SHA-256 sum, its state here and its licence.
    """
    from robustbench_nlp import diagnosis

    result = diagnosis.diagnose()
    _aligned(result.lines)
    click.echo()
    _columns(diagnosis.resource_rows(verify=verify))
    return 0 if result.healthy else INCOMPLETE


@app.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "everything", is_flag=True, help="All that the installed extras bring or build.")
def fetch(names: Sequence[str], everything: bool) -> int:
    """Build now what is otherwise built at first use, and check it by its hash.

    Without a name: every data file and model, with its size, state and licence.
    """
    from rich.console import Console

    from robustbench_nlp import diagnosis, progress, resources

    wanted = [resources.resource_named(name) for name in names]
    if everything:
        here = (r for r in resources.resources() if resources.inspect(r).state != "extra missing")
        wanted += [resource for resource in here if resource not in wanted]
    if not wanted:
        _columns(diagnosis.resource_rows())
        return 0
    failed = False
    with progress.listening(Console()):
        for resource in wanted:
            try:
                progress.note(f"{resource.name}: {diagnosis.told(resource, resources.fetch(resource))}")
            except UsageError as problem:
                failed = True
                _complain(f"{resource.name}: {problem}")
    return INCOMPLETE if failed else 0


if __name__ == "__main__":
    sys.exit(main())
