"""The page of all defenses says what their modules say."""

from __future__ import annotations

from types import ModuleType

import documented
import pytest

from robustbench_nlp.plugins import create, plugin_names


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(documented.ROOT / "scripts"))
    import build_defense_docs

    module: ModuleType = build_defense_docs
    return module


def test_the_committed_page_is_up_to_date(script: ModuleType) -> None:
    page = script.page()
    assert script.PAGE.read_text("utf-8") == page, "python scripts/build_defense_docs.py"
    assert [line[4:-1] for line in page.splitlines() if line.startswith("## ")] == plugin_names("defense")


def test_what_it_says_is_read_from_the_defense(script: ModuleType) -> None:
    made = create("defense", "ranmask(rate=0.5)")
    assert script.paper(made) == "Zeng et al., 2023"
    assert "`rate: float = 0.5`" in list(script.settings(made))
    assert script.selector(made) == "ranmask(rate=0.5)"
    assert script.certified(made) == "words replaced in place"
    assert script.certified(create("defense", "ranmask(votes=False)")) == ""
    assert script.trains(create("defense", "recommended"))
    assert not script.trains(create("defense", "vote"))
