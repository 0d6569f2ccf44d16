"""What the commands print, and the codes that they end with."""

from __future__ import annotations

from collections.abc import Sequence

import click

__all__ = ["BAD_USE", "INCOMPLETE", "INTERRUPTED", "PIPED_WIDTH", "aligned", "columns", "complain"]

INCOMPLETE, BAD_USE, INTERRUPTED = 1, 2, 130
PIPED_WIDTH = 160
"""Columns of a table that goes to a file or a pipe: enough to break no name."""


def complain(message: str, code: int = BAD_USE) -> int:
    """One line on stderr; the code."""
    click.echo(f"robustbench-nlp: {' '.join(message.split())}", err=True)
    return code


def columns(rows: Sequence[Sequence[str]]) -> None:
    """A table whose first row are headings; the last column is as wide as it is."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def aligned(rows: Sequence[tuple[str, str]]) -> None:
    """A name and a line each."""
    width = max((len(name) for name, _ in rows), default=0)
    for name, line in rows:
        click.echo(f"{name:{width}}  {line}".rstrip())
