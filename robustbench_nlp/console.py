"""What the commands print, and the codes that they end with. Texts are hostile: no control character of theirs reaches a terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence

import click

__all__ = ["BAD_USE", "INCOMPLETE", "INTERRUPTED", "PIPED_WIDTH", "aligned", "columns", "complain", "printable", "say"]

INCOMPLETE, BAD_USE, INTERRUPTED = 1, 2, 130
PIPED_WIDTH = 160
"""Columns of a table that goes to a file or a pipe: enough to break no name."""

_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What terminals obey instead of showing it: control characters (tab and line feed aside), and marks of the text's direction."""


def printable(text: str) -> str:
    """The text with what would steer a terminal written out, as `\\x1b` or `\\u202e`: its sequences do nothing and can be seen."""
    return _STEERING.sub(lambda found: ascii(found.group())[1:-1], text)


def say(message: object = "", *, err: bool = False) -> None:
    """One line, or several, on stdout or stderr: the one way to print what may come from data."""
    click.echo(printable(str(message)), err=err)


def complain(message: str, code: int = BAD_USE) -> int:
    """One line on stderr; the code."""
    say(f"robustbench-nlp: {' '.join(message.split())}", err=True)
    return code


def columns(rows: Sequence[Sequence[str]]) -> None:
    """A table whose first row are headings; the last column is as wide as it is."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def aligned(rows: Sequence[tuple[str, str]]) -> None:
    """A name and a line each."""
    width = max((len(name) for name, _ in rows), default=0)
    for name, line in rows:
        say(f"{name:{width}}  {line}".rstrip())
