"""Common first names and places that can stand in for one another."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["namesakes"]


@cache
def _groups() -> tuple[tuple[str, ...], ...]:
    """Names of women, names of men, cities and countries."""
    lines = files("robustbench_nlp.lexicon").joinpath("names.tsv").read_text("utf-8").splitlines()
    return tuple(tuple(line.split("\t")[1:]) for line in lines if not line.startswith("#"))


@cache
def namesakes(word: str) -> tuple[str, ...]:
    """The other names of the word's group (women, men, cities, countries), capitalised; () for a word that is no name.

    Case is ignored: names that are also common words are left out of the list.
    """
    for group in _groups():
        if word.capitalize() in group:
            return tuple(name for name in group if name != word.capitalize())
    return ()
