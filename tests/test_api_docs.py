"""The API reference: every public name says something, every module has its page, and what is amiss is an error."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

import robustbench_nlp
from robustbench_nlp import plugins

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = spec_from_file_location("build_api_docs", ROOT / "scripts" / "build_api_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_has_a_docstring(script: ModuleType) -> None:
    assert [name for module in script.modules() for name in script.undocumented(module)] == []


def test_every_plugin_has_a_page(script: ModuleType) -> None:
    names = set(script.modules())
    for kind, package in (("attack", "attacks"), ("defense", "defenses"), ("victim", "victims")):
        assert {f"robustbench_nlp.{package}.{name}" for name in plugins.plugin_names(kind)} <= names
    assert not [name for name in names if "._" in name or ".commands" in name]


def test_the_pages_show_the_public_names(script: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("pdoc")
    assert script.built(tmp_path, ["robustbench_nlp", "robustbench_nlp.stats"]) == 2
    page = (tmp_path / "robustbench_nlp.html").read_text("utf-8")
    assert [name for name in robustbench_nlp.__all__ if f'id="{name}"' not in page] == []
    assert 'href="index.html"' in page
    index = (tmp_path / "index.html").read_text("utf-8")
    assert all(f'href="{page}.html"' in index for page in ("robustbench_nlp", "robustbench_nlp/stats"))
    assert 'id="wilson"' in (tmp_path / "robustbench_nlp" / "stats.html").read_text("utf-8")


def test_named_tuples_aliases_and_packages_are_no_exception(script: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("pdoc")
    names = [
        f"robustbench_nlp.{name}" for name in ("attack", "attacks.pwws", "search", "search.greedy", "report.table")
    ]
    assert script.built(tmp_path, names) == len(names)
    assert (tmp_path / "robustbench_nlp" / "search" / "greedy.html").exists()


PLANTED = {
    "silent": "__all__ = ['spoken', 'unsaid', 'Made']\nfrom dataclasses import dataclass\n"
    "def spoken():\n    'Says.'\ndef unsaid():\n    pass\n@dataclass\nclass Made:\n    x: int = 0\n",
    "astray": "'''A module.'''\n__all__ = ['gone']\n",
    "unread": "__all__ = ['says']\ndef says(of: 'Nobody') -> None:\n    'Says.'\n",
}


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, code in PLANTED.items():
        (tmp_path / f"planted_{name}.py").write_text(code, "utf-8")
        monkeypatch.delitem(sys.modules, f"planted_{name}", raising=False)


@pytest.mark.usefixtures("planted")
def test_a_planted_fault_stops_the_build(script: ModuleType, tmp_path: Path) -> None:
    assert script.undocumented("planted_silent") == ["planted_silent.unsaid", "planted_silent.Made"]
    pytest.importorskip("pdoc")
    with pytest.raises(SystemExit, match=r"without a docstring: planted_silent\.unsaid"):
        script.built(tmp_path / "pages", ["planted_silent"])
    with pytest.raises(AttributeError, match="gone"):
        script.built(tmp_path / "pages", ["planted_astray"])
    with pytest.raises(UserWarning, match="'Nobody' is not defined"):
        script.built(tmp_path / "pages", ["planted_unread"])
    assert not (tmp_path / "pages").exists()
