"""The keys beside a letter's key in several layouts, worked out from where the keys lie."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from robustbench_nlp.errors import unknown

__all__ = ["LAYOUTS", "keys", "neighbours"]

LAYOUTS = {
    "us": ("", "qwertyuiop", "asdfghjkl", "zxcvbnm"),
    "de": ("          ß", "qwertzuiopü", "asdfghjklöä", "yxcvbnm"),
    "fr": (" é    è çà", "azertyuiop", "qsdfghjklmù", "wxcvbn"),
    "es": ("", "qwertyuiop", "asdfghjklñ", "zxcvbnm"),
}
"""By name: the letters on the keys of the digit row and of the three letter rows; a space is a key without a letter."""
_SHIFTS = (-0.5, 0.0, 0.25, 0.75)
"""Each row's shift to the right, in key widths."""
_TOUCHING = 1.6
"""Keys touch when the squared distance of their centres, in key widths, is at most this."""


@cache
def keys(layout: str = "us") -> dict[str, str]:
    """By letter of either case: the letters on the touching keys, at least one, in its case and in code-point order. Raises
    `UsageError` for an unknown layout."""
    if layout not in LAYOUTS:
        raise unknown("keyboard layout", layout, LAYOUTS)
    places = dict(_places(LAYOUTS[layout]))
    table = {}
    for letter, (x, y) in places.items():
        near = sorted(
            other for other, (a, b) in places.items() if other != letter and (a - x) ** 2 + (b - y) ** 2 <= _TOUCHING
        )
        table[letter] = "".join(near)
        if len(letter.upper()) == 1:
            table[letter.upper()] = "".join(other.upper() for other in near if len(other.upper()) == 1)
    return {letter: near for letter, near in table.items() if near}


def _places(rows: tuple[str, ...]) -> Iterator[tuple[str, tuple[float, int]]]:
    for y, (shift, row) in enumerate(zip(_SHIFTS, rows, strict=True)):
        for x, letter in enumerate(row):
            if letter != " ":
                yield letter, (shift + x, y)


def neighbours(letter: str, layout: str = "us") -> str:
    """The letters on the keys that touch the letter's own; '' for what is no letter of the layout."""
    return keys(layout).get(letter, "")
