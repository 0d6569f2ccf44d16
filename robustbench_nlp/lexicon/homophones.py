"""English words that sound alike: what a listener, or speech recognition, writes in a word's place."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["homophones"]


@cache
def homophones() -> dict[str, tuple[str, ...]]:
    """By lower-case word: the other words of every set it stands in, as they are written ('I', 'Sunday')."""
    lines = files("robustbench_nlp.lexicon").joinpath("homophones.tsv").read_text("utf-8").splitlines()
    table: dict[str, dict[str, None]] = {}
    for line in lines:
        group = line.split("\t")
        if not line.startswith("#"):
            for word in group:
                table.setdefault(word.lower(), {}).update((other, None) for other in group if other != word)
    return {word: tuple(others) for word, others in table.items()}
