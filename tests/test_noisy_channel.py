"""The noisy channel: what was meant is read, what could as well stand there stays, and pairs of words decide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from math import exp, inf, log
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_nlp import bigrams, cache
from robustbench_nlp.bigrams import KEPT_PAIRS, MARK, Bigrams, counted, counts_of, has_mark, pieces
from robustbench_nlp.correction import Corrector
from robustbench_nlp.data import load_dataset
from robustbench_nlp.data.example import Example
from robustbench_nlp.defense import rehearse
from robustbench_nlp.defenses.noisy_channel import NoisyChannel
from robustbench_nlp.edits.characters import one_typo
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.plugins import create

SENTENCES = [
    "an inspirational film by the year's best director",
    "the plot is dull and the acting is dull-witted",
    "he bets on horses , as all bets are off",
    "a light comedy about all of us",
    "one of the year's best films",
    "the slight story is beautiful",
    "a film that will not sit well with the best of us",
] * 10
ALONE = NoisyChannel(corpus="", smoothing=5.0)
MEANT = Corrector(ALONE, SENTENCES)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("an insiprational film", "an inspirational film"),
        ("an ins pirational film", "an inspirational film"),
        ("an insp#rational film", "an inspirational film"),
        ("an ins:pirational film", "an inspirational film"),
        ("the plot is ull .", "the plot is dull ."),
        ("the plot is dull-wittted .", "the plot is dull-witted ."),
        ("a lightcomedy about us", "a light comedy about us"),
        ("one of the year's bets films", "one of the year's best films"),
        ("one of the Bestt films!", "one of the best films!"),
        ("Wbeautiful", "beautiful"),
    ],
)
def test_what_was_meant_is_read(typed: str, meant: str) -> None:
    assert MEANT(typed) == meant


@pytest.mark.parametrize(
    "string",
    [
        *SENTENCES[:7],
        "",
        "...",
        "as all bets are off",
        "B2B 1999 1st 東京",
        "19 99 films",
        "2.5 : 10,000",
        "a  film ,  the\tplot\n",
    ],
)
def test_what_can_stand_so_stays(string: str) -> None:
    assert MEANT(string) == string


def test_numbers_and_other_scripts_are_not_joined() -> None:
    typed = "19 99 films of 東 京 , 2.5 : 10,000 in 東 and 8"
    assert Corrector(ALONE, [*SENTENCES, "1999 films of 東京 , 25 : 10000"] * 10)(typed) == typed


@pytest.mark.parametrize("settings", [ALONE, replace(ALONE, novelty=inf), replace(ALONE, per_letter=inf)])
@pytest.mark.parametrize("letters", [600, 700, 200_000])
def test_words_too_unlikely_for_a_float_stay(settings: NoisyChannel, letters: int) -> None:
    unheard = "z" * letters
    assert Corrector(settings, SENTENCES)(f"the {unheard} story is beutiful") == f"the {unheard} story is beautiful"


def test_long_texts_are_read_as_short_ones_are() -> None:
    assert MEANT("the plot is ull .\n" * 3_000) == "the plot is dull .\n" * 3_000


@pytest.mark.parametrize("typed", ["a lightcomedy", "bets film", "well-wth us", "o f . All", "th, e plt", "u"])
def test_no_other_reading_is_likelier(typed: str) -> None:
    parts = pieces(typed)
    words, gaps, kept = [word.lower() for word in parts[1::2]], parts[::2], [False] * (len(parts) // 2)

    def scored(at: int, last: str) -> Iterator[tuple[float, list[tuple[int, tuple[str, ...]]]]]:
        after = MEANT._language.after
        if at == len(words):
            yield after(last, MARK), []
            return
        marked = at > 0 and has_mark(gaps[at])
        for count, reading in MEANT._steps(at, words, gaps, kept):
            line = [last, *[MARK] * marked, *reading.words]
            here = sum(after(one, other) for one, other in pairwise(line)) - reading.cost
            for score, path in scored(at + count, line[-1]):
                yield here + score, [(count, reading.words), *path]

    assert MEANT._best(words, gaps, kept) == max(scored(0, MARK))[1]


def test_known_words_stay_where_slips_are_impossible() -> None:
    typed = "one of the year's bets films"
    assert Corrector(replace(ALONE, slip=inf), SENTENCES)(typed) == typed


def test_names_stay_where_the_training_split_has_capitals() -> None:
    cased = Corrector(ALONE, [*SENTENCES, "The director is Lina Best"])
    assert cased("a Film by Dulll and Bestt") == "a Film by Dulll and Bestt"
    assert cased("Bestt films") == "Best films"


@given(st.text(max_size=40))
def test_any_string_is_read_and_gaps_stay(string: str) -> None:
    assert "".join(pieces(string)) == string
    assert len(pieces(string)) % 2 == 1
    made = pieces(MEANT(string))
    assert made[0] == pieces(string)[0]
    assert made[-1] == pieces(string)[-1]


def test_most_typos_are_taken_back() -> None:
    rng, right, words = Random(0), 0, 0
    for sentence in SENTENCES[:7] * 5:
        parts = pieces(sentence)
        long = [i for i in range(1, len(parts), 2) if len(parts[i]) > 3]
        at = rng.choice(long)
        typed = "".join([*parts[:at], one_typo(parts[at], rng), *parts[at + 1 :]])
        right += MEANT(typed) == sentence
        words += 1
    assert right >= 0.9 * words


def test_pairs_are_counted_over_marks_and_hyphens() -> None:
    words, pairs = counted(["Well-made film, Well made."])
    assert words == {"well": 2, "made": 2, "film": 1, MARK: 3}
    assert pairs == {
        (MARK, "well"): 2,
        ("well", "made"): 2,
        ("made", "film"): 1,
        ("film", MARK): 1,
        ("made", MARK): 1,
    }
    assert has_mark(", ")
    assert not has_mark(" - ")


def test_the_chances_after_a_word_add_up_to_one() -> None:
    counts = counted(SENTENCES)
    language = Bigrams(counts, smoothing=10.0, unseen=lambda _: 1e-9)
    for word in ("the", MARK):
        followed = counts[0][word]
        total = sum(exp(language.after(word, other)) for other in counts[0])
        ends = sum(count for (first, _), count in counts[1].items() if first == word)
        assert total == pytest.approx((ends + 10) / (followed + 10))
    assert language.after("the", "plot") > language.after("a", "plot") > log(1e-9)
    assert language.after("the", "xyzzy") < language.after("the", "off")


def test_a_corpus_is_counted_once_and_kept(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBUSTBENCH_NLP_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "texts.csv"
    file.write_text("text,label\n" + "".join(f'"{line} {i}",{i % 2}\n' for i, line in enumerate(SENTENCES)), "utf-8")
    name = f"csv:{file}"
    words, pairs = counts_of(name)
    assert counts_of(name) == (words, pairs)
    assert len(list((cache.folder() / "word-pairs").iterdir())) == 1
    monkeypatch.setattr(bigrams, "counted", lambda _: pytest.fail("counted again"))
    assert counts_of(name) == (words, pairs)
    strings = [str(example.input) for example in load_dataset(name, "train").examples]
    everything = [pair for string in strings for pair in pairwise(pieces(string)[1::2])]
    assert pairs["the", "plot"] == everything.count(("the", "plot")) >= KEPT_PAIRS
    assert words["the"] == sum(string.count(" the ") for string in strings) + sum(
        string.startswith("the ") for string in strings
    )


def test_it_stands_before_a_victim() -> None:
    train = [Example(fields={"text": sentence}, label=i % 2) for i, sentence in enumerate(SENTENCES)]
    seen: list[Any] = []

    class Spy(KeywordVictim):
        def predict(self, inputs: Sequence[Any], draw: int = 0) -> Any:
            seen.extend(inputs)
            return super().predict(inputs)

    defended = ALONE(Spy(), train, Random(0))
    np.testing.assert_array_equal(defended.predict(["a beutiful film"]), KeywordVictim().predict(["a beautiful film"]))
    assert seen == ["a beautiful film"]
    with pytest.raises(UsageError, match="there is none"):
        ALONE(KeywordVictim(), [], Random(0))


def test_the_fingerprint_tells_what_the_corpus_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBUSTBENCH_NLP_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "texts.csv"
    made = NoisyChannel(corpus=f"csv:{file}", min_count=1)
    train = [Example(fields={"text": "a film"}, label=0)]
    prints = set()
    for word in ("good", "good", "bad"):
        file.write_text(f"text,label\na {word} film,0\nthe plot,1\n", "utf-8")
        prints.add(made(KeywordVictim(), train, Random(0)).fingerprint)
    assert len(prints) == 2


@pytest.mark.parametrize(("corpus", "told"), [("imbd", "no dataset 'imbd'"), ("csv:none.csv", "no file 'none.csv'")])
def test_a_corpus_that_is_not_there_is_told_before_anything_is_learned(corpus: str, told: str) -> None:
    train = [Example(fields={"text": "a film"}, label=0)]
    with pytest.raises(UsageError, match=told):
        rehearse(NoisyChannel(corpus=corpus), KeywordVictim(), train)


@pytest.mark.parametrize(
    "setting", ["edit=0", "slip=-1", "smoothing=0", "min_count=0", "weight=0", "corpus='mine'", "smoothing=1e999"]
)
def test_bad_settings_are_told_in_one_line(setting: str) -> None:
    with pytest.raises(UsageError) as told:
        create("defense", f"noisy_channel({setting})")(
            KeywordVictim(), [Example(fields={"text": "a"}, label=0)], Random(0)
        )
    assert "\n" not in str(told.value)
