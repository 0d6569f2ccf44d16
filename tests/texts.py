"""What tests of data share: any text, and the one line that bad use is told in."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import strategies as st

from robustbench_nlp.data import Dataset
from robustbench_nlp.errors import UsageError

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)
"""Any code points, lone surrogates and NUL among them."""


def complaint(action: Callable[[], object]) -> str:
    """The one line that a `UsageError` says."""
    with pytest.raises(UsageError) as caught:
        action()
    line = str(caught.value)
    assert "\n" not in line
    return line


def texts_of(dataset: Dataset) -> list[str]:
    return [example.fields["text"] for example in dataset.examples]
