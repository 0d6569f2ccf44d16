"""What is fuzzed of reports: tables, LaTeX, sheets and web pages of any names and texts (see fuzz_targets.py)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser

from fuzz_given import HEADER, Given, target

from robustbench_nlp.console import printable
from robustbench_nlp.recorded import Cell
from robustbench_nlp.records import Record
from robustbench_nlp.report import latex, page, sheet, shown
from robustbench_nlp.report.examples import examples
from robustbench_nlp.report.page import escaped as html_escaped
from robustbench_nlp.report.table import row, table
from robustbench_nlp.report.web import web
from robustbench_nlp.validity import rechecked

__all__ = ["SEEDS"]


@target
def escapes(given: Given) -> None:
    """What stands in Markdown, LaTeX, HTML, sheets and on terminals is shown, and does nothing."""
    name = given.text()
    cell = shown.escaped(name)
    assert "\n" not in cell
    assert "](" not in cell
    assert printable(cell) == cell
    html = html_escaped(name)
    assert not set("<>\"'") & set(html)
    tex = latex._escaped(name)
    bare = tex.replace("\\{", "").replace("\\}", "")
    assert bare.count("{") == bare.count("}")
    assert printable(tex) == tex
    assert not sheet.defused(name).lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r"))


def _names(given: Given) -> Cell:
    """A recorded success with any names and texts."""
    name, text = given.text(60), given.text(60)
    made = Record(example_id="1", label=0, original=text, adversarial=name, outcome="success", clean_prediction=0)
    return Cell({**HEADER, "victim": name, "dataset": text, "defense": name, "note": text}, {"1": made})


class _Tags(HTMLParser):
    """How often a page holds each element that loads, runs or leads somewhere, and its data; bad nesting is an error."""

    ACTIVE = ("a", "base", "embed", "form", "iframe", "img", "link", "meta", "object", "script", "style")
    VOID = ("base", "br", "embed", "img", "input", "link", "meta", "wbr")

    def __init__(self, content: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.counts: Counter[str] = Counter()
        self.data = ""
        self.feed(content)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] += tag in self.ACTIVE
        assert not any(name == "style" or name.startswith("on") for name, _ in attrs)
        if tag not in self.VOID:
            self.open.append("data" if ("type", "application/json") in attrs else tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] += tag in self.ACTIVE

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() in (tag, "data")

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["data"]:
            self.data += data


def _page(cell: Cell) -> str:
    """A page of the parts that reports and the leaderboard have, with the cell's names in all of them."""
    name, text = cell.header["victim"], cell.header["dataset"]
    rows = [page.Row([page.Value(name), page.Value(text, 0.5), page.Value("", markup=page.breakable(name))])]
    body = page.table("names", text, [page.Column(name), page.Column(text, number=True), page.Column("c")], rows)
    body += page.selector(text, "names", "name", [name, text])
    return page.page(name, page.section("all", text, body), data={"examples": examples([cell])}, links={"all": name})


@cache
def _plain(make: Callable[[Cell], str]) -> Counter[str]:
    """What a page of plain names holds."""
    return _Tags(make(_names(Given(b"a" * 120)))).counts


def _holds_no_more(make: Callable[[Cell], str], cell: Cell) -> None:
    """A page's names add nothing to it that does something, and its data are the texts."""
    told = _Tags(make(cell))
    assert told.counts == _plain(make)
    assert json.loads(told.data) == json.loads(json.dumps(examples([cell])))


@target
def report_parts(given: Given) -> None:
    """What reports are put together from: any names leave rows lines, tables one, and pages without elements of theirs."""
    cell = _names(given)
    name, text = cell.header["victim"], cell.header["dataset"]
    assert len(shown.piped(["a", "b"], [[shown.escaped(name), shown.escaped(text)]], 1).splitlines()) == 3
    floated = latex.floated((name, text), [text, name], [name], [[name, "1.0", "1.0"]], column="r", notes=[text])
    assert floated.count("\\begin{table}") == floated.count("\\end{table}") == 1
    assert len(list(sheet.sheet([cell]))) == 3  # the mark, the heads, the record
    _holds_no_more(_page, cell)


def _web(cell: Cell) -> str:
    return web(table([row(cell.header, cell.records.values())]), [cell], rechecked([cell]))


@target
def reports(given: Given) -> None:
    """Whole reports of any names: a line a row in Markdown, a LaTeX table a victim, a web page without elements of theirs."""
    kind, cell = given.number(3), _names(given)
    if kind == 0:
        _holds_no_more(_web, cell)
        return
    frame = table([row(cell.header, cell.records.values())])
    if kind == 1:
        assert len(shown.markdown(frame).partition("\n\n")[0].splitlines()) == 3
    else:
        assert latex.latex(frame).count("\\begin{table}") == 1


HOSTILE = b"<script>a</script><!-- & \"'> _*|[x](y)` \\ {~^} \xe2\x80\xa8 \xe2\x80\xae \xff"
SEEDS = dict.fromkeys(("escapes", "report_parts", "reports"), (HOSTILE, HOSTILE.ljust(60) + HOSTILE[::-1] + b"\x01"))
"""Where to begin, by target."""
