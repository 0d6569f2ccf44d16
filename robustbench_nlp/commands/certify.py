"""`certify`: table the accuracy that no attack within a radius can take."""

from __future__ import annotations

from typing import Any

import click

from robustbench_nlp.console import INCOMPLETE, complain, say
from robustbench_nlp.flags import label_map, listed, read_file, train

__all__ = ["command"]


@click.command("certify")
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
@train
@label_map
@click.option("--output", metavar="DIR", help="Run folder. Default: one in runs/ named after the settings.")
@click.option("--resume/--no-resume", default=True, help="Go on from the folder's records (default), or start anew.")
def command(**settings: Any) -> int:
    """Table the accuracy that no attack within a radius can take.

    CERTIFY.yaml holds the same settings; flags win over it. A run folder's run.yaml is such a file.
    """
    from robustbench_nlp import progress
    from robustbench_nlp.certification import certify
    from robustbench_nlp.report.certified import render
    from robustbench_nlp.screen import screen

    with progress.listening(screen()):
        finished = certify(**{**settings, "defenses": settings["defenses"] or []})
        progress.note(render(finished.table))
    say(finished.folder)
    if not finished.complete:
        complain(
            f"incomplete: more than one example in a hundred ended in an error (see {finished.folder / 'records'})"
        )
        return INCOMPLETE
    return 0
