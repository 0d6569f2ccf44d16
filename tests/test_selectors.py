"""Selectors: settings before or behind the argument, and what is no setting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_nlp.errors import UsageError
from robustbench_nlp.grid import grid_of
from robustbench_nlp.plugins import Selector, create, parse


@pytest.mark.parametrize(
    ("selector", "read"),
    [
        ("noise", Selector("noise")),
        ("noise(severity=3):keyboard", Selector("noise", "keyboard", {"severity": 3})),
        ("noise:keyboard(severity=3)", Selector("noise", "keyboard", {"severity": 3})),
        ("noise(severity=3):keyboard ( kind = 'a(b)' )", Selector("noise", "keyboard", {"severity": 3, "kind": "a(b)"})),
        ("csv:rows.csv(text='review', label='stars')", Selector("csv", "rows.csv", {"text": "review", "label": "stars"})),
        ("csv:rows(1).csv", Selector("csv", "rows(1).csv")),
        ("csv:rows(1)", Selector("csv", "rows(1)")),
        ("csv:rows(old=new)", Selector("csv", "rows(old=new)")),
        ("http:http://host/?q=f(1)&x=(a)", Selector("http", "http://host/?q=f(1)&x=(a)")),
        ("worst-case:pwws(x=1)+pso(y=2)", Selector("worst_case", "pwws(x=1)+pso(y=2)")),
        ("spell(a='x):y')", Selector("spell", "", {"a": "x):y"})),
        ("random-typos(share=0.2)", Selector("random_typos", "", {"share": 0.2})),
    ],
)  # fmt: skip
def test_read(selector: str, read: Selector) -> None:
    assert parse(selector) == read


@given(
    st.text(st.characters(exclude_characters="("), min_size=1), st.dictionaries(st.sampled_from("abc"), st.integers())
)
def test_either_place_is_the_same(argument: str, settings: dict[str, int]) -> None:
    told = f"({', '.join(f'{key}={value}' for key, value in settings.items())})" if settings else ""
    argument = f"x{argument}x"  # spaces at its ends are none of it
    assert parse(f"name{told}:{argument}") == parse(f"name:{argument}{told}") == Selector("name", argument, settings)


def test_one_setting_twice() -> None:
    with pytest.raises(UsageError, match="gives severity twice"):
        parse("noise(severity=3):keyboard(severity=4)")


def test_attacks_are_one_either_way() -> None:
    assert create("attack", "noise:keyboard(severity=2)") == create("attack", "noise(severity=2):keyboard")
    with pytest.raises(UsageError, match="is named twice"):
        grid_of(["noise:keyboard(severity=2)", "noise(severity=2):keyboard"], cascade=False)


def test_members_of_a_worst_case_keep_their_settings() -> None:
    one = grid_of(["worst-case:random-typos(share=0.2)"], cascade=False)
    two = grid_of(["worst-case:random-typos(share=0.2)+noise:keyboard(severity=2)"], cascade=False)
    assert [member.name for member in one.members] == ["random_typos(share=0.2)"]
    assert [member.name for member in two.members] == ["random_typos(share=0.2)", "noise(severity=2):keyboard"]
