"""Characters that look like, or nearly like, a given one."""

from __future__ import annotations

import unicodedata
from functools import cache

from robustbench_nlp.lexicon.confusables import lookalikes

__all__ = ["accented", "homoglyphs"]

_END = 0x3000
"""Accented letters lie below this code point: the alphabets, but not the tables of ideographs and presentation forms."""


@cache
def _alike() -> dict[str, str]:
    """By letter: all that look like it, itself included, the ASCII letter first."""
    groups: dict[str, str] = {}
    for foreign, letter in lookalikes().items():
        groups[letter] = groups.get(letter, letter) + foreign
    return {member: group for group in groups.values() for member in group}


@cache
def _by_base() -> dict[str, str]:
    table: dict[str, str] = {}
    for letter in filter(str.isalpha, map(chr, range(0x80, _END))):
        base = unicodedata.normalize("NFD", letter)[0]
        if base != letter == unicodedata.normalize("NFC", letter):
            table[base] = table.get(base, "") + letter
    return table


def homoglyphs(letter: str) -> str:
    """The other letters, mostly of other scripts, that look the same as an ASCII letter or as its look-alike (Unicode's
    confusables); '' if there are none."""
    return _alike().get(letter, "").replace(letter, "")


def accented(letter: str) -> str:
    """The letter under each accent that Unicode composes with it, in code-point order, in any alphabet; '' if none.

    By canonical decomposition, which Unicode never changes: the same on every Python.
    """
    return _by_base().get(letter, "")
