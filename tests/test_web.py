"""The report's web page: its numbers, its escaping, and what it does under the hands of a reader, in a real browser."""

from __future__ import annotations

import json
import re
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from typing import Any

import pytest
from browser import CONTRASTS, MISSING, Opened, chromium, opened
from hypothesis import example, given
from hypothesis import strategies as st

from robustbench_nlp.api import evaluate
from robustbench_nlp.curves import accuracy_by_queries
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.recorded import Cell, recorded_cells
from robustbench_nlp.records import Record
from robustbench_nlp.report.charts import heat, noise_charts, query_charts, reading, word_charts
from robustbench_nlp.report.examples import OUTCOMES, ROW, differences, examples
from robustbench_nlp.report.files import written
from robustbench_nlp.report.page import Column, Row, Value, page, selector, table
from robustbench_nlp.report.svg import chart
from robustbench_nlp.report.table import row
from robustbench_nlp.report.table import table as frame_of
from robustbench_nlp.report.web import web
from robustbench_nlp.text import Text

HOSTILE = (
    "<script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 2'>",
    "</script><script>window.hacked = 3</script><!-- <script>",
    "\"'><svg/onload=window.hacked=4> \u2028 \u202egood\u202c \x00 \ud800",
)
WORDS = ("a good and great but dull film", "a fine film", "the cast is awful , the plot bad")
PAIRS = [(f"{words} {HOSTILE[i % 4]} number {i}", int(words != WORDS[2])) for i in range(8) for words in WORDS]
ATTACKS = [
    "noise(severity=1):keyboard",
    "noise(severity=5):keyboard",
    "deepwordbug",
    "bad_characters:invisible",
    "worst_case",
]
VOID = {"meta", "link", "input", "img", "br", "wbr"}
needs_browser = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder whose texts and victim are hostile, with its web page and a warning."""
    folder = evaluate(
        victim=KeywordVictim(name="<b onclick=alert(1)>victim & co</b>"),
        dataset=PAIRS,
        attacks=ATTACKS,
        defenses=["none", "unicode_normalize"],
        similarity="none",
        output=tmp_path_factory.mktemp("run"),
    ).folder
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    (folder / "manifest.json").write_text(json.dumps(manifest | {"warnings": ["saturated: <i>half</i>"]}), "utf-8")
    written(folder, ["html"])
    return folder


@pytest.fixture(scope="module")
def cells(run: Path) -> list[Cell]:
    return recorded_cells(run)


def of(cells: list[Cell]) -> Any:
    return frame_of([row(cell.header, list(cell.records.values())) for cell in cells])


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


def test_the_file_is_whole_and_needs_nothing_else(run: Path) -> None:
    content = (run / "report.html").read_text("utf-8")
    read = _Read(content)
    ids = Counter(attributes["id"] for _, attributes in read.tags if "id" in attributes)
    assert max(ids.values()) == 1
    named = [a[name] for _, a in read.tags for name in ("aria-labelledby", "href") if name in a and a[name] != "data:,"]
    assert named
    assert {str(name).removeprefix("#") for name in named} <= ids.keys()
    assert not [a for _, a in read.tags if "src" in a or "style" in a or any(name.startswith("on") for name in a)]
    assert "http" not in re.sub(r'<script type="application/json".*?</script>', "", content).replace("http-equiv", "")


def test_only_the_pages_own_scripts_and_styles_are_allowed(run: Path) -> None:
    read = _Read((run / "report.html").read_text("utf-8"))
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
    assert "NaN" not in chart(bug) + chart(keyboard)


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
        for values, record in zip(told["rows"], cell.records.values(), strict=True):
            found = dict(zip(ROW, values, strict=False))
            identity, text, label = data["examples"][found["example"]]
            assert (identity, data["texts"][text], label) == (record.example_id, record.original, record.label)
            assert OUTCOMES[found["outcome"]] == record.outcome
            assert found.get("queries", 0) == record.queries
            if record.outcome == "success":
                assert applied(str(record.original), found["attacked"]) == record.adversarial


def test_errors_stand_in_the_table_and_among_the_warnings(cells: list[Cell]) -> None:
    broken = [
        Cell(cell.header, {i: replace(r, outcome="error", error="<boom>") for i, r in cell.records.items()})
        if cell.name == ("none", "deepwordbug")
        else cell
        for cell in cells
    ]
    made = web(of(broken), broken)
    assert "Incomplete (!): none × deepwordbug: 24 of 24 examples ended in an error" in made.partition("<table")[0]
    assert "24 (!)" in made
    assert "<boom>" not in made
    assert "robust % if errors right" not in web(of(cells), cells)


def test_a_run_that_only_reduces_has_a_page_without_curves(tmp_path: Path) -> None:
    folder = evaluate(
        victim=KeywordVictim(), dataset=PAIRS, attacks=["input_reduction"], similarity="none", output=tmp_path
    ).folder
    (path,) = written(folder, ["html"])
    content = path.read_text("utf-8")
    _Read(content)
    assert "Reductions keep the prediction" in content
    assert "<figure" not in content


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture
def reader(browser: Any, run: Path) -> Iterator[Opened]:
    with opened(browser, run / "report.html", color_scheme="light", viewport={"width": 1280, "height": 900}) as found:
        found.page.wait_for_selector("[data-ready]", state="attached")
        yield found
        assert found.complaints == []
        assert found.requests == [(run / "report.html").as_uri()]
        assert found.page.evaluate("window.hacked") is None


@needs_browser
def test_hostile_texts_are_shown_and_nothing_runs(reader: Opened) -> None:
    page = reader.page
    page.select_option("#example-outcome", "")
    page.fill("#example-search", "onerror")
    shown = page.locator("#example-list article").filter(has_text="onerror").first.inner_text()
    assert HOSTILE[1] in shown
    page.fill("#example-search", "onload")
    page.get_by_text("U+202E").first.wait_for()
    assert (
        page.get_by_role("heading", level=1).inner_text() == "<b onclick=alert(1)>victim & co</b> on pairs: robustness"
    )
    assert "saturated: <i>half</i>" in page.get_by_role("note", name="Warnings").inner_text()


def column(page: Any, number: int) -> list[float]:
    cells = page.locator("#results tbody tr")
    return [float(text.split()[0]) for text in cells.locator(f"td:nth-child({number})").all_inner_texts()]


@needs_browser
def test_headings_sort_by_mouse_and_keyboard(reader: Opened) -> None:
    page = reader.page
    head = page.locator("#results th", has_text="robust %")
    assert "worst case" in page.locator("#results tbody tr").first.inner_text()
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, 4) == sorted(column(page, 4), reverse=True)
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, 4) == sorted(column(page, 4))
    assert page.get_by_role("status").filter(has_text="Sorted by robust").count() == 1
    page.locator("#results th", has_text="attack").first.get_by_role("button").press("Space")
    assert head.get_attribute("aria-sort") == "none"


@needs_browser
def test_examples_are_filtered_searched_and_paged(reader: Opened, cells: list[Cell]) -> None:
    page = reader.page
    count = page.locator("#example-count")
    page.select_option("#example-defense", "unicode_normalize")
    page.select_option("#example-attack", "deepwordbug")
    page.select_option("#example-outcome", "")
    assert count.inner_text() == "1–10 of 24 examples"
    page.get_by_role("button", name="Next").click()
    assert count.inner_text() == "11–20 of 24 examples"
    page.get_by_label("page", exact=True).fill("3")
    page.get_by_label("page", exact=True).press("Enter")
    assert count.inner_text() == "21–24 of 24 examples"
    assert page.get_by_role("button", name="Next").is_disabled()
    page.get_by_role("button", name="Back").press("Enter")
    assert count.inner_text() == "11–20 of 24 examples"
    page.get_by_label("text or id holds").fill("Number 7")
    page.get_by_text("1–3 of 3 examples").wait_for()
    page.get_by_label("text or id holds").fill("nobody wrote this")
    page.get_by_text("No example is like that").wait_for()
    for outcome, number in Counter(r.outcome for c in cells for r in c.records.values()).items():
        page.get_by_label("text or id holds").fill("")
        page.select_option("#example-defense", "")
        page.select_option("#example-attack", "")
        page.select_option("#example-outcome", outcome)
        page.get_by_text(f"of {number} examples").wait_for()


@needs_browser
def test_a_cell_of_the_heat_map_leads_to_what_its_attack_broke(reader: Opened, cells: list[Cell]) -> None:
    page = reader.page
    page.get_by_role("button", name="examples of none under deepwordbug").press("Enter")
    broken = [
        r for c in cells if c.name == ("none", "deepwordbug") for r in c.records.values() if r.outcome == "success"
    ]
    assert broken
    assert page.locator("#example-count").inner_text().endswith(f"of {len(broken)} examples")
    assert page.evaluate("document.activeElement.id") == "example-list"
    for record, shown in zip(broken[:10], page.locator("#example-list article").all(), strict=True):
        clean, attacked = (
            " ".join(part.evaluate_all("parts => parts.map(part => part.textContent)")).split()
            for part in (shown.locator("del"), shown.locator("ins"))
        )
        assert len(clean) == len(attacked)
        assert record.words_changed is not None
        assert 1 <= len(attacked) <= record.words_changed + 1


@needs_browser
def test_a_link_leads_to_an_example_under_every_attack(browser: Any, run: Path, cells: list[Cell]) -> None:
    identity = next(iter(cells[0].records))
    number = f"1–{len(cells)} of {len(cells)} examples"
    with opened(browser, run / "report.html") as found:
        found.page.goto(f"{(run / 'report.html').as_uri()}#example={identity}")
        found.page.get_by_text(number).wait_for()
        found.page.select_option("#example-defense", "none")
        found.page.get_by_role("link", name=f"example {identity}").first.click()
        found.page.get_by_label("text or id holds").fill("")
        found.page.get_by_text(f"of {len(cells) * len(PAIRS) // 2} examples").wait_for()
        assert found.complaints == []


@needs_browser
def test_choices_leave_the_rows_that_have_what_is_chosen(browser: Any, tmp_path: Path) -> None:
    rows = [
        Row([Value(name), Value(str(i), i)], tags={"kind": kind}) for i, (name, kind) in enumerate(["ax", "bx", "cy"])
    ]
    body = selector("Kind", "t", "kind", ["x", "y"]) + table(
        "t", "Three", [Column("name"), Column("n", number=True)], rows
    )
    (tmp_path / "page.html").write_text(page("Page", body), "utf-8")
    with opened(browser, tmp_path / "page.html") as found:
        shown = found.page.locator("#t tbody tr:visible")
        found.page.get_by_label("Kind").select_option("x")
        assert shown.all_inner_texts() == ["a\t0", "b\t1"]
        assert found.page.get_by_role("status").inner_text() == "2 of 3 rows."
        found.page.get_by_label("Kind").select_option("y")
        assert shown.all_inner_texts() == ["c\t2"]
        found.page.get_by_label("Kind").select_option("")
        assert shown.count() == 3
        assert found.complaints == []


@needs_browser
def test_the_theme_is_the_systems_until_it_is_chosen(browser: Any, run: Path) -> None:
    def ground(page: Any) -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    with opened(browser, run / "report.html", color_scheme="dark") as found:
        dark = ground(found.page)
        button = found.page.get_by_role("button", name="Light theme")
        button.click()
        light = ground(found.page)
        assert (dark, light) == ("rgb(13, 17, 23)", "rgb(255, 255, 255)")
        found.page.reload()
        assert ground(found.page) == light
        found.page.get_by_role("button", name="Dark theme").click()
        assert ground(found.page) == dark


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast_and_a_narrow_page_does_not_scroll(browser: Any, run: Path, scheme: str) -> None:
    with opened(browser, run / "report.html", color_scheme=scheme, viewport={"width": 360, "height": 800}) as found:
        found.page.wait_for_selector("[data-ready]", state="attached")
        found.page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
        contrasts = found.page.evaluate(CONTRASTS)
        assert {"h1.", "ins.", "del.", "text.tick-text", "li.h0"} <= contrasts.keys()
        assert {name: least for name, least in contrasts.items() if least < 4.5} == {}
        assert found.page.evaluate("document.documentElement.scrollWidth") <= 360


@needs_browser
def test_the_keyboard_reaches_everything_and_sees_where_it_is(reader: Opened) -> None:
    page = reader.page
    page.select_option("#example-outcome", "")  # then there is a next page
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        at = "[document.activeElement.id || document.activeElement.textContent, getComputedStyle(document.activeElement).outlineStyle]"
        name, outline = page.evaluate(at)
        reached.add(name.partition(" ")[0])
        assert outline != "none", name
        if name == "example-on":
            break
    assert {"robust", "example-defense", "example-search", "example-page", "example-on"} <= reached
    assert (
        page.evaluate(
            "[...document.querySelectorAll('button, select, input')].filter((e) => !e.textContent && !e.labels?.length).length"
        )
        == 0
    )


def many(examples: int, attacks: int) -> list[Cell]:
    """Cells of made-up records."""
    rng = Random(0)
    words = [
        "a",
        "film",
        "that",
        "plays",
        "its",
        "part",
        "with",
        "an",
        "unfortunate",
        "trump",
        "card",
        "of",
        "dreary",
        "middle",
        "and",
        "good",
        "great",
        "dull",
        "awful",
        "cast",
    ]
    texts = [" ".join(rng.choices(words, k=20)) + f" {i}" for i in range(examples)]
    header = {
        "mode": "adaptive",
        "dataset": "made",
        "split": "test",
        "victim": "v",
        "threat": "t@1",
        "seed": 0,
        "schema": 1,
    }
    made = []
    for number in range(attacks):
        records = {
            str(i): Record(
                example_id=str(i),
                label=i % 2,
                original=text,
                adversarial=text.replace("a", f"a{number}", 1),
                clean_output=[0.3, 0.7],
                adversarial_output=[0.6, 0.4],
                clean_prediction=1,
                adversarial_prediction=0,
                outcome="success" if (i + number) % 3 else "failed",
                queries=2 + i % 300,
                words_changed=1,
                words_total=21,
            )
            for i, text in enumerate(texts)
        }
        made.append(Cell(header | {"defense": f"d{number % 2}", "attack": f"a{number // 2}"}, records))
    return made


@needs_browser
def test_100_000_records_open_fast(browser: Any, tmp_path: Path) -> None:
    cells = many(10_000, 10)
    (tmp_path / "report.html").write_text(web(of(cells), cells), "utf-8")
    started = time.perf_counter()
    with opened(browser, tmp_path / "report.html") as found:
        found.page.wait_for_selector("[data-ready]", state="attached")
        assert time.perf_counter() - started < 3
        for name in ("defense", "attack", "outcome"):
            found.page.select_option(f"#example-{name}", "")
        assert found.page.locator("#example-count").inner_text() == "1–10 of 100,000 examples"
        found.page.get_by_label("text or id holds").fill("cast 7777")
        assert found.complaints == []
