"""Tables on the terminal: columns that don't fit beside the others stand below them, and no number or word is broken for them."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

__all__ = ["stacked"]

Lines = Sequence[Sequence[str]]


def stacked(console: Console, names: Sequence[str], groups: Lines, rows: Lines) -> list[Table]:
    """The rows as one table, or where the console is too narrow as several, each with the columns `names`, which come first in
    a row, and as many of the further ones as fit. Headings of one group stay together."""
    tables: list[Table] = []
    start = len(names)
    columns: list[int] = []
    heads = [*names, *(head for group in groups for head in group)]
    for group in groups:
        own = [*range(start, start + len(group))]
        start += len(group)
        wider = _table(heads, [*columns, *own], rows, len(names))
        if columns and _width(console, wider) <= console.width:
            columns += own
            tables[-1] = wider
        else:
            columns = own
            tables.append(_table(heads, own, rows, len(names)))
    return tables


def _table(heads: Sequence[str], columns: Sequence[int], rows: Lines, names: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for i in (*range(names), *columns):
        named = i < names
        table.add_column(Text(heads[i]), justify="left" if named else "right", no_wrap=not named, overflow="fold")
    for row in rows:
        table.add_row(*(Text(row[i]) for i in (*range(names), *columns)))
    return table


def _width(console: Console, table: Table) -> int:
    """The columns that it takes where nothing is folded."""
    return Measurement.get(console, console.options.update_width(10_000), table).maximum
