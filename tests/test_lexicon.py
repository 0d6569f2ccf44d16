"""The lexicons: known entries, and WordNet against NLTK where its data are at hand."""

from __future__ import annotations

import string
import subprocess
import sys

import nltk
import nltk_folder
import pytest

from robustbench_nlp.lexicon.keyboard import neighbours
from robustbench_nlp.lexicon.ocr import confusions
from robustbench_nlp.lexicon.stopwords import stopwords
from robustbench_nlp.lexicon.wordnet import antonyms, base_forms, senses, synonyms


def test_stopwords_are_case_sensitive() -> None:
    assert len(stopwords()) == 179
    assert {"the", "don't", "wouldn"} <= stopwords()
    assert "The" not in stopwords()


def test_neighbours_touch_mutually_and_keep_case() -> None:
    assert neighbours("g") == "bfhtvy"
    assert neighbours("Q") == "AW"
    assert neighbours("é") == neighbours("1") == neighbours("") == ""
    assert all(a in neighbours(b) for a in string.ascii_lowercase for b in neighbours(a))


def test_ocr_confusions_are_mutual() -> None:
    table = confusions()
    assert "rn" in table["m"]
    assert all(shape in table[other] for shape, others in table.items() for other in others)
    assert {len(shape) for shape in table} == {1, 2}


@pytest.mark.parametrize(
    ("word", "part", "forms"),
    [
        ("dogs", "n", ["dog"]),
        ("wolves", "n", ["wolf"]),
        ("mice", "n", ["mouse"]),
        ("went", "v", ["go"]),
        ("Better", "a", ["better", "good", "well"]),
        ("running", "v", ["run"]),
        ("xyzzy", "n", []),
    ],
)
def test_base_forms(word: str, part: str, forms: list[str]) -> None:
    assert base_forms(word, part) == forms  # type: ignore[arg-type]


def test_synonyms_and_antonyms() -> None:
    assert "film" in synonyms("movie")
    assert "movie" not in synonyms("movie")
    assert "movie" in synonyms("Movie")
    assert "film" in synonyms("movies")
    assert synonyms("") == synonyms("\ud800") == synonyms("thequickbrown") == ()
    assert antonyms("good") == ("bad", "evil")
    assert "weak" in antonyms("strong")
    assert senses("movie", "n") == [["movie", "film", "picture", "pic", "flick"]]
    assert all("_" not in other and " " not in other for word in ("set", "run", "good") for other in synonyms(word))


def test_the_table_equals_nltk() -> None:
    """Against NLTK on WordNet 3.0, whose data are built into the cache: the ground of parity with TextAttack's PWWS."""
    nltk.data.path.insert(0, str(nltk_folder.ensure()))
    wordnet = nltk.corpus.wordnet
    lemmas = sorted(lemma for lemma in wordnet.all_lemma_names() if "_" not in lemma)
    sampled = lemmas[::100]
    words = [form for lemma in sampled for form in (lemma, lemma.title(), lemma + "s", lemma + "ed", lemma + "ing")]
    for word in words:
        names = {name for synset in wordnet.synsets(word) for name in synset.lemma_names() if name != word}
        assert set(synonyms(word)) <= names
        assert all(not name.replace("'", "").replace("-", "").isalnum() for name in names - set(synonyms(word)))


def test_look_ups_import_nothing_heavy() -> None:
    code = (
        "import sys; from robustbench_nlp.lexicon import wordnet, stopwords, keyboard, ocr; wordnet.synonyms('dog');"
        "assert not {'torch', 'nltk', 'transformers', 'numpy', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
