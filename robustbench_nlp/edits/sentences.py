"""A text as sentences: where they begin and end, and one of them put in another's place."""

from __future__ import annotations

import regex

__all__ = ["replaced", "sentences"]

_END = regex.compile(r"[.!?…。！？]+[\"'”’)\]]*\s+|\n+")


def sentences(string: str) -> list[tuple[int, int]]:
    """The (start, end) of each sentence, without the white space around it; none for white space alone.

    A sentence ends after a stop, question or exclamation mark and white space, or at a line end.
    """
    spans, start = [], 0
    for match in [*_END.finditer(string), None]:
        end = len(string) if match is None else match.end()
        piece = string[start:end]
        if stripped := piece.strip():
            first = start + len(piece) - len(piece.lstrip())
            spans.append((first, first + len(stripped)))
        start = end
    return spans


def replaced(string: str, span: tuple[int, int], new: str) -> str:
    """The string with another sentence in place of the one at `span`."""
    return string[: span[0]] + new + string[span[1] :]
