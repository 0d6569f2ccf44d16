"""The report's web page under the hands of a reader, in a real browser."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from browser import CONTRASTS, MISSING, Opened, chromium, opened
from hostile import HOSTILE, PAIRS, of

from robustbench_nlp.recorded import Cell, recorded_cells
from robustbench_nlp.records import Record
from robustbench_nlp.report.page import Column, Row, Value, page, selector, table
from robustbench_nlp.report.web import web
from robustbench_nlp.validity import rechecked

needs_browser = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@pytest.fixture(scope="module")
def cells(hostile_run: Path) -> list[Cell]:
    return recorded_cells(hostile_run)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture
def reader(browser: Any, hostile_run: Path) -> Iterator[Opened]:
    with opened(
        browser, hostile_run / "report.html", color_scheme="light", viewport={"width": 1280, "height": 900}
    ) as found:
        found.page.wait_for_selector("[data-ready]", state="attached")
        yield found
        assert found.complaints == []
        assert found.requests == [(hostile_run / "report.html").as_uri()]
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
    page.get_by_label("text holds or id begins with").fill("Number 7")
    page.get_by_text("1–3 of 3 examples").wait_for()
    identity = next(iter(cells[0].records))
    page.get_by_label("text holds or id begins with").fill(identity[:9].upper())
    page.get_by_text("1–1 of 1 examples").wait_for()
    page.get_by_label("text holds or id begins with").fill("nobody wrote this")
    page.get_by_text("No example is like that").wait_for()
    for outcome, number in Counter(r.outcome for c in cells for r in c.records.values()).items():
        page.get_by_label("text holds or id begins with").fill("")
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
def test_a_link_leads_to_an_example_under_every_attack(browser: Any, hostile_run: Path, cells: list[Cell]) -> None:
    identity = next(iter(cells[0].records))
    number = f"1–{len(cells)} of {len(cells)} examples"
    with opened(browser, hostile_run / "report.html") as found:
        found.page.goto(f"{(hostile_run / 'report.html').as_uri()}#example={identity}")
        found.page.get_by_text(number).wait_for()
        found.page.select_option("#example-defense", "none")
        found.page.get_by_role("link", name=f"example {identity}").first.click()
        found.page.get_by_label("text holds or id begins with").fill("")
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
def test_the_theme_is_the_systems_until_it_is_chosen(browser: Any, hostile_run: Path) -> None:
    def ground(page: Any) -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    with opened(browser, hostile_run / "report.html", color_scheme="dark") as found:
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
def test_every_text_has_contrast_and_a_narrow_page_does_not_scroll(
    browser: Any, hostile_run: Path, scheme: str
) -> None:
    with opened(
        browser, hostile_run / "report.html", color_scheme=scheme, viewport={"width": 360, "height": 800}
    ) as found:
        found.page.wait_for_selector("[data-ready]", state="attached")
        found.page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
        contrasts = found.page.evaluate(CONTRASTS)
        assert {"h1.", "ins.", "del.", "text.tick-text", "li.h0"} <= contrasts.keys()
        assert {name: least for name, least in contrasts.items() if least < 4.5} == {}
        assert found.page.evaluate("document.documentElement.scrollWidth") <= 360
        cut = "parts => parts.filter((part) => part.scrollWidth > part.clientWidth).length / parts.length"
        assert found.page.locator(".numbers .scroll").evaluate_all(cut) == 0


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
    (tmp_path / "report.html").write_text(web(of(cells), cells, rechecked(cells)), "utf-8")
    started = time.perf_counter()
    with opened(browser, tmp_path / "report.html") as found:
        found.page.wait_for_selector("[data-ready]", state="attached")
        assert time.perf_counter() - started < 3
        for name in ("defense", "attack", "outcome"):
            found.page.select_option(f"#example-{name}", "")
        assert found.page.locator("#example-count").inner_text() == "1–10 of 100,000 examples"
        found.page.get_by_label("text holds or id begins with").fill("cast 7777")
        assert found.complaints == []
