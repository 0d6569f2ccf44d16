"""Edits: each kind makes the change it names, on any Unicode word, and never empties one."""

from __future__ import annotations

from random import Random
from string import ascii_lowercase

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from robustbench_nlp.constraints.words import content_words, inside
from robustbench_nlp.edits import characters
from robustbench_nlp.edits.characters import internal_edits, one_of_each, one_typo, random_typos
from robustbench_nlp.edits.synonyms import with_synonyms
from robustbench_nlp.text import Text, edges_of, words_of
from robustbench_nlp.threat import Threat

ANY = st.text(st.characters(exclude_categories=()), max_size=12)
WORDS = ANY | st.sampled_from(["film", "it's", "well-known", "a-b-c", "rn", "mm", "aa", "ñandú", "🙂🙂"])
SEEDS = st.integers(0, 2**32)
GROWTH = {"swap": {0}, "substitute": {0}, "delete": {-1}, "insert": {1}, "keyboard": {0}, "ocr": {-1, 0, 1}}


@pytest.mark.parametrize("name", GROWTH)
@given(WORDS, SEEDS)
def test_each_edit_makes_one_change(name: str, word: str, seed: int) -> None:
    edited = getattr(characters, name)(word, Random(seed))
    if edited != word:
        assert len(edited) - len(word) in GROWTH[name]
        marked = len(edges_of(word)) <= len(word)  # a character with a mark moves as one
        assert OSA.distance(word, edited) <= (2 if name == "ocr" or (name == "swap" and marked) else 1)
        assert edited


@given(WORDS, SEEDS)
def test_one_of_each_gives_up_to_four_other_words(word: str, seed: int) -> None:
    edited = one_of_each(word, Random(seed))
    assert word not in edited
    assert len(set(edited)) == len(edited) <= 4
    assert "" not in edited
    if len(word) < 2:
        assert edited == []


@given(WORDS, st.none() | SEEDS)
def test_internal_edits_keep_both_ends(string: str, seed: int | None) -> None:
    word = max(words_of(string), key=len, default="")
    edits = internal_edits(word, None if seed is None else Random(seed))
    assert len(set(edits)) == len(edits)
    for edited in edits:
        assert edited != word
        assert edited[0] == word[0]
        assert edited[-1] == word[-1]
        assert OSA.distance(word, edited) == 1 or (len(edges_of(word)) <= len(word) and OSA.distance(word, edited) == 2)
        assert words_of(edited) == [edited]


def test_internal_edits_are_complete() -> None:
    swaps, deletions, keys = {"acbd"}, {"acd", "abd"}, {"agcd", "ahcd", "ancd", "avcd", "abdd", "abfd", "abvd", "abxd"}
    insertions = {"abcd"[:i] + letter + "abcd"[i:] for i in (1, 2, 3) for letter in ascii_lowercase}
    assert set(internal_edits("abcd")) == swaps | deletions | keys | insertions
    assert len(set(internal_edits("abcd", Random(0))) - swaps - deletions - keys) == 2  # one at each of two places


@given(WORDS, SEEDS)
def test_one_typo_is_one_word(word: str, seed: int) -> None:
    edited = one_typo(word, Random(seed))
    assert edited == word or words_of(edited) == [edited]


@given(ANY, SEEDS, st.floats(0, 1))
def test_random_typos_touch_a_share_of_the_words(string: str, seed: int, share: float) -> None:
    text = Text(string)
    noisy = random_typos(text, Random(seed), share)
    changed = [number for number, (a, b) in enumerate(zip(text.words, noisy.words, strict=True)) if a != b]
    eligible = [number for number, word in enumerate(text.words) if len(word) >= 2]
    assert set(changed) <= set(eligible)
    assert len(changed) <= max(1, round(share * len(eligible)))
    assert len(words_of(str(noisy))) == len(text)
    assert noisy == random_typos(text, Random(seed), share)


def test_random_typos_change_something() -> None:
    text = Text("a fine film from the early sixties")
    assert all(random_typos(text, Random(seed), 0.01) != text for seed in range(100))


def test_with_synonyms_is_sorted_and_local() -> None:
    text = Text("A good movie, really.")
    texts = list(map(str, with_synonyms(text, 2)))
    assert texts == sorted(texts)
    assert "A good film, really." in texts
    assert with_synonyms(Text("the xyzzy"), 1) == []


def test_content_words_and_edit_limit() -> None:
    text = Text("The film was not a dud")
    assert content_words(text) == [0, 1, 5]
    assert content_words(text, min_length=4) == [1]
    near, far = text.swap(1, "flim"), text.swap(1, "documentary")
    assert inside(Threat(name="near", max_edits=2), str(text), [near, far]) == [near]
    assert inside(Threat(name="any"), str(text), [near, far]) == [near, far]
