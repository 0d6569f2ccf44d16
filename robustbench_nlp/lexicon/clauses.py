"""Closed lists of English words that tell where clauses begin, what joins them, and which pairs have one order."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["clause_words"]


@cache
def clause_words(*kinds: str) -> frozenset[str]:
    """The words and phrases of these kinds, lower case; the data file says what each kind is. Raises `KeyError`."""
    return frozenset(word for kind in kinds for word in _table()[kind])


@cache
def _table() -> dict[str, list[str]]:
    lines = files("robustbench_nlp.lexicon").joinpath("clauses.tsv").read_text("utf-8").splitlines()
    rows = (line.split("\t") for line in lines if not line.startswith("#"))
    return {kind: words.split(", ") for kind, words in rows}
