"""Noise: what each kind changes, that it grows with severity, its lists, and the curves and errors of noise suites."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from statistics import mean

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein
from texts import ODD

from robustbench_nlp.attacks.noise import SHARES, Noise
from robustbench_nlp.edits.noise import NOISES, in_case_of, repeat
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim, drive, sample_of
from robustbench_nlp.lexicon.contractions import contractions, expansions
from robustbench_nlp.lexicon.homophones import homophones
from robustbench_nlp.lexicon.misspellings import misspellings
from robustbench_nlp.lexicon.names import namesakes
from robustbench_nlp.plugins import create
from robustbench_nlp.report.noise_curve import corruption_errors, noise_curve
from robustbench_nlp.text import Text, words_of
from robustbench_nlp.threat import measure, violations

every_kind = pytest.mark.parametrize("kind", NOISES)
TEXTS = [
    "It's a well-made, fine film with good actors and a great score; I believe their story, really.",
    "You shouldn't miss it, my friend! The whole scene would be a definite success, except for the weird ending.",
    "there are few moments here that would not interest an audience , and the performances are excellent .",
]
ANY = st.sampled_from(ODD) | st.text(st.characters(exclude_categories=()), max_size=12)


def noised(kind: str, severity: int, string: str, seed: int = 0) -> str:
    attack = Noise(kind=kind, severity=severity)
    text = drive(attack, sample_of(attack, string), Random(seed), KeywordVictim()).text
    return string if text is None else str(text)


def test_a_kind_is_named_in_any_selector() -> None:
    assert create("attack", "noise:ocr") == Noise(kind="ocr")
    assert create("attack", "noise(severity=5):ocr") == create("attack", "noise(kind='ocr', severity=5)")
    assert set(SHARES) == set(NOISES)
    assert Noise.mode == "noise"


@pytest.mark.parametrize("selector", ["noise:ocx", "noise(severity=0)", "noise(severity=6)", "noise(severity='high')"])
def test_bad_settings_are_told_in_one_line(selector: str) -> None:
    with pytest.raises(UsageError) as told:
        create("attack", selector)
    assert "\n" not in str(told.value)


@every_kind
@settings(max_examples=40, deadline=None)
@given(ANY, st.integers(0, 2**32), st.integers(1, 5))
def test_any_text_same_seed_same_text_inside_the_threat(kind: str, string: str, seed: int, severity: int) -> None:
    once = noised(kind, severity, string, seed)
    assert once == noised(kind, severity, string, seed)
    assert not violations(Noise(kind=kind).threat, string, once)


@every_kind
def test_shares_and_changes_grow_with_severity(kind: str) -> None:
    assert list(SHARES[kind]) == sorted(set(SHARES[kind]))
    assert 0 < SHARES[kind][0] <= SHARES[kind][-1] <= 1
    edits = [
        mean(
            Levenshtein.distance(string, noised(kind, severity, string, seed)) for string in TEXTS for seed in range(30)
        )
        for severity in range(1, 6)
    ]
    assert edits[0] >= 0.5
    assert all(less < more for less, more in pairwise(edits)), edits


@pytest.mark.parametrize("kind", sorted(set(NOISES) - {"punctuation", "whitespace", "drop_words", "swap_words"}))
def test_a_larger_share_keeps_what_a_smaller_one_did(kind: str) -> None:
    less, more = (NOISES[kind](Text(TEXTS[0]), Random(3), share).words for share in (0.2, 0.5))
    assert all(a in (old, b) for old, a, b in zip(words_of(TEXTS[0]), less, more, strict=True))


@pytest.mark.parametrize("kind", ["keyboard", "ocr", "drop_chars", "repeat_chars", "swap_chars", "casing"])
def test_letter_noise_strikes_its_share_of_the_words(kind: str) -> None:
    words = [f"grim{letter}le" for letter in "abcdefghijklmnopqrst"]
    for severity in range(1, 6):
        after = words_of(noised(kind, severity, " ".join(words)))
        changed = sum(a != b for a, b in zip(words, after, strict=True))
        assert changed == round(20 * SHARES[kind][severity - 1])


def test_what_each_kind_does_to_a_text() -> None:
    string = TEXTS[0]
    words = words_of(string)
    for seed in range(20):
        assert noised("casing", 5, string, seed).lower() == string.lower()
        assert words_of(noised("punctuation", 5, string, seed)) == words
        assert "".join(noised("whitespace", 5, string, seed).split()) == "".join(string.split())
        assert sorted(words_of(noised("swap_words", 5, string, seed))) == sorted(words)
        dropped, repeated = (words_of(noised(kind, 5, string, seed)) for kind in ("drop_words", "repeat_words"))
        count = round(0.35 * len(words))
        assert len(dropped) == len(words) - count
        assert len(repeated) == len(words) + count
        assert set(repeated) == set(words)
        assert measure(string, " ".join(repeated)).words_changed == count


def test_listed_words_keep_their_case() -> None:
    assert noised("misspellings", 5, "A FRIEND, my Niece") == "A FREIND, my Neice"
    assert noised("homophones", 5, "Whole days. PIECE") == "Hole daze. PEACE"
    assert noised("homophones", 5, "the film ends").count("the film ends") == 1
    assert in_case_of("eye", "I") == "Eye"
    assert repeat("", Random(0)) == ""


def test_a_text_is_never_emptied() -> None:
    assert noised("drop_words", 5, "good") == "good"
    assert len(words_of(noised("drop_words", 5, "good film"))) == 1


def test_misspellings_are_other_words_near_the_right_one() -> None:
    table = misspellings()
    assert len(table) > 500
    for word, wrong in table.items():
        assert word == word.lower()
        for miss in wrong:
            assert miss != word
            assert words_of(miss) == [miss]
            assert Levenshtein.distance(word, miss) <= 3, (word, miss)


def test_homophones_are_mutual() -> None:
    table = homophones()
    assert len(table) > 600
    assert set(table["there"]) == {"their", "they're"}
    for word, others in table.items():
        assert word not in others
        assert all(words_of(other) == [other] for other in others)
        assert all(word in {back.lower() for back in table[other.lower()]} for other in others)


def test_contractions_go_both_ways() -> None:
    assert expansions()["it's"] == ("it is", "it has")
    assert contractions()["it is"] == ("it's",)
    assert contractions()["is not"] == ("ain't", "isn't")
    assert all(short in contractions()[long] for short, longs in expansions().items() for long in longs)
    assert all(words_of(short) == [short] for short in expansions())


def test_names_have_namesakes_of_their_group() -> None:
    assert "Paris" in namesakes("london")
    assert "London" not in namesakes("LONDON")
    assert "Peter" in namesakes("John")
    assert namesakes("Mary")
    assert len(namesakes("France")) > 80
    assert namesakes("film") == namesakes("") == ()


def row(
    defense: str, kind: str, severity: int, robust: float, *, clean: float = 0.9, seed: int = 0
) -> dict[str, object]:
    attack = f"noise(severity={severity}):{kind}"
    values = {"dataset": "mr", "split": "test", "victim": "v", "defense": defense, "attack": attack, "mode": "noise"}
    return values | {"clean_accuracy": clean, "robust_accuracy": robust, "seed": seed}


FRAME = pd.DataFrame(
    [
        row("none", "ocr", 1, 0.8),
        row("none", "ocr", 2, 0.6),
        row("none", "casing", 1, 0.9),
        row("none", "casing", 2, 0.8),
        row("spell", "ocr", 1, 0.85, clean=0.88),
        row("spell", "ocr", 2, 0.80, clean=0.88),
        row("spell", "casing", 1, 0.8, clean=0.88),
        row("spell", "casing", 2, 0.65, clean=0.88),
        row("none", "ocr", 1, 0.1) | {"attack": "deepwordbug", "mode": "adaptive"},
        row("none", "ocr", 1, 0.1) | {"attack": "random_typos"},
    ]
)


def test_the_curve_starts_at_the_clean_accuracy() -> None:
    curve = noise_curve(FRAME)
    assert len(curve) == 2 * 2 * 3
    ocr = curve[(curve["defense"] == "none") & (curve["kind"] == "ocr")]
    assert ocr[["severity", "accuracy", "seeds"]].to_numpy().tolist() == [[0, 0.9, 1], [1, 0.8, 1], [2, 0.6, 1]]


def test_the_curve_averages_seeds_and_reads_every_spelling_of_an_attack() -> None:
    rows = [row("none", "ocr", 3, 0.5), row("none", "ocr", 3, 0.7, seed=1) | {"attack": "noise(kind='ocr')"}]
    curve = noise_curve(pd.DataFrame(rows))
    assert curve["accuracy"].tolist() == pytest.approx([0.9, 0.6])
    assert curve["seeds"].tolist() == [2, 2]
    assert (
        noise_curve(pd.DataFrame([row("none", "x", 3, 0.5) | {"attack": "noise"}]))["kind"].tolist() == ["keyboard"] * 2
    )


def test_corruption_errors_by_hand() -> None:
    errors = corruption_errors(FRAME, victim="v")
    assert list(errors) == ["casing", "ocr", "mCE"]
    assert errors.loc[("mr", "test", "v", "none")].tolist() == pytest.approx([1, 1, 1])
    # casing: (0.2 + 0.35) / (0.1 + 0.2); ocr: (0.15 + 0.2) / (0.2 + 0.4)
    assert errors.loc[("mr", "test", "v", "spell")].tolist() == pytest.approx(
        [0.55 / 0.3, 0.35 / 0.6, (0.55 / 0.3 + 0.35 / 0.6) / 2]
    )
    swapped = corruption_errors(FRAME, victim="v", defense="spell")
    assert swapped.loc[("mr", "test", "v", "none"), "ocr"] == pytest.approx(0.6 / 0.35)


def test_every_dataset_has_its_own_reference() -> None:
    other = FRAME.assign(dataset="imdb", robust_accuracy=FRAME["robust_accuracy"] / 2)
    errors = corruption_errors(pd.concat([FRAME, other]), victim="v")
    assert errors.xs("none", level="defense")["mCE"].tolist() == pytest.approx([1, 1])
    with pytest.raises(UsageError, match="on imdb"):
        corruption_errors(pd.concat([FRAME, other[other["defense"] == "spell"]]), victim="v")


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(UsageError, match="no noise suites"):
        noise_curve(FRAME[FRAME["mode"] == "adaptive"])
    with pytest.raises(UsageError, match="v × none, v × spell"):
        corruption_errors(FRAME, victim="other")
    with pytest.raises(UsageError, match="v × spell and the reference differ in having ocr at severity 2 on mr"):
        corruption_errors(FRAME.drop(index=5), victim="v")
