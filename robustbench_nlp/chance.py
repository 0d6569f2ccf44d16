"""Common random numbers: what befalls a word in a draw is told by the draw and the word's place, not by the text around it.

So an attack that compares two texts compares them under the same chance (Glasserman and Yao, 1992): it sees what its change did and
not which text was lucky, and copies in which the changed word is hidden are one copy. Draws stay independent of each other.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

__all__ = ["chance"]


@lru_cache(1 << 17)
def chance(key: int, *place: object) -> float:
    """A number in [0, 1) that looks random, the same for the same draw's `key` and the same place, whose parts are told by their repr."""
    digest = blake2b(repr((key, *place)).encode("utf-8", "backslashreplace"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) * 2.0**-53
