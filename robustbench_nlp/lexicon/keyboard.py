"""The letters beside a letter on a QWERTY keyboard, worked out from where the keys lie."""

from __future__ import annotations

from functools import cache

__all__ = ["neighbours"]

_ROWS = ((0.0, "qwertyuiop"), (0.25, "asdfghjkl"), (0.75, "zxcvbnm"))
"""Each row's shift to the right, in key widths, and its letters."""
_TOUCHING = 1.6
"""Keys touch when the squared distance of their centres, in key widths, is at most this."""


@cache
def neighbours(letter: str) -> str:
    """The touching letters in the letter's own case, in code-point order; '' for anything but an ASCII letter."""
    places = {key: (shift + x, y) for y, (shift, row) in enumerate(_ROWS) for x, key in enumerate(row)}
    here = places.get(letter.lower()) if letter.isascii() else None
    if here is None:
        return ""
    near = sorted(
        key for key, place in places.items() if 0 < (place[0] - here[0]) ** 2 + (place[1] - here[1]) ** 2 <= _TOUCHING
    )
    return "".join(near).upper() if letter.isupper() else "".join(near)
