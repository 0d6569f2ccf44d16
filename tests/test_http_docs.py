"""docs/http.md says what the settings are: its table is the victim's, its selectors open, its commands and server are sound."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from robustbench_nlp.commands.run import command
from robustbench_nlp.spending import FILE
from robustbench_nlp.victim import open_victim
from robustbench_nlp.victims.http import HttpVictim, load

PAGE = (Path(__file__).parents[1] / "docs/http.md").read_text("utf-8")


def test_the_table_of_settings_is_the_victims() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| `?([^|`]+?)`? \|", PAGE, flags=re.MULTILINE))
    known = {
        name: {None: "none"}.get(parameter.default, repr(parameter.default))
        for name, parameter in inspect.signature(load).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    assert told == {**known, "timeout": "60"}


@pytest.mark.parametrize("selector", sorted(set(re.findall(r'"(http\(.+?)"', PAGE))))
def test_its_selectors_open(selector: str) -> None:
    assert isinstance(open_victim(selector), HttpVictim)


def test_its_options_exist_and_its_server_compiles() -> None:
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) <= known
    (server,) = re.findall(r"```python\n(.+?)```", PAGE, flags=re.DOTALL)
    compile(server, "serve.py", "exec")
    assert FILE in PAGE
