"""The leaderboard: rankings by paired tests, the floor beside them, and a page that hostile entries can't use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from shutil import copytree
from typing import Any

import pandas as pd
import pytest
from boards import made, rewrite, rewrite_texts
from browser import CHROMIUM, CONTRASTS, Opened, chromium, opened
from texts import complaint

from robustbench_nlp.cli import main
from robustbench_nlp.leaderboard.board import COLUMNS, frame, rankings
from robustbench_nlp.leaderboard.entry import read_entry
from robustbench_nlp.leaderboard.files import board_written
from robustbench_nlp.leaderboard.shown import markdown
from robustbench_nlp.leaderboard.site import site
from robustbench_nlp.leaderboard.submission import submit
from robustbench_nlp.ranking import rank
from robustbench_nlp.recorded import recorded_cells

pytestmark = pytest.mark.usefixtures("there")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here")
PUBLISHED = Path(__file__).resolve().parent.parent / "results" / "leaderboard"
HOSTILE = "<img/src=x/onerror='window.hacked=1'><script>window.hacked=2</script>"


@pytest.fixture(scope="module")
def shared(board_place: Path, board_run: Path) -> Path:
    """Entries of three victims; one has a claim."""
    board = board_place / "board"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(board_place)
        patch.syspath_prepend(str(board_place))
        submit(board_run, to=board)
        for name in ("other", "weak"):
            run = made(board_place / name, victim=f"python:boardvictims:{name}")
            submit(run, to=board, name=name, links=["https://example.org/a"], claims={"robust": 0.99})
        submit(made(board_place / "few", limit=8, attacks=["worst-case:fast-1"]), to=board, name="few")
    return board


@pytest.fixture
def board(shared: Path, tmp_path: Path) -> Path:
    return copytree(shared, tmp_path / "board")


class Page(HTMLParser):
    """Every tag of a page with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_entries_that_were_measured_alike_stand_in_one_ranking(board: Path, board_run: Path) -> None:
    first, second = rankings(board)
    assert (first.title, second.title) == ("fast-1 on rows.csv, n = 24", "fast-1 on rows.csv, n = 8")
    assert {line.entry.name for line in first.lines} == {
        "keywords__none",
        "keywords__unicode_normalize",
        "other__none",
        "weak__none",
    }
    assert [line.entry.name for line in second.lines] == ["few__none"]
    robust = [line.entry.measured["robust_accuracy"] for line in first.lines]
    assert robust == sorted(robust, reverse=True)
    assert first.lines[0].rank == 1
    assert [line.tied for line in first.lines] == [value < max(robust) for value in robust]
    cells = {cell.name: cell.right() for cell in recorded_cells(board_run)}
    assert set(rank({name: cells[name, "worst_case:fast-1"] for name in ("none", "unicode_normalize")}).values()) == {1}


def test_an_entry_is_behind_those_that_are_significantly_better(board: Path) -> None:
    def broken(lines: list[dict[str, Any]]) -> None:
        for line in lines:
            if line.get("outcome") == "failed":
                line["outcome"] = "success"

    path = board / "classification" / "fast-1" / "weak__none.json"
    rewrite_texts(path, broken)
    rewrite(path, lambda told: told["measured"].update(robust_accuracy=0.0))
    first = rankings(board)[0]
    last = first.lines[-1]
    assert (last.entry.name, last.rank) == ("weak__none", 1 + len(last.better))
    assert "other, none" in last.better


def test_what_its_texts_do_not_give_is_refused(board: Path) -> None:
    path = board / "classification" / "fast-1" / "weak__none.json"
    rewrite(path, lambda told: told["measured"].update(robust_accuracy=0.99))
    assert "is not what its texts give" in complaint(lambda: rankings(board))
    path.with_suffix(".jsonl.gz").unlink()
    assert "are missing" in complaint(lambda: rankings(board))


def test_the_table_for_programs(board: Path) -> None:
    table = frame(rankings(board), board)
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 5
    assert set(table["floor"][table["n"] == 24]) == {0.5}
    row = table.set_index(["victim", "defense"]).loc["other", "none"]
    entry = read_entry(board / row["entry"])
    assert row["robust_accuracy"] == entry.measured["robust_accuracy"]
    assert row["claimed_robust_accuracy"] == 0.99
    assert row["links"] == "https://example.org/a"
    assert "small" in row["flags"]


def test_the_table_to_read_has_the_constant_answer_where_it_would_stand(board: Path) -> None:
    found = rankings(board)
    text = markdown(found, board)
    assert text.count("ranks needn't rise from row to row") == len(found)
    lines = [line for line in text.partition("\n## ")[2].partition("\n## ")[0].splitlines() if line.startswith("| ")][
        2:
    ]
    values = [float(re.split(r" *\| *", line)[5].split()[0]) for line in lines]
    assert sum("a constant answer" in line for line in lines) == 1
    assert values == sorted(values, reverse=True)
    assert "99.0 ≠" in text
    for path in re.findall(r"\]\(([^)]+)\)", text):
        assert (board / path).is_file()


def test_the_page_says_everything_and_loads_nothing(board: Path) -> None:
    text = site(rankings(board), board)
    page = Page(text)
    entries = [tags for tag, tags in page.tags if tag == "tr" and "data-entry" in tags]
    assert len(entries) == 5
    assert {tags["data-ensemble"] for tags in entries} == {"fast-1"}
    assert {tags["data-attacker"] for tags in entries} == {"score"}
    filters = {tags["data-board"] for tag, tags in page.tags if tag == "select"}
    assert filters == {"task", "ensemble", "attacker", "dataset", "victim", "defense", "flag"}
    assert sum("data-constant" in tags for _, tags in page.tags) == 2
    assert text.count("ranks needn&#x27;t rise from row to row") == 2
    assert not any("src" in tags for _, tags in page.tags)
    assert not any(name.startswith("on") or name == "style" for _, tags in page.tags for name in tags)
    identities = [tags["id"] for _, tags in page.tags if "id" in tags]
    assert len(identities) == len(set(identities))
    for tag, tags in page.tags:
        if tag == "a" and (tags["href"] or "").startswith("#"):
            assert (tags["href"] or "")[1:] in identities
        elif tag == "a" and not (tags["href"] or "").startswith("https://"):
            assert (board / str(tags["href"])).is_file()
    assert "robustbench-nlp run --dataset csv:rows.csv --victim python:boardvictims:other" in text


def poison(told: dict[str, Any]) -> None:
    """Texts that want to run, wherever an entry has some."""
    told["links"] = [f'https://example.org/"{HOSTILE}']
    told["warnings"] = [HOSTILE]
    told["flags"].append(HOSTILE)
    told["dataset"]["licence"] = told["dataset"]["selector"] = told["dataset"]["note"] = HOSTILE
    told["ensemble"]["description"] = HOSTILE
    told["members"][0]["threat"] = HOSTILE
    told["environment"]["packages"] = {HOSTILE: HOSTILE}


def test_a_hostile_entry_is_only_text(board: Path) -> None:
    rewrite(board / "classification" / "fast-1" / "other__none.json", poison)
    text = site(rankings(board), board)
    page = Page(text)
    assert "<img" not in text
    assert "img" not in {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, tags in page.tags for name in tags)
    assert not re.search(r"(?<!\\)<", markdown(rankings(board), board))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture
def reader(browser: Any, board: Path) -> Iterator[Opened]:
    """The page of a board with a hostile entry, in a browser; it must say nothing, load nothing and run nothing."""
    rewrite(board / "classification" / "fast-1" / "other__none.json", poison)
    (path, *_) = board_written(board)
    with opened(browser, path, color_scheme="light", viewport={"width": 1280, "height": 900}) as found:
        yield found
        assert found.complaints == []
        assert found.requests == [path.as_uri()]
        assert found.page.evaluate("window.hacked") is None


def shown(page: Any, ranking: int) -> list[str]:
    """The visible entries of a ranking, by their victims and defenses."""
    return list(
        page.evaluate(
            """number => [...document.querySelectorAll(`#ranking-${number} tbody tr[data-entry]`)]
            .filter((row) => row.checkVisibility()).map((row) => `${row.dataset.victim} ${row.dataset.defense}`)""",
            ranking,
        )
    )


def choice(page: Any, name: str) -> Any:
    return page.locator(f"select[data-board={name}]")


@needs_browser
def test_readers_filter(reader: Opened) -> None:
    page = reader.page
    assert (len(shown(page, 1)), len(shown(page, 2))) == (4, 1)
    choice(page, "victim").select_option("other")
    assert (shown(page, 1), shown(page, 2)) == (["other none"], [])
    assert page.locator("#ranking-1 tr[data-constant]").is_visible()
    assert page.locator("#ranking-2").is_hidden()
    assert page.locator("article:visible").count() == 1
    assert page.locator("#told").inner_text() == "1 entry."
    choice(page, "defense").select_option("unicode_normalize")
    assert page.locator("#none").is_visible()
    choice(page, "victim").select_option("")
    assert shown(page, 1) == ["keywords unicode_normalize"]
    assert page.locator("#none").is_hidden()
    choice(page, "defense").select_option("")
    choice(page, "flag").select_option("small")
    assert len(shown(page, 1)) == 4
    for name in ("task", "ensemble", "attacker"):
        choice(page, name).select_option(index=1)
        assert len(shown(page, 1)) == 4


@needs_browser
def test_readers_sort_by_keyboard(reader: Opened) -> None:
    page = reader.page
    head = page.locator("#ranking-1 thead th", has_text="victim")
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    victims = [entry.split()[0] for entry in shown(page, 1)]
    assert victims == sorted(victims)
    head = page.locator("#ranking-1 thead th", has_text="robust %")
    head.get_by_role("button").click()
    values = page.locator("#ranking-1 tbody td:nth-child(5)").all_inner_texts()
    numbers = [float(value.split()[0]) for value in values]
    assert numbers == sorted(numbers, reverse=True)


@needs_browser
@pytest.mark.parametrize(("width", "last"), [(1440, "time"), (1280, "time"), (400, "robust %")])
def test_nobody_scrolls_for_flags(browser: Any, tmp_path: Path, width: int, last: str) -> None:
    (path,) = board_written(PUBLISHED, ["html"], tmp_path)
    with opened(browser, path, viewport={"width": width, "height": 900}) as found:
        heads = found.page.locator("#ranking-1 thead th").all()
        names = [head.inner_text().rstrip("↕").strip() for head in heads]
        assert names.index("flags") == names.index("defense") + 1
        edges = [
            element.evaluate("element => element.getBoundingClientRect().right")
            for element in (heads[names.index(last)], found.page.locator("#ranking-1 .scroll"))
        ]
        assert edges[0] <= edges[1]


@needs_browser
def test_a_name_leads_to_what_stands_behind_it(reader: Opened) -> None:
    page = reader.page
    page.locator("#ranking-1").get_by_role("link", name="unicode_normalize").click()
    article = page.locator("article:target")
    assert "keywords, unicode_normalize" in article.inner_text()
    assert "robustbench-nlp verify classification/fast-1/keywords__unicode_normalize.json" in article.inner_text()


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read(browser: Any, board: Path, scheme: str) -> None:
    (path, *_) = board_written(board)
    with opened(browser, path, color_scheme=scheme, viewport={"width": 400, "height": 900}) as found:
        found.page.evaluate("document.getElementById('none').hidden = false")
        contrasts = found.page.evaluate(CONTRASTS)
        assert min(contrasts.values()) >= 4.5, contrasts
        wide = found.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, "on a phone only the tables scroll sideways"


@pytest.mark.parametrize("name", ["index.html", "leaderboard.csv", "README.md"])
def test_the_same_entries_give_the_same_files(board: Path, name: str) -> None:
    board_written(board)
    before = (board / name).read_bytes()
    board_written(board)
    assert (board / name).read_bytes() == before


def test_the_command(board: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--leaderboard", str(board)]) == 0
    written = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert written == [board / "index.html", board / "leaderboard.csv", board / "README.md"]
    assert len(pd.read_csv(written[1])) == 5
    site_folder = tmp_path / "site"
    assert main(["report", "--leaderboard", str(board), "--formats", "html", "--output", str(site_folder)]) == 0
    assert len(list(site_folder.glob("*/*/*.json"))) == len(list(site_folder.glob("*/*/*.jsonl.gz"))) == 5
    capsys.readouterr()
    for arguments, told in (
        (["--leaderboard", str(tmp_path)], "holds no entries"),
        (["--leaderboard", str(board), "--formats", "pdf"], "no format of a leaderboard 'pdf'"),
        (["run", "--leaderboard"], "leave run out"),
        ([], "name a run folder"),
        (["run", "--output", "x"], "--output is for --leaderboard"),
    ):
        assert main(["report", *arguments]) == 2
        assert told in capsys.readouterr().err
