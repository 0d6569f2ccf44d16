"""How people misspell common English words."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["misspellings"]


@cache
def misspellings() -> dict[str, tuple[str, ...]]:
    """By lower-case word: its misspellings, each one word by the rule of `Text`; some are words themselves (their, there)."""
    lines = files("robustbench_nlp.lexicon").joinpath("misspellings.tsv").read_text("utf-8").splitlines()
    rows = (line.split("\t") for line in lines if not line.startswith("#"))
    return {word: tuple(wrong) for word, *wrong in rows}
