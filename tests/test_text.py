"""Text and Threat: round trip, locality and stability on any Unicode string; alignment against rapidfuzz."""

from __future__ import annotations

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from robustbench_nlp.data.sources.mr import load
from robustbench_nlp.text import _WORD, Text, edges_of, is_word, words_of
from robustbench_nlp.threat import Threat, align, measure, violations

STRINGS = st.text(st.characters(exclude_categories=()), max_size=60)  # lone surrogates too
PROSE = st.lists(
    st.sampled_from(
        [
            *("good", "it's", "a-b", "  ", " ", "\x00", "--", ".", "'", "🙂", "👨\u200d👩", "❤\ufe0f", "\ud800"),
            *(
                "e\u0301",
                "\u0301",
                "שלום",
                "مرحبا",
                "नमस्ते",
                "ก็",
                "한국",
                "电影",
                "葛\U000e0100",
                "ひら",
                "カナ",
                "３Ｄ",
            ),
        ]
    ),
    max_size=20,
)
ANY = STRINGS | PROSE.map("".join)
WORD_LISTS = st.lists(st.sampled_from("abcd"), max_size=8)


@given(ANY)
def test_round_trip(string: str) -> None:
    text = Text(string)
    assert str(text) == string
    assert [string[start:end] for start, end in text.spans] == text.words == words_of(string)
    assert len(text) == len(text.words)
    assert str(text.replace({})) == string


@given(ANY, st.data())
def test_an_edit_is_local_and_word_numbers_are_stable(string: str, data: st.DataObject) -> None:
    text = Text(string)
    if not len(text):
        return
    number = data.draw(st.integers(0, len(text) - 1))
    new = data.draw(ANY)
    start, end = text.spans[number]
    for edited in (text.swap(number, new), text.replace({number: new})):
        assert str(edited) == string[:start] + new + string[end:]
        assert edited.words == [*text.words[:number], new, *text.words[number + 1 :]]
        assert edited.swap(number, text.word(number)) == text
    assert str(text) == string


@given(ANY, st.data())
def test_delete_and_insert_disturb_at_most_a_space(string: str, data: st.DataObject) -> None:
    text = Text(string)
    number = data.draw(st.integers(0, len(text)))
    inserted = str(text.insert(number, "new"))
    assert len(inserted) == len(string) + (4 if len(text) else 3)
    if number < len(text):
        start, end = text.spans[number]
        deleted = text.delete(number)
        assert len(deleted) == len(text)
        assert len(string) - (end - start) - len(str(deleted)) in (0, 1)
        assert deleted.words == [*text.words[:number], "", *text.words[number + 1 :]]


@given(ANY, st.integers(0, 60))
def test_words_beyond_the_end_have_no_slot(string: str, end: int) -> None:
    text = Text(string, end)
    assert str(text) == string
    assert text.words == [string[a:b] for a, b in Text(string).spans if b <= end]


def test_apostrophes_and_hyphens_stay_inside_words() -> None:
    assert words_of("it's a well-known 'fact', isn’t it? foo_bar-") == [
        *("it's", "a", "well-known", "fact", "isn’t", "it", "foo_bar"),
    ]


@pytest.mark.parametrize(
    ("string", "words"),
    [
        ("我爱T恤和3D电影。", ["我", "爱", "T", "恤", "和", "3D", "电", "影"]),
        ("葛\U000e0100城々〇", ["葛\U000e0100", "城", "々", "〇"]),
        ("ラーメンがか\u3099すき", ["ラーメン", "が", "か\u3099", "す", "き"]),
        ("电'影-a-b", ["电", "影", "a-b"]),
        ("안녕하세요 세계", ["안녕하세요", "세계"]),
        ("สวัสดีครับ", ["สวัสดีครับ"]),
        ("हिन्दी फ़िल्म", ["हिन्दी", "फ़िल्म"]),
        ("می\u200cخواهم، ذَهَبَ", ["می\u200cخواهم", "ذَهَبَ"]),
        ("cafe\u0301 \u0301a", ["cafe\u0301", "a"]),
        ("👨\u200d👩\u200d👧 ❤\ufe0f ok", ["ok"]),
        ("\ud800好\udfff", ["好"]),
    ],
)
def test_words_in_every_script(string: str, words: list[str]) -> None:
    assert words_of(string) == words


def test_english_words_are_what_spaces_and_marks_make_of_them() -> None:
    """On every review the rule is the plain one: no ideographs, no marks without a letter."""
    plain = regex.compile(r"\w+(?:['’\-‐‑]\w+)*")
    strings = [example.fields["text"] for split in ("train", "dev", "test") for example in load("", split).examples]
    assert all(words_of(string) == plain.findall(string) for string in strings)
    assert len(strings) > 8_000


@given(ANY)
def test_words_of_scripts_without_spaces_stand_alone_and_cut_no_character(string: str) -> None:
    for word in words_of(string):
        assert words_of(word) == [word]
        assert not regex.match(r"[\p{M}\u200c\u200d]", word)
        if regex.search(r"[\p{Han}\p{Hiragana}]", word):
            assert regex.fullmatch(r".\p{M}*", word)


@given(st.text(st.characters(max_codepoint=0x7F)))
def test_ascii_is_no_exception(string: str) -> None:
    assert words_of(string) == _WORD.findall(string)


@given(ANY, st.integers(0, 60))
def test_slots_are_the_words_that_lie_within_the_end(string: str, end: int) -> None:
    text = Text(string, end)
    assert text.words == [match.group() for match in _WORD.finditer(string) if match.end() <= end]
    assert str(text) == "".join(text.pieces) == string


@given(ANY)
def test_a_word_is_what_has_one_word_and_nothing_else(string: str) -> None:
    assert is_word(string) == (words_of(string) == [string])


@given(ANY)
def test_edges_are_those_of_what_a_reader_takes_for_characters(string: str) -> None:
    edges = list(edges_of(string))
    assert edges == sorted({0, len(string), *(match.start() for match in regex.finditer(r"\X", string))})
    assert list(edges_of("e\u0301हि")) == [0, 2, 4]


@given(WORD_LISTS, WORD_LISTS)
def test_align_costs_the_edit_distance_and_rebuilds_the_change(before: list[str], after: list[str]) -> None:
    pairs = align(before, after)
    assert len(pairs) == Levenshtein.distance(before, after)
    assert all(a != b for a, b in pairs)
    left, right = [a for a, _ in pairs if a], [b for _, b in pairs if b]
    assert len(before) - len(left) == len(after) - len(right)


@given(ANY, ANY)
def test_measure_is_rapidfuzz_on_words_and_code_points(one: str, other: str) -> None:
    changes = measure(one, other)
    assert changes.words_changed == Levenshtein.distance(words_of(one), words_of(other))
    assert changes.words_total == len(words_of(one))
    assert changes.edits_chars == Levenshtein.distance(one, other)
    assert measure(one, one)[0] == 0


@pytest.mark.parametrize(
    ("limit", "text", "inside"),
    [
        ({"max_words_changed": 1}, "a fime film", True),
        ({"max_words_changed": 1}, "a fime fllm", False),
        ({"max_words_share": 0.5}, "a fime film", True),
        ({"max_words_share": 0.5}, "a fime fllm", False),
        ({"max_words_share": 0.1}, "a fime film", True),
        ({"max_words_share": 0.67}, "a fime fllm", True),
        ({"max_words_changed": 5}, "a fine film that is better", True),
        ({"max_edits": 1}, "a fime film", True),
        ({"max_edits": 1}, "a fime fllm", False),
        ({"max_edits_per_word": 1}, "a fime fllm", True),
        ({"max_edits_per_word": 1}, "a mime film", False),
        ({}, "something else", True),
    ],
)
def test_violations(limit: dict[str, float], text: str, inside: bool) -> None:
    assert (not violations(Threat(name="t", **limit), "a fine film", text)) is inside  # type: ignore[arg-type]
