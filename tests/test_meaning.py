"""Parts of speech by look-up, opposite poles, windows, and the similarity filter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_nlp.attack import Encode
from robustbench_nlp.constraints.meaning import (
    Close,
    Form,
    close_in_meaning,
    forms,
    indirect_antonyms,
    parts_of_speech,
    same_part,
    window,
)
from robustbench_nlp.text import Text


@pytest.mark.parametrize(
    ("word", "reading"),
    [
        ("movies", ("n", "s", "movie")),
        ("Loved", ("v", "ed", "love")),
        ("went", ("v", "ed", "go")),
        ("running", ("v", "ing", "run")),
        ("better", ("a", "er", "good")),
        ("worst", ("a", "est", "bad")),
        ("slowly", ("r", "", "slowly")),
        ("watchable", ("a", "", "watchable")),  # not in WordNet: by its ending
    ],
)
def test_forms(word: str, reading: tuple[str, str, str]) -> None:
    assert Form(*reading) in forms(word)  # type: ignore[arg-type]


def test_parts_of_speech_leave_rare_ones_out() -> None:
    assert parts_of_speech("good") == {"a"}
    assert parts_of_speech("quickly") == {"r"}
    assert parts_of_speech("film") == {"n", "v"}
    assert parts_of_speech("the") == parts_of_speech("") == parts_of_speech("\ud800") == frozenset()


def test_same_part() -> None:
    assert same_part("good", "Great")
    assert not same_part("good", "quickly")
    assert same_part("the", "movie")  # unknown words pass
    assert not same_part("actor", "perform")
    assert same_part("actor", "perform", verb_noun_swap=True)
    assert not same_part("actor", "quickly", verb_noun_swap=True)


def test_indirect_antonyms_are_mutual() -> None:
    assert {"interesting", "fascinating"} <= indirect_antonyms("Boring")
    assert all("boring" in indirect_antonyms(other) for other in indirect_antonyms("boring"))
    assert indirect_antonyms("movie") == indirect_antonyms("") == frozenset()


@given(st.lists(st.sampled_from(["a", "good", "film", "it's"]), min_size=1, max_size=30), st.data())
def test_a_window_holds_its_word_and_its_neighbours(words: list[str], data: st.DataObject) -> None:
    text = Text("(" + ", ".join(words) + ")")
    number = data.draw(st.integers(0, len(words) - 1))
    first = min(max(0, number - 2), max(0, len(words) - 5))
    assert Text(window(text, number, 5)).words == words[first : first + 5]
    assert window(text, number, None) == str(text)


def fake(items: Sequence[str]) -> np.ndarray:
    """Two dimensions: texts with "bad" in them point elsewhere."""
    return np.array([[0.6, 0.8] if "bad" in item else [1.0, 0.0] for item in items], np.float32)


def ask(texts: list[Text], original: Text, min_cosine: float, words: int | None = None) -> tuple[Close, list[Encode]]:
    steps, asked = close_in_meaning(original, texts, 1, min_cosine=min_cosine, words=words), []
    answer = None
    while True:
        try:
            request = steps.send(answer)
        except StopIteration as stop:
            return stop.value, asked
        assert isinstance(request, Encode)
        asked.append(request)
        answer = fake(request.items)


def test_close_texts_pass_with_one_request() -> None:
    original = Text("a good film about good people")
    texts = [original.swap(1, word) for word in ("great", "bad", "fine")]
    found, asked = ask(texts, original, 0.7)
    assert found == Close([texts[0], texts[2]], [1.0, 1.0])
    assert [list(request.items) for request in asked] == [[str(original), *map(str, texts)]]
    assert ask(texts, original, 0.6)[0].cosines == [1.0, 0.6, 1.0]


def test_a_window_hides_what_is_outside() -> None:
    original = Text("a good film about bad people")
    found, asked = ask([original.swap(1, "great")], original, 0.99, words=3)
    assert found.cosines == [1.0]
    assert list(asked[0].items) == ["a good film", "a great film"]


def test_nothing_is_asked_for_no_candidates() -> None:
    assert ask([], Text("a film"), 0.5) == (Close([], []), [])
