"""What tests of data share: any text, and the one line that bad use is told in."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import strategies as st

from robustbench_nlp.data import Dataset
from robustbench_nlp.errors import UsageError

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)
"""Any code points, lone surrogates and NUL among them."""
ODD = [
    "",
    " ",
    "🙂",
    "\x00",
    "\ud800",
    "a",
    "I",
    "ll",
    "good",
    "\ud800good\udfff fine",
    "שלום עולם good",
    "good\x00fine",
    "x" * 500,
    "…!?",
    "a-b-c",
    "ß ß",
    "a,'b",
    "很好的电影，good葛\U000e0100城",
    "अच्छी फ़िल्म e\u0301te\u0301 👨\u200d👩",
    "the film is good . the film is bad",
]
"""Texts that no author of an attack or a defense thinks of."""


def complaint(action: Callable[[], object]) -> str:
    """The one line that a `UsageError` says."""
    with pytest.raises(UsageError) as caught:
        action()
    line = str(caught.value)
    assert "\n" not in line
    return line


def texts_of(dataset: Dataset) -> list[str]:
    return [example.fields["text"] for example in dataset.examples]
