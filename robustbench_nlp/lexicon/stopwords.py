"""English stop words: the words of NLTK's list, lower case."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["stopwords"]


@cache
def stopwords() -> frozenset[str]:
    """The 179 words; the look-up is case-sensitive, as in TextAttack, so 'The' is none of them."""
    lines = files("robustbench_nlp.lexicon").joinpath("stopwords.txt").read_text("utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))
