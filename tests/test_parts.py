"""Parts of speech as constraints: by the dictionary, and in the sentence."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from texts import ANY_TEXT, ODD, complaint

from robustbench_nlp.constraints.parts import fits_by
from robustbench_nlp.lexicon.tagger import parts_in
from robustbench_nlp.plugins import create
from robustbench_nlp.text import Text


def test_the_tagger_reads_a_word_in_its_sentence() -> None:
    assert parts_in(["they", "book", "a", "room"])[1] == "v"
    assert parts_in(["the", "book", "is", "dull"])[1] == "n"
    assert parts_in(["this", "film", "is", "really", "good"]) == [None, "n", None, "r", "a"]
    assert parts_in(["das", "ist", "ein", "guter", "Film"], "de")[-2:] == ["a", "n"]


def test_empty_slots_keep_the_others_in_place() -> None:
    assert parts_in(["a", "", "good", "", "film"]) == [None, None, "a", None, "n"]
    assert parts_in([]) == []


@pytest.mark.parametrize("parts", ["wordnet", "tagger"])
def test_a_rule_lets_the_same_part_through(parts: str) -> None:
    fits = fits_by(parts)
    text = Text("the film is good")
    assert fits(text, 3, "great")
    assert not fits(text, 3, "quickly")
    assert fits(text, 1, "movie")


def test_the_dictionary_takes_any_common_reading_and_the_tagger_one() -> None:
    text = Text("they book a room")
    assert fits_by("wordnet")(text, 1, "volume")
    assert not fits_by("tagger")(text, 1, "volume")
    assert fits_by("tagger", verb_noun_swap=True)(text, 1, "volume")


@settings(deadline=None, max_examples=50)
@given(st.sampled_from(ODD) | ANY_TEXT, ANY_TEXT)
def test_any_text_is_read(string: str, word: str) -> None:
    text = Text(string)
    for number in range(len(text)):
        assert fits_by("tagger")(text, number, word) in (True, False)


@pytest.mark.parametrize("attack", ["textfooler", "bae", "a2t"])
def test_attacks_name_the_rule(attack: str) -> None:
    create("attack", f"{attack}(parts='tagger')")
    assert "tagger, wordnet" in complaint(lambda: create("attack", f"{attack}(parts='guess')"))


def test_a_language_without_a_model_is_told() -> None:
    assert "language of the tagger" in complaint(lambda: create("attack", "textfooler(parts='tagger', language='fr')"))
