"""`verify`: does a run, or an entry of a leaderboard, hold?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from robustbench_nlp.console import INCOMPLETE, complain, say
from robustbench_nlp.errors import UsageError

__all__ = ["command"]

SHOWN = 50
"""Differences that are printed; the others are counted."""


@click.command("verify")
@click.argument("places", metavar="RUN|ENTRY|LEADERBOARD...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--victim", metavar="VICTIM", help="The model, where it isn't found by the name that the run has for it.")
@click.option("--dataset", metavar="DATASET", help="The data set, where it isn't found by its name.")
@click.option(
    "--sample", type=click.IntRange(min=1), help="Check the first N attempted examples of each cell. Default: all."
)
@click.option(
    "--attack",
    metavar="N",
    type=click.IntRange(min=1),
    help="Also run an entry's attacks again on N examples, drawn at random, of those that withstood them.",
)
@click.option(
    "--texts",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Also write an entry's texts to read, originals beside them, as JSON lines.",
)
@click.option("--trust", is_flag=True, help="Let the run or entry name a victim that runs code or talks to a server.")
@click.option("--device", metavar="DEVICE", default="auto", show_default=True, help="auto, cpu, cuda, …")
def command(places: Sequence[Path], texts: Path | None, **settings: Any) -> int:
    """Check runs and leaderboard entries: texts, threats, outcomes, values.

    Predicts every recorded text again, holds it against the threat from the original text, measures its similarity again, and computes the
    tables, or the entry's values, again from the records; says line by line what differs. Errors on record can't be checked, and are counted.
    That failed attacks fail here too is checked with --attack alone. An entry's victim and
    defense are made by its selectors: python: and http: ones run what they name, and only with --trust.
    """
    codes = []
    places = [found for place in places for found in _within(place)]
    if texts is not None:
        _read_out(places, texts, settings["dataset"])
    for place in places:
        try:
            codes.append(_one(place, settings))
        except UsageError as problem:
            if len(places) == 1:
                raise
            codes.append(complain(f"{place}: {problem}"))
    return max(codes)


def _within(place: Path) -> list[Path]:
    """The entries of a leaderboard's folder; anything else itself."""
    run = any((place / name).exists() for name in ("run.yaml", "shards"))
    entries = [] if run else sorted(place.glob("*/*/*.json"))
    return entries or [place]


def _read_out(places: Sequence[Path], to: Path, dataset: str | None) -> None:
    """Write one entry's texts."""
    from robustbench_nlp.leaderboard.checking import read_out
    from robustbench_nlp.records import write_whole

    if len(places) != 1 or places[0].is_dir():
        raise UsageError("--texts is for one entry; name its JSON file alone")
    write_whole(to, "".join(json.dumps(line) + "\n" for line in read_out(places[0], dataset)))


def _one(place: Path, settings: dict[str, Any]) -> int:
    """Print what differs; the exit code."""
    from robustbench_nlp import progress
    from robustbench_nlp.screen import screen
    from robustbench_nlp.verification import verify

    with progress.listening(screen(stderr=True)):
        result = verify(place, **settings)
    for line in result.differences[:SHOWN]:
        say(line)
    if len(result.differences) > SHOWN:
        say(f"… and {len(result.differences) - SHOWN} more")
    checked = f"{result.cells} cells, {result.texts} examples predicted again"
    checked += f", {result.attacked} attacked again" if result.attacked else ""
    checked += f", {result.errors} on record as errors, which can't be checked" if result.errors else ""
    found = len(result.differences)
    told = f"{found} difference{'s' * (found > 1)}" if found else "it holds"
    say(f"{place}: {checked}; {told}")
    return 0 if result.holds else INCOMPLETE
