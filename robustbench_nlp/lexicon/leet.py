"""Leetspeak: the digits and signs that stand for letters."""

from __future__ import annotations

__all__ = ["shapes"]

_SHAPES = {
    "a": "4@",
    "b": "8",
    "c": "(",
    "e": "3",
    "g": "96",
    "h": "#",
    "i": "1!",
    "l": "1|",
    "o": "0",
    "s": "5$",
    "t": "7+",
    "x": "%",
    "z": "2",
}
"""By letter: single characters only, the most usual one first."""


def shapes(letter: str) -> str:
    """The characters that stand for a letter of either case, the most usual one first; '' if there are none."""
    return _SHAPES.get(letter.lower(), "")
