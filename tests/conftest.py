"""What every test runs under: no hub, one way of tokenising, and an empty cache where a test asks for one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"


@pytest.fixture
def isolated_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder for one test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("ROBUSTBENCH_NLP_CACHE", str(folder))
    return folder


@pytest.fixture(scope="module")
def nltk_data() -> Path:
    """WordNet and the tagger where NLTK looks."""
    import nltk_folder

    return nltk_folder.ensure()


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run in which nothing goes wrong."""
    from test_faults import go

    return go(tmp_path_factory.mktemp("sound")).folder


@pytest.fixture(scope="session")
def hostile_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run whose texts, victim and warnings are hostile, with its web page."""
    from hostile import made

    return made(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def board_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which selectors mean something."""
    from boards import workplace  # not above: it imports the package

    folder = tmp_path_factory.mktemp("board")
    workplace(folder)
    return folder


@pytest.fixture
def there(board_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(board_place)
    monkeypatch.syspath_prepend(str(board_place))


@pytest.fixture(scope="module")
def board_run(board_place: Path) -> Path:
    """A finished run, without and with a defense."""
    from boards import made

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(board_place)
        patch.syspath_prepend(str(board_place))
        return made(Path("run"), defenses=["none", "unicode-normalize"]).resolve()
