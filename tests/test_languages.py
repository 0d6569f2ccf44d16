"""Attacks on characters and noise in thirteen scripts: deterministic, inside the threat, and no mark parted from its letter."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
import regex

from robustbench_nlp.constraints.words import content_words
from robustbench_nlp.edits.characters import internal_edits
from robustbench_nlp.edits.noise import NOISES
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim, drive, sample_of
from robustbench_nlp.lexicon.keyboard import LAYOUTS, keys, neighbours
from robustbench_nlp.lexicon.stopwords import LANGUAGES, stopwords
from robustbench_nlp.plugins import create
from robustbench_nlp.text import Text, words_of
from robustbench_nlp.threat import violations

SCRIPTS = {
    "German": "Der Film ist außergewöhnlich schön, wirklich großartig.",
    "French": "Un film très réussi, drôle et de\u0301sespe\u0301re\u0301 à la fois.",
    "Spanish": "Una película pequeña pero señorial, muy entretenida.",
    "Russian": "Очень хорошая комедия с отличными актёрами, рекомендую.",
    "Greek": "Μια πολύ όμορφη ταινία, με σπουδαίους ηθοποιούς.",
    "Arabic": "فيلم جميل جِدًّا، والممثلون رائعون حقا.",
    "Hebrew": "סרט יפה מאוד, שׁחקנים נהדרים באמת.",
    "Hindi": "यह एक बहुत अच्छी फ़िल्म है, अभिनेता शानदार हैं।",
    "Thai": "ภาพยนตร์เรื่องนี้สนุกมาก นักแสดงเล่นดีที่สุด",
    "Chinese": "这部电影非常精彩，演员也很好。",
    "Japanese": "このドラマはとても面白い、キャストもすばらしい。",
    "Korean": "정말 재미있는 영화였어요, 배우들도 훌륭합니다.",
    "emoji": "👨\u200d👩\u200d👧 ❤\ufe0f 👍🏽🇩🇪",
}
LATIN = {"German", "French", "Spanish"}
CASED = LATIN | {"Russian", "Greek"}
RUNS = set(SCRIPTS) - {"Chinese", "emoji"}
SPACED = RUNS - {"Japanese"}
WORDS = set(SCRIPTS) - {"emoji"}
CHANGED = {
    "noise:keyboard": LATIN,
    "noise(layout='de'):keyboard": LATIN,
    "noise:ocr": LATIN,
    "noise:misspellings": set[str](),
    "noise:homophones": set[str](),
    "noise:casing": CASED,
    "noise:punctuation": WORDS,
    "noise:whitespace": SPACED,
    "noise:drop_chars": RUNS,
    "noise:repeat_chars": RUNS,
    "noise:swap_chars": RUNS,
    "noise:drop_words": WORDS,
    "noise:repeat_words": WORDS,
    "noise:swap_words": WORDS,
    "random-typos": RUNS,
    "random-typos(layout='fr')": RUNS,
    "deepwordbug": WORDS,
    "deepwordbug(edit='swap')": RUNS,
    "deepwordbug(edit='delete')": RUNS,
    "deepwordbug(edit='insert')": WORDS,
    "deepwordbug(variant='textattack')": RUNS,
    "pruthi": RUNS,
    "pruthi(variant='textattack', layout='es')": RUNS,
    "textbugger(candidates='none')": RUNS,
    "viper": CASED,
    "viper(space='homoglyphs')": LATIN,
    "leetspeak": LATIN,
    "spacing": RUNS,
    "punctuation": WORDS,
    "charmer(places=1)": WORDS,
    "bad-characters:homoglyphs": LATIN,
    "bad-characters:deletions": WORDS,
    "bad-characters:reorderings": CASED,
    "bad-characters:invisible": WORDS,
}
"""By attack: the scripts in which it is sure to find something to do; in others it may, or does nothing."""


class Torn(KeywordVictim):
    """Scores by a hash-like sum of code points, never far enough to call anything a success."""

    def predict(self, inputs: Any, draw: int = 0) -> Any:
        share = np.array([sum(map(ord, text)) * 0.618 % 0.45 for text in inputs], dtype=np.float32)
        return np.stack([share, 1 - share], axis=1)


def characters(string: str) -> list[str]:
    return regex.findall(r"\X", string)


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("selector", CHANGED)
def test_every_script(selector: str, script: str) -> None:
    attack, string = create("attack", selector), SCRIPTS[script]
    changed = False
    for seed in range(3):
        sample = sample_of(attack, string)
        driven = drive(attack, sample, Random(seed), Torn(), max_queries=300)
        assert driven == drive(attack, sample, Random(seed), Torn(), max_queries=300)
        after = string if driven.text is None else str(driven.text)
        changed |= after != string
        assert not violations(attack.threat, string, after)
        after.encode("utf-8")
        if "invisible" not in selector:
            marks = {character[1:end] for character in characters(string) for end in range(2, len(character) + 1)}
            for character in characters(after):
                assert len(character) == 1 or character[1:] in marks, character
                assert not regex.match(r"[\p{M}\u200d]", character)
    assert changed or script not in CHANGED[selector]
    if script == "emoji" and not selector.startswith(("charmer", "bad-characters")):
        assert not changed


def test_the_list_holds_every_kind_of_noise() -> None:
    kinds = {selector.rpartition(":")[2] for selector in CHANGED if selector.startswith("noise")}
    assert kinds == set(NOISES)


def test_repeated_words_need_no_space_where_the_script_writes_none() -> None:
    attack = create("attack", "noise:repeat_words")
    after = str(drive(attack, sample_of(attack, "好"), Random(0), Torn()).text)
    assert after == "好好"
    after = str(drive(attack, sample_of(attack, "хорошо"), Random(0), Torn()).text)
    assert after == "хорошо хорошо"


# --- keyboards


@pytest.mark.parametrize(
    ("layout", "letter", "near"),
    [
        ("us", "a", "qswz"),
        ("de", "z", "ghtu"),
        ("de", "ü", "pßäö"),
        ("fr", "a", "qzé"),
        ("fr", "É", "AZ"),
        ("es", "ñ", "lp"),
    ],
)
def test_neighbours_by_layout(layout: str, letter: str, near: str) -> None:
    assert set(neighbours(letter, layout)) >= set(near)
    assert "".join(sorted(neighbours(letter, layout))) == neighbours(letter, layout)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_letter_has_neighbours_that_touch_mutually(layout: str) -> None:
    table = keys(layout)
    assert set("abcdefghijklmnopqrstuvwxyz") <= set(table)
    assert all(letter in table[other] for letter, near in table.items() for other in near)
    assert all(
        len(key) == 1 and near and letter.isupper() == near.isupper() for letter, near in table.items() for key in near
    )
    letters = {"de": "äöüß", "fr": "éèçàù", "es": "ñ", "us": ""}[layout]
    assert set(letters) == {letter for letter in table if not letter.isascii() and letter.islower()}


def test_typos_are_typed_on_the_layout() -> None:
    assert "schän" in internal_edits("schön", layout="de")
    assert "schän" not in internal_edits("schön")


@pytest.mark.parametrize(
    "selector",
    [
        "pruthi(layout='dvorak')",
        "random_typos(layout='uk')",
        "textbugger(layout='')",
        "noise(layout='xx'):keyboard",
        "pruthi(language='nl')",
        "textbugger(language='xx')",
        "word_search(language='xx')",
        "bert_attack(language='xx')",
        "bae(language='xx')",
        "textfooler(language='xx')",
    ],
)
def test_unknown_layouts_and_languages_are_told_in_one_line(selector: str) -> None:
    with pytest.raises(UsageError) as told:
        create("attack", selector)
    assert "\n" not in str(told.value)
    assert "known: " in str(told.value)


# --- stop words


@pytest.mark.parametrize("language", LANGUAGES)
def test_stop_words_are_words_in_small_letters(language: str) -> None:
    words = stopwords(language)
    assert len(words) > 150
    for word in words:
        assert word == word.lower()
        assert words_of(word) == (list(word) if language == "zh" else [word])


@pytest.mark.parametrize(
    ("language", "string", "content"),
    [
        ("de", "das ist nicht der beste Film", ["beste", "Film"]),
        ("fr", "ce film est très beau et l'histoire aussi", ["film", "beau", "l'histoire"]),
        ("es", "la película no es muy buena", ["película", "buena"]),
        ("zh", "我的电影很好", ["电", "影", "好"]),
        ("en", "das ist the film", ["das", "ist", "film"]),
    ],
)
def test_content_words_by_language(language: str, string: str, content: list[str]) -> None:
    text = Text(string)
    assert [text.word(number) for number in content_words(text, language=language)] == content
