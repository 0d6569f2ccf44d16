"""`attack`: one sentence."""

from __future__ import annotations

from typing import Any

import click

from robustbench_nlp.console import INCOMPLETE, aligned

__all__ = ["command"]


@click.command("attack")
@click.argument("text")
@click.option("--victim", default="minilm-mr", show_default=True, help="The victim's selector.")
@click.option("--attack", metavar="ATTACK", default="deepwordbug", show_default=True, help="The attack's selector.")
@click.option("--defense", default="none", show_default=True, help="A defense, or several: a+b.")
@click.option("--label", help="The text's true label. Default: what the victim says.")
@click.option("--train", metavar="DATASET", default="mr", show_default=True, help="Training data for the defense.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of every random choice.")
@click.option("--max-queries", type=int, help="Queries that the attack may spend; on a random victim, for each draw.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, …")
def command(text: str, **settings: Any) -> int:
    """Attack one sentence.

    Shows the text and the prediction before and after.
    """
    from robustbench_nlp import progress, trial
    from robustbench_nlp.screen import screen

    with progress.listening(screen(stderr=True)):
        result = trial.attack_text(text, **settings)
    aligned(result.lines)
    return INCOMPLETE if result.failed else 0
