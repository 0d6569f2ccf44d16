"""Certificates against typos: no text within a certificate's typos is predicted otherwise, by trying them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations, product
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import tiny_bert
from hypothesis import example, given, settings
from hypothesis import strategies as st

from robustbench_nlp.certificates import Certified
from robustbench_nlp.certification import certify
from robustbench_nlp.data.example import Example, Input
from robustbench_nlp.defenses.robust_encodings import RobustEncodings
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.text import Text
from robustbench_nlp.typo_certificates import MARGIN, TypoCertified
from robustbench_nlp.typo_clusters import TypoClusters, typos
from robustbench_nlp.victims.hf import HFVictim

COUNTS = Counter(
    {"film": 90, "fine": 85, "find": 84, "good": 80, "goad": 2, "dull": 60, "doll": 70, "firm": 50, "the": 99}
)
VICTIM = TypoCertified(KeywordVictim(), TypoClusters(COUNTS, 100), [])
WORDS = ["film", "fine", "good", "dull", "the", "bad", "firm", "great", "Find"]


def attacked(string: str, most: int) -> list[str]:
    """Every text with a typo in at most `most` words."""
    text = Text(string)
    found = [string]
    for size in range(1, most + 1):
        for places in combinations(range(len(text)), size):
            changes = product(*(typos(text.word(place).lower()) for place in places))
            found += [str(text.replace(dict(zip(places, words, strict=True)))) for words in changes]
    return found


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3))
def test_no_text_within_the_radius_is_predicted_otherwise(words: list[str]) -> None:
    string = " ".join(words)
    certificate = VICTIM.certify(string)
    if certificate.prediction is None:
        return
    texts = attacked(string, min(certificate.radius, 2 if len(words) == 1 else 1))
    assert set(VICTIM.predict(texts).argmax(axis=1).tolist()) == {certificate.prediction}


# --- a transformer, whose answers depend a little on what else is in the batch


def reached(string: str, clusters: TypoClusters, most: int) -> list[str]:
    """Of every text that a victim can come to read by a typo in at most `most` words, one that leads to it."""
    text = Text(string)
    ways = [{clusters.code(new): new for new in (*typos(word.lower()), word)} for word in text.words]
    return [
        str(text.replace(dict(zip(places, words, strict=True))))
        for size in range(most + 1)
        for places in combinations(range(len(text)), size)
        for words in product(*(ways[place].values() for place in places))
    ]


MISTYPED = ["goood fiilm dulll", "the good film", "goood film", "firrm goood", "goood dull findd", "dulll findd bad"]


def test_each_text_within_a_transformers_certificate_is_predicted_alike_by_itself(tmp_path: Path) -> None:
    """And each certificate is the largest: one typo more leads to another prediction, or to one that hardly leads."""
    radii = set()
    clusters = TypoClusters(COUNTS, 100)
    for seed in (2, 5):
        inner = HFVictim.from_folder(tiny_bert.save(tmp_path / str(seed), seed=seed), name="tiny")
        victim = TypoCertified(inner, clusters, [])
        for string in MISTYPED:
            guess, radius, *_ = victim.certify(string)
            assert guess is not None
            radii.add((radius, whole := radius == len(string.split())))
            within, beyond = reached(string, clusters, radius), reached(string, clusters, radius + 1)
            alone = np.concatenate([victim.predict([text]) for text in within])
            assert set(alone.argmax(axis=1).tolist()) == {guess}
            together = victim.predict([*within, *(f"{text} {string} {string}" for text in beyond)])
            assert 2 * np.abs(together[: len(within)] - alone).max() < MARGIN
            further = victim.predict(beyond)
            assert whole or (further[:, guess] - further[:, 1 - guess]).min() < MARGIN
    assert radii > {(0, False), (3, True)}


def test_every_typo_in_a_transformers_text_is_predicted_alike_by_itself(tmp_path: Path) -> None:
    inner = HFVictim.from_folder(tiny_bert.save(tmp_path, seed=5), name="tiny")
    victim = TypoCertified(inner, TypoClusters(COUNTS, 100), [])
    certificate = victim.certify("goood fiilm dulll")
    assert certificate.radius == 1
    alone = [int(victim.predict([text])[0].argmax()) for text in attacked("goood fiilm dulll", 1)]
    assert len(alone) > 200
    assert set(alone) == {certificate.prediction}


def test_what_leads_by_less_than_batches_move_is_not_certified() -> None:
    """A victim that says one class in company and the other by itself, by half of the margin; `good` and `bad` decide."""

    class Wavering(KeywordVictim):
        def predict(self, inputs: Sequence[Input], draw: int = 0) -> Any:
            answers = super().predict(inputs)
            tied = answers[:, 0] == answers[:, 1]
            answers[tied] = 0.5 + MARGIN / 4 * np.array([-1, 1]) * (1 if len(inputs) > 1 else -1)
            return answers

    victim = TypoCertified(Wavering(), TypoClusters(COUNTS, 100), [])
    assert victim.certify("film")[:2] == (None, 0)
    assert victim.certify("goood film")[:2] == (1, 0)  # "gooood" is no word, and in company still of class 1
    assert victim.predict(["gooood film", "film"])[0].argmax() == 1
    assert victim.predict(["gooood film"])[0].argmax() == 0


JOINED = Counter({"don't": 30, "its": 40, "it's": 35, "good": 25, "well-made": 20, "can't": 9, "won't": 8, "e-mail": 5})
SPEAKING = KeywordVictim(keywords=(("don't", "can't", "its", "422"), ("good", "well-made", "e-mail")))
JOINS = TypoCertified(SPEAKING, TypoClusters(JOINED, 100), [])
ODD = [
    "Don't",
    "it's",
    "its",
    "well-made",
    "e-mail",
    "a-b-c",
    "o'n't",
    "can’t",
    "won't",
    "good",
    "4x22",
    "4-x2",
    "1999",
]


def edited(word: str) -> list[str]:
    """Every text that one inner swap, deletion, insertion or substitution makes of a word, also what is outside the threat."""
    inner, letters = range(1, len(word) - 1), "aet'-2 "
    found = [word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in inner if i + 2 < len(word)]
    found += [word[:i] + word[i + 1 :] for i in inner]
    found += [word[:i] + letter + word[i:] for i in range(1, len(word)) for letter in letters]
    return found + [word[:i] + letter + word[i + 1 :] for i in inner for letter in letters]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(ODD), min_size=1, max_size=4), st.sampled_from([" ", " - ", "' ", ", "]), st.randoms())
@example(["good", "can’t"], " ", Random(0))  # "cant" is known as a typo of "can't"
@example(["good", "4x22"], " ", Random(0))
def test_no_edit_that_counts_as_a_typo_breaks_a_certificate(words: list[str], gap: str, rng: Random) -> None:
    """Also where apostrophes and hyphens move, go or leave two words, and where a word loses its only letter."""
    string = gap.join(words)
    certificate = JOINS.certify(string)
    if certificate.prediction is None:
        return
    texts = [gap.join([*words[:i], new, *words[i + 1 :]]) for i, word in enumerate(words) for new in edited(word)]
    texts += [gap.join(rng.choice(edited(word)) for word in words) for _ in range(200)]
    within = [
        text for text in texts if (typed := JOINS.edits(string, text)) is not None and typed <= certificate.radius
    ]
    assert set(JOINS.predict([string, *within]).argmax(axis=1).tolist()) == {certificate.prediction}


def test_a_word_that_loses_its_only_letter_is_asked_about() -> None:
    assert JOINS.certify("good 4x22")[:2] == (1, 0)
    assert JOINS.edits("good 4x22", "good 422") == 1
    assert JOINS.predict(["good 422"]).argmax() == 0


def test_what_a_typo_with_an_apostrophe_or_a_hyphen_is() -> None:
    assert JOINS.edits("I don't", "I do'nt") == JOINS.edits("I don't", "I dont") == 1
    assert JOINS.edits("well-made", "wellmade") == 1
    assert JOINS.edits("well-made", "well made") is None
    assert JOINS.edits("a-b-c", "a--c") is None  # two words
    assert JOINS.certify("don't don't").radius == 2
    assert JOINS.certify("well-made").radius == 1


def test_a_code_that_a_typo_can_change_is_counted() -> None:
    """ "dull" is one typo from "doll", a more frequent word: both have one code, which is no keyword."""
    assert VICTIM.certify("a good film").radius == 3
    counts = Counter({"good": 9, "gold": 8, "wood": 7, "film": 5})
    apart = TypoCertified(KeywordVictim(), TypoClusters(counts, 1), [])
    assert apart.certify("good good bad").prediction == 1
    breakable = [text for text in attacked("good good bad", 1) if apart.predict([text])[0].argmax() != 1]
    assert (apart.certify("good good bad").radius == 0) == bool(breakable)


def test_edits_are_mistyped_words_and_nothing_else() -> None:
    assert VICTIM.edits("a good film", "a GOOD film") == 0
    assert VICTIM.edits("a good film", "a goood fiilm") == 2
    assert VICTIM.edits("a good film", "a good  film") is None
    assert VICTIM.edits("a good film", "a bad film") is None
    assert VICTIM.edits("in 1999", "in 1989") is None


def test_many_open_words_end_the_certificate_early() -> None:
    class Loose(TypoClusters):
        def codes(self, word: str) -> frozenset[str]:
            return frozenset({self.code(word), "loose"})

    victim = TypoCertified(KeywordVictim(), Loose(COUNTS, 100), [])
    assert victim.certify("good good " + "film " * 100)[:2] == (1, 1)  # two at once would be 5,151 texts
    assert victim.certify("good film")[:2] == (1, 0)


def test_the_defense_certifies_and_a_random_victim_does_not(tmp_path: Path) -> None:
    train = [Example(fields={"text": f"{word} {i}"}, label=1) for word, n in COUNTS.items() for i in range(n)]
    assert isinstance(RobustEncodings(epochs=0)(KeywordVictim(), train, Random(0)), Certified)
    assert not isinstance(RobustEncodings(epochs=0)(KeywordVictim(random=True), train, Random(0)), Certified)
    rows = tmp_path / "train.csv"
    rows.write_text(
        "text,label\n" + "\n".join(f"{e.fields['text']},positive" for e in train) + "\nbad,negative\n", "utf-8"
    )
    done = certify(
        victim=KeywordVictim(),
        dataset=f"csv:{rows}",
        train=f"csv:{rows}",
        limit=5,
        defenses=["robust_encodings(epochs=0)"],
        output=tmp_path / "run",
    )
    assert done.complete
    assert set(done.table["edits"]) == {"words with one typo inside"}


@pytest.mark.parametrize("item", ["", " ", "🙂", "\ud800", "12 34", ("good film", "bad")])
def test_odd_inputs_are_certified_too(item: str | tuple[str, ...]) -> None:
    assert VICTIM.certify(item).radius >= 0
