"""The lists of the command line: groups, threats, adapters' states, and what a narrow terminal shows."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest

from robustbench_nlp import listing, plugins
from robustbench_nlp.listing import lines, listed, shortened


def test_attacks_stand_by_what_they_change_and_know() -> None:
    groups = {attack.name: (attack.group, attack.threat) for attack in listed("attack")}
    assert groups["deepwordbug"] == ("char, sees scores", "char_30@1")
    assert groups["hotflip"] == ("word, sees gradients", "flips@1")
    assert groups["hlbb"][0] == "word, sees decisions"
    assert groups["random_typos"][0] == groups["noise"][0] == "noise, no search"
    assert groups["textattack"] == groups["nlpaug"] == ("recipes of other libraries", "")
    assert not [name for name, (group, _) in groups.items() if group == "not to be loaded here"]
    printed = "\n".join(lines("attack", None))
    assert "textattack:pwws " in printed
    assert "nlpaug:KeyboardAug " in printed
    assert "noise:keyboard, ocr, " in printed
    assert len(listed("attack")) == len(plugins.plugin_names("attack")) + 1


def test_a_title_is_the_same_before_and_after_its_plug_in_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pwws", "textattack", "noise"):
        module = "robustbench_nlp.attacks." + name
        import_module(module)
        after = plugins.describe("attack", name)
        monkeypatch.delitem(sys.modules, module)
        assert plugins.describe("attack", name) == after
    assert plugins.describe("attack", "pwws").startswith("PWWS")


@pytest.mark.parametrize("kind", ["attack", "defense", "victim", "dataset", "task"])
@pytest.mark.parametrize("width", [60, 100])
def test_no_line_is_wider_than_the_terminal(kind: plugins.Kind, width: int) -> None:
    assert max(map(len, lines(kind, width))) <= width


def test_shortened() -> None:
    assert [shortened("a word  ", width) for width in (None, 6, 5, 3)] == ["a word", "a word", "a wo…", "a…"]


def test_a_plug_in_that_cannot_be_loaded_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(kind: plugins.Kind, name: str) -> object:
        raise ImportError("no module named 'theirs'")

    monkeypatch.setattr(plugins, "factory", broken)
    found = listing._attack("pwws")
    assert found.group == "not to be loaded here"
    assert found.title.endswith("(ImportError: no module named 'theirs')")
