"""Purifiers that learn from the training split: typo clusters, masked copies, the recurrent word recogniser."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_nlp import cache, word_recogniser
from robustbench_nlp.attack import HOLE
from robustbench_nlp.data.example import Example
from robustbench_nlp.defenses import mask_purify
from robustbench_nlp.defenses.mask_purify import MaskPurify
from robustbench_nlp.defenses.robust_encodings import RobustEncodings
from robustbench_nlp.defenses.word_recognition import WordRecognition
from robustbench_nlp.edits.characters import internal_edits, one_typo
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.plugins import create
from robustbench_nlp.text import words_of
from robustbench_nlp.typo_certificates import coded
from robustbench_nlp.typo_clusters import OTHER, TypoClusters, typos
from robustbench_nlp.word_recogniser import recogniser, trained

COUNTS = Counter({"film": 90, "good": 80, "great": 70, "farm": 60, "filme": 3, "firm": 50, "the": 99, "wonderful": 9})
CLUSTERS = TypoClusters(COUNTS, 100)
SENTENCES = [
    "the film is good",
    "a great film with wonderful actors",
    "this was a terrible picture",
    "the actors were terrible",
] * 20
TRAIN = [Example(fields={"text": text}, label=i % 2) for i, text in enumerate(dict.fromkeys(SENTENCES))]


def test_a_word_and_its_typos_have_one_code() -> None:
    for word in ("wonderful", "great"):
        assert {CLUSTERS.code(typo) for typo in internal_edits(word)} == {word}
        assert CLUSTERS.codes(word) == {word}


def test_words_that_a_typo_joins_share_the_code_of_the_more_frequent() -> None:
    assert CLUSTERS.code("firm") == CLUSTERS.code("farm")
    assert CLUSTERS.code("xyzzy") == OTHER
    assert typos("the") == ()


@given(st.sampled_from(sorted(COUNTS)), st.integers(0, 2**32))
def test_no_typo_leaves_the_codes(word: str, seed: int) -> None:
    near = internal_edits(word) if len(word) >= 4 else [word]
    assert CLUSTERS.code(Random(seed).choice(near)) in CLUSTERS.codes(word)


def test_a_coded_text_keeps_what_stands_between_its_words() -> None:
    assert coded("The wondreful  firm, 1999!", CLUSTERS) == f"the wonderful  {CLUSTERS.code('firm')}, 1999!"


def test_robust_encodings_hide_typos_from_a_victim_without_weights() -> None:
    victim = KeywordVictim()
    train = [Example(fields={"text": f"{word} {i}"}, label=1) for word, n in COUNTS.items() for i in range(n)]
    defended = RobustEncodings()(victim, train, Random(0))
    np.testing.assert_array_equal(defended.predict(["a graet film"]), victim.predict(["something great film"]))
    with pytest.raises(UsageError, match="there is none"):
        RobustEncodings()(victim, [], Random(0))


def test_robust_encodings_know_words_with_an_apostrophe_or_a_hyphen() -> None:
    train = [Example(fields={"text": f"It isn't Well-made, it's {i}"}, label=1) for i in range(3)]
    victim = KeywordVictim(keywords=(("isn't",), ("well-made", "it's")))
    defended = RobustEncodings(epochs=0)(victim, train, Random(0))
    for read, meant in {"isn't": "isn't", "Wlel-made": "well-made", "is'nt wellmade": "isn't well-made"}.items():
        np.testing.assert_array_equal(defended.predict([read]), victim.predict([meant]))
    np.testing.assert_array_equal(defended.predict(["isn made"]), victim.predict([f"{OTHER} {OTHER}"]))


def test_masked_copies_are_filled_and_averaged(monkeypatch: pytest.MonkeyPatch) -> None:
    class Spy(KeywordVictim):
        def predict(self, inputs: Sequence[Any], draw: int = 0) -> Any:
            seen.extend(inputs)
            return super().predict(inputs)

    def fill(blanks: Sequence[Any], k: int) -> list[list[tuple[str, float]]]:
        read.extend((blank.before, blank.after) for blank in blanks)
        return [[("word", 1.0)] for _ in blanks]

    read: list[Any] = []
    seen: list[Any] = []
    monkeypatch.setattr(mask_purify, "provider", lambda *_: fill)
    monkeypatch.setattr(mask_purify, "identity", lambda *_: "fill")
    defended = MaskPurify(copies=2)(Spy(), [], Random(0))
    assert defended.forwards_per_prediction == 4, "the language model reads each copy too"  # type: ignore[attr-defined]
    answer = defended.predict(["a bad, bad film"])
    assert seen == ["word bad, word film", "a word, bad word"]
    assert read == [
        ("", f" bad, {HOLE} film"),
        (f"{HOLE} bad, ", " film"),
        ("a ", f", bad {HOLE}"),
        (f"a {HOLE}, bad ", ""),
    ]
    np.testing.assert_allclose(answer[0], KeywordVictim().predict(seen).mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(
        defended.predict([("bad", "good film")] * 2)[1], defended.predict([("bad", "good film")])[0]
    )


def test_the_recogniser_reads_typos_and_the_defense_leaves_known_words(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROBUSTBENCH_NLP_CACHE", str(tmp_path))
    read = recogniser(trained(SENTENCES, 0, size=50, epochs=30, noisy=0.4))
    rng, right, total = Random(1), 0, 0
    for sentence in dict.fromkeys(SENTENCES):
        words = words_of(sentence)
        typed = [one_typo(word, rng).lower() if len(word) > 3 else word for word in words]
        right += sum(a == b for a, b in zip(read(typed), words, strict=True))
        total += len(words)
    assert right >= 0.8 * total
    assert read([]) == []
    victim = KeywordVictim(keywords=(("terrible",), ("wonderful",)))
    defended = WordRecognition(epochs=30, size=50)(victim, TRAIN * 20, Random(0))
    np.testing.assert_array_equal(defended.predict(["Terible  picture!"]), victim.predict(["Terrible  picture!"]))
    assert len(list((cache.folder() / "word-recognition").iterdir())) == 2


def test_an_interrupted_recogniser_goes_on_to_the_same_bits(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"size": 50, "epochs": 3, "noisy": 0.4}
    monkeypatch.setenv("ROBUSTBENCH_NLP_CACHE", str(tmp_path / "whole"))
    whole = trained(SENTENCES, 0, **settings)
    monkeypatch.setenv("ROBUSTBENCH_NLP_CACHE", str(tmp_path / "parts"))
    typed, middle = 0, 1.5 * settings["noisy"] * sum(len(words_of(sentence)) for sentence in SENTENCES)

    def interrupted(word: str, rng: Random) -> str:
        nonlocal typed
        typed += 1
        if typed > middle:
            raise KeyboardInterrupt
        return one_typo(word, rng)

    monkeypatch.setattr(word_recogniser, "one_typo", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trained(SENTENCES, 0, **settings)
    monkeypatch.setattr(word_recogniser, "one_typo", one_typo)
    (left,) = (cache.folder() / "word-recognition").iterdir()
    assert left.name.endswith(".checkpoint")
    later = trained(SENTENCES, 0, **settings)
    assert (later / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert not left.exists()


@pytest.mark.parametrize(
    "selector",
    ["robust_encodings(size=0)", "mask_purify(copies=0)", "word_recognition(noisy=2)", "word_recognition(epochs=0)"],
)
def test_bad_settings_are_told_in_one_line(selector: str) -> None:
    with pytest.raises(UsageError) as told:
        create("defense", selector)
    assert "\n" not in str(told.value)
