"""The case of a word that stands in another's place."""

from __future__ import annotations

__all__ = ["in_case_of"]


def in_case_of(word: str, old: str) -> str:
    """The word in capitals or with a capital first letter where the old one is so; else as it is."""
    if old.isupper() and len(old) > 1:
        return word.upper()
    return word[:1].upper() + word[1:] if old[:1].isupper() else word
