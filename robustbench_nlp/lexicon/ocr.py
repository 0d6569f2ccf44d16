"""What optical character recognition reads in place of a character."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["confusions"]


@cache
def confusions() -> dict[str, tuple[str, ...]]:
    """By character or pair of characters: the strings of one or two characters that are mistaken for it."""
    lines = files("robustbench_nlp.lexicon").joinpath("ocr.tsv").read_text("utf-8").splitlines()
    table: dict[str, dict[str, None]] = {}
    for line in lines:
        group = line.split("\t")
        if not line.startswith("#"):
            for shape in group:
                table.setdefault(shape, {}).update((other, None) for other in group if other != shape)
    return {shape: tuple(others) for shape, others in table.items()}
