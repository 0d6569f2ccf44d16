"""Letters of other scripts that look like an ASCII letter (Unicode's confusables, UTS 39)."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["lookalikes"]


@cache
def lookalikes() -> dict[str, str]:
    """By foreign letter: the ASCII letter that it looks like; letters of living Latin alphabets are left out."""
    lines = files("robustbench_nlp.lexicon").joinpath("confusables.tsv").read_text("utf-8").splitlines()
    rows = (line.partition("\t") for line in lines if not line.startswith("#"))
    return {letter: ascii_letter for ascii_letter, _, letters in rows for letter in letters}
