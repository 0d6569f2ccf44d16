"""A web page in one file, for reports and the leaderboard: no network, every text escaped, sortable tables, light and dark.

A page's policy (CSP) allows the styles and scripts that it was written with, by their hashes, and nothing else: a script
that a hostile text smuggled in would not run.
"""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.resources import files
from math import isnan
from string import Template

__all__ = ["Column", "Row", "Value", "asset", "breakable", "escaped", "page", "section", "selector", "table"]

_UNPRINTABLE = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 127, *range(0xD800, 0xE000)], "\ufffd")
_IN_SCRIPT = str.maketrans({"<": r"\u003c", ">": r"\u003e", "&": r"\u0026"})


def escaped(text: object) -> str:
    """A text as HTML shows it, between tags or in a quoted attribute; what no page may hold (NUL, lone surrogates) is U+FFFD."""
    return html.escape(str(text).translate(_UNPRINTABLE))


def breakable(name: str) -> str:
    """A name as HTML that may go on in the next line behind its signs."""
    return re.sub(r"([_:+)]|\(\b)", r"\1<wbr>", escaped(name))


def asset(name: str) -> str:
    """A style sheet, script or template that lies beside this module."""
    return (files(__package__) / name).read_text("utf-8").replace("\r\n", "\n")


def page(
    title: str,
    body: str,
    *,
    data: Mapping[str, object] | None = None,
    links: Mapping[str, str] | None = None,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
) -> str:
    """The whole page: `title` is text, `body` HTML, `links` name sections of it by their ids.

    `data` are JSON-able values by id, which the page's scripts read as
    `JSON.parse(document.getElementById(id).textContent)`. `styles` and `scripts` are further sheets and scripts as text,
    behind page.css and page.js. No part of it may use `style=` or `on…=` attributes: the page's own policy refuses them.
    """
    style = "\n".join([asset("page.css"), *styles])
    code = [asset("page.js"), *scripts]
    blocks = [
        f'<script type="application/json" id="{escaped(name)}">{_json(value)}</script>'
        for name, value in (data or {}).items()
    ]
    allowed = " ".join(map(_hash, code))
    return Template(asset("page.html")).substitute(
        policy=f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {allowed}; "
        "base-uri 'none'; form-action 'none'",
        title=escaped(title),
        style=style,
        links="".join(
            f'<li><a href="#{escaped(name)}">{escaped(text)}</a></li>' for name, text in (links or {}).items()
        ),
        body=body,
        blocks="\n".join([*blocks, *(f"<script>{script}</script>" for script in code)]),
    )


def _json(value: object) -> str:
    """JSON in ASCII that ends no script element and begins no comment."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).translate(_IN_SCRIPT)


def _hash(content: str) -> str:
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode('ascii')}'"


def section(name: str, title: str, body: str) -> str:
    """A landmark with a heading; `name` is the id that links go to, `title` text, `body` HTML."""
    return (
        f'<section id="{escaped(name)}" aria-labelledby="{escaped(name)}-title">'
        f'<h2 id="{escaped(name)}-title">{escaped(title)}</h2>\n{body}</section>'
    )


@dataclass(frozen=True)
class Column:
    """A column: numbers stand right and sort with the largest first, or with the smallest first where `low` is better."""

    name: str
    number: bool = False
    low: bool = False
    about: str = ""
    sorts: bool = True


@dataclass(frozen=True)
class Value:
    """A cell: its text, the number that it sorts by (None: last) where its column has numbers, and HTML in the text's place."""

    text: str
    key: float | None = None
    markup: str | None = None


@dataclass(frozen=True)
class Row:
    """A row of cells, the first of which names it; `tags` are what filters ask for, by name; a headline stands out."""

    values: Sequence[Value]
    headline: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)


def table(name: str, caption: str, columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """A table that sorts by its heads; `name` is its id, `caption` text."""
    heads = "".join(map(_head, columns))
    lines = "\n".join(_row(row, columns) for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="{escaped(caption)}"><table class="sortable" id="{escaped(name)}">'
        f"<caption>{escaped(caption)}</caption><thead><tr>{heads}</tr></thead><tbody>\n{lines}\n</tbody></table></div>"
    )


def _head(column: Column) -> str:
    first = "descending" if column.number and not column.low else "ascending"
    about = f' title="{escaped(column.about)}"' if column.about else ""
    if not column.sorts:
        return f'<th scope="col"{_class(column)}{about}>{escaped(column.name)}</th>'
    return (
        f'<th scope="col" aria-sort="none" data-first="{first}"{_class(column)}{about}>'
        f'<button type="button">{escaped(column.name)}</button></th>'
    )


def _row(row: Row, columns: Sequence[Column]) -> str:
    tags = "".join(f' data-{escaped(name)}="{escaped(value)}"' for name, value in row.tags.items())
    cells = []
    for i, (value, column) in enumerate(zip(row.values, columns, strict=True)):
        key = ""
        if column.number:
            key = f' data-key="{"" if value.key is None or isnan(value.key) else repr(float(value.key))}"'
        inside = escaped(value.text) if value.markup is None else value.markup
        tag = 'th scope="row"' if i == 0 else "td"
        cells.append(f"<{tag}{_class(column)}{key}>{inside}</{tag.partition(' ')[0]}>")
    look = ' class="headline"' if row.headline else ""
    return f"<tr{look}{tags}>{''.join(cells)}</tr>"


def _class(column: Column) -> str:
    return ' class="number"' if column.number else ""


def selector(label: str, table_name: str, tag: str, values: Sequence[str]) -> str:
    """A labelled choice that leaves the rows of a table whose tag has the chosen value; first of all: all rows."""
    options = "".join(f"<option>{escaped(value)}</option>" for value in values)
    return (
        f'<label>{escaped(label)}<select data-filter="{escaped(table_name)}" data-by="{escaped(tag)}">'
        f'<option value="">all</option>{options}</select></label>'
    )
