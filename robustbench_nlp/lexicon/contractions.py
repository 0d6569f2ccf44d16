"""English contractions and what they stand for."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["contractions", "expansions"]


@cache
def expansions() -> dict[str, tuple[str, ...]]:
    """By lower-case contraction ("it's", straight apostrophe): what it may stand for, the likeliest first."""
    lines = files("robustbench_nlp.lexicon").joinpath("contractions.tsv").read_text("utf-8").splitlines()
    rows = (line.split("\t") for line in lines if not line.startswith("#"))
    return {short: tuple(long) for short, *long in rows}


@cache
def contractions() -> dict[str, tuple[str, ...]]:
    """By lower-case expansion ("is not"): every contraction that may stand for it, in the order of the strings."""
    table: dict[str, list[str]] = {}
    for short, long in sorted(expansions().items()):
        for words in long:
            table.setdefault(words, []).append(short)
    return {words: tuple(short) for words, short in table.items()}
