"""The report's web page: its numbers and its escaping."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hostile import HOSTILE, PAIRS, of
from hypothesis import example, given
from hypothesis import strategies as st

from robustbench_nlp.api import evaluate
from robustbench_nlp.curves import accuracy_by_queries
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.recorded import Cell, recorded_cells
from robustbench_nlp.report.charts import heat, noise_charts, query_charts, reading, word_charts
from robustbench_nlp.report.examples import OUTCOMES, ROW, differences, examples
from robustbench_nlp.report.files import written
from robustbench_nlp.report.page import Column, Row, Value, page, table
from robustbench_nlp.report.svg import chart, numbers
from robustbench_nlp.report.web import web
from robustbench_nlp.text import Text
from robustbench_nlp.validity import LIMITS, rechecked

VOID = {"meta", "link", "input", "img", "br", "wbr"}


@pytest.fixture(scope="module")
def cells(hostile_run: Path) -> list[Cell]:
    return recorded_cells(hostile_run)


class _Read(HTMLParser):
    """A page's tags, ids, scripts and shown text; badly nested tags are an error."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.style = ""
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID and not (self.open and self.open[-1] in ("path", "circle") and tag in ("path", "circle")):
            self.open.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"]:
            attributes, code = self.scripts.pop()
            self.scripts.append((attributes, code + data))
        elif self.open[-1:] == ["style"]:
            self.style += data


def test_the_file_is_whole_and_needs_nothing_else(hostile_run: Path) -> None:
    content = (hostile_run / "report.html").read_text("utf-8")
    read = _Read(content)
    ids = Counter(attributes["id"] for _, attributes in read.tags if "id" in attributes)
    assert max(ids.values()) == 1
    named = [a[name] for _, a in read.tags for name in ("aria-labelledby", "href") if name in a and a[name] != "data:,"]
    assert named
    assert {str(name).removeprefix("#") for name in named} <= ids.keys()
    assert not [a for _, a in read.tags if "src" in a or "style" in a or any(name.startswith("on") for name in a)]
    assert "http" not in re.sub(r'<script type="application/json".*?</script>', "", content).replace("http-equiv", "")


def test_only_the_pages_own_scripts_and_styles_are_allowed(hostile_run: Path) -> None:
    read = _Read((hostile_run / "report.html").read_text("utf-8"))
    policy = next(str(a["content"]) for _, a in read.tags if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    code = [text for attributes, text in read.scripts if not attributes]

    def hashed(text: str) -> str:
        return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"

    assert rules["default-src"] == "'none'"
    assert rules["script-src"].split() == [hashed(text) for text in code]
    assert rules["style-src"] == hashed(read.style)


@pytest.mark.parametrize("text", [*HOSTILE, "<!--", "]]>", "&lt;", "\u2028\u2029"])
def test_data_and_texts_survive_and_end_nothing(text: str) -> None:
    rows = [Row([Value(text)], tags={"kind": text})]
    made = page(text, table("t", text, [Column(text, about=text)], rows), data={"d": {"text": text}}, links={"t": text})
    read = _Read(made)
    found = [code for attributes, code in read.scripts if attributes.get("id") == "d"]
    assert [json.loads(code) for code in found] == [{"text": text}]
    assert [tag for tag, _ in read.tags if tag in ("img", "svg", "b")] == []
    assert len(read.scripts) == 2


def test_curves_and_heat_map_hold_the_tables_numbers(cells: list[Cell]) -> None:
    frame = of(cells)
    made = heat(frame)
    assert made.shares == {(r["defense"], r["attack"]): r["robust_accuracy"] for r in frame.to_dict("records")}
    assert made.attacks[0].startswith("worst_case:")
    by_name = {cell.name: cell for cell in cells}
    for drawn in (*query_charts(frame, cells), *word_charts(frame, cells)):
        assert drawn.floor == pytest.approx(2 / 3)
        for line in drawn.lines:
            attack = next(name for name in made.attacks if name == drawn.title or drawn.title == "worst case")
            assert reading(line, drawn.end) == pytest.approx(made.shares[line.label, attack])
            assert reading(line, -1) is None
    (bug,) = (drawn for drawn in query_charts(frame, cells) if drawn.title == "deepwordbug")
    assert list(bug.lines[0].points) == accuracy_by_queries(by_name["none", "deepwordbug"].records.values())
    (keyboard,) = noise_charts(frame)
    assert [x for x, _ in keyboard.lines[0].points] == [0, 1, 5]
    assert "NaN" not in chart(bug) + numbers(bug) + chart(keyboard) + numbers(keyboard)


def test_valid_successes_stand_beside_the_raw_ones(cells: list[Cell]) -> None:
    content = web(of(cells), cells, rechecked(cells))
    told = rechecked(cells).set_index(["defense", "attack", "limit"])
    for name, share in ((n, told[n]["none", "deepwordbug", "raw"]) for n in ("valid_rate", "robust_accuracy")):
        table = content.partition(f'id="{name.replace("_", "-")}"')[2].partition("</table>")[0]
        line = next(row for row in table.split("<tr>") if "<td>deepwordbug<" in row)
        assert line.count("<td") == 1 + len(LIMITS)
        assert f'<td class="number" data-key="{float(share)!r}">{100 * share:.1f}<br>' in line
        assert "words ≤ 10 % or one word" in table


def test_the_numbers_of_a_chart_leave_no_word_out(cells: list[Cell]) -> None:
    for drawn in word_charts(of(cells), cells):
        rows = re.findall(r'<th scope="row">(\d+)</th>', numbers(drawn))
        assert rows == [str(words) for words in range(int(drawn.end) + 1)]


def applied(clean: str, changes: list[Any]) -> str:
    """What a browser makes of differences: strings there are UTF-16."""
    units = clean.encode("utf-16-le", "surrogatepass")
    made, at = b"", 0
    for start, length, put in zip(changes[::3], changes[1::3], changes[2::3], strict=True):
        made += units[2 * at : 2 * start] + put.encode("utf-16-le", "surrogatepass")
        at = start + length
    return (made + units[2 * at :]).decode("utf-16-le", "surrogatepass")


@given(clean=st.text(), attacked=st.text())
@example(clean="", attacked="\0")
def test_differences_lead_from_any_text_to_any_other(clean: str, attacked: str) -> None:
    assert applied(clean, differences(Text(clean), Text(attacked))) == attacked


@given(words=st.lists(st.text("abc😀é", min_size=1, max_size=4), min_size=1, max_size=8), at=st.integers(0, 7))
def test_one_changed_word_is_one_difference(words: list[str], at: int) -> None:
    clean = " ".join(words)
    text = Text(clean)
    if not len(text):
        return
    attacked = text.swap(at % len(text), "xyz")
    assert differences(text, Text(str(attacked)))[2:] == ["xyz"]


def test_examples_hold_every_record(cells: list[Cell]) -> None:
    data = examples(cells)
    assert len(data["texts"]) == len(set(data["texts"]))
    for told, cell in zip(data["cells"], cells, strict=True):
        assert len(told["rows"]) == len(cell.records)
        records = sorted(cell.records.values(), key=lambda record: record.example_id)
        for values, record in zip(told["rows"], records, strict=True):
            found = dict(zip(ROW, values, strict=False))
            identity, text, label = data["examples"][found["example"]]
            assert (identity, data["texts"][text], label) == (record.example_id, record.original, record.label)
            assert OUTCOMES[found["outcome"]] == record.outcome
            assert found.get("queries", 0) == record.queries
            if record.outcome == "success":
                assert applied(str(record.original), found["attacked"]) == record.adversarial


def test_a_long_run_shows_the_first_examples_by_id(cells: list[Cell]) -> None:
    data = examples(cells, most=5 * len(cells) + 1)
    firsts = sorted(cells[0].records)[:5]
    assert [identity for identity, *_ in data["examples"]] == firsts
    assert [len(cell["rows"]) for cell in data["cells"]] == [5] * len(cells)


def test_a_page_says_what_it_leaves_out(cells: list[Cell], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "by chance" not in web(of(cells), cells, rechecked(cells))
    monkeypatch.setattr("robustbench_nlp.report.web.examples", lambda cells: examples(cells, most=3 * len(cells)))
    assert f"3 of {len(cells[0].records)} examples, by chance" in web(of(cells), cells, rechecked(cells))


def test_errors_stand_in_the_table_and_among_the_warnings(cells: list[Cell]) -> None:
    broken = [
        Cell(cell.header, {i: replace(r, outcome="error", error="<boom>") for i, r in cell.records.items()})
        if cell.name == ("none", "deepwordbug")
        else cell
        for cell in cells
    ]
    made = web(of(broken), broken, rechecked(broken))
    assert "Incomplete (!): none × deepwordbug: 24 of 24 examples ended in an error" in made.partition("<table")[0]
    assert "24 (!)" in made
    assert "<boom>" not in made
    assert "robust % if errors right" not in web(of(cells), cells, rechecked(cells))


def test_a_run_that_only_reduces_has_a_page_without_curves(tmp_path: Path) -> None:
    folder = evaluate(
        victim=KeywordVictim(), dataset=PAIRS, attacks=["input_reduction"], similarity="none", output=tmp_path
    ).folder
    (path,) = written(folder, ["html"])
    content = path.read_text("utf-8")
    _Read(content)
    assert "Reductions keep the prediction" in content
    assert "<figure" not in content
    assert "Valid successes" not in content
