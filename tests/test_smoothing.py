"""Smoothed victims, ensembles and votes: repeatable answers, and bounds that hold on every text of a toy vocabulary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations, pairwise, product
from pathlib import Path
from random import Random

import numpy as np
import pytest
import tiny_bert
from hypothesis import given, settings
from hypothesis import strategies as st

from robustbench_nlp.augmentation import KNOWN_FROM
from robustbench_nlp.averaging import Averaged
from robustbench_nlp.certificates import Certified, Sampling
from robustbench_nlp.data.example import Example, Input
from robustbench_nlp.defense import compose, defend
from robustbench_nlp.defenses import safer
from robustbench_nlp.defenses.random_deletion import Deletion
from robustbench_nlp.defenses.ranmask import Masking, RanMask
from robustbench_nlp.defenses.safer import Synonyms
from robustbench_nlp.defenses.vote import Variants, Vote
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.rewriting import Rewritten
from robustbench_nlp.smoothing import Noise, Smoothed, replaced_words
from robustbench_nlp.text import words_of
from robustbench_nlp.victims.hf import HFVictim

SAMPLING = Sampling(n0=40, n=300, alpha=0.01)
MASK = Masking(rate=0.6, mask="_")
DELETE = Deletion(rate=0.8)
TOY = {
    "aa": ("bb",),
    "bb": ("aa", "cc"),
    "cc": ("bb", "dd"),
    "dd": ("cc", "ee"),
    "ee": ("dd",),
    "ff": ("gg",),
    "gg": (),
}
"""The neighbours of a toy language; ff names gg, but gg not ff."""
SMOOTHED = ("ranmask(train=False)", "random_deletion(train=False)", "safer(train=False,min_cosine=0.7)")


def guarded(selector: str, victim: object = None, seed: int = 0) -> Smoothed:
    made = compose(selector)(victim or KeywordVictim(), [], Random(seed))  # type: ignore[arg-type]
    assert isinstance(made, Smoothed)
    return made


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Synonyms]:
    for function in (safer.synonyms, safer.perturbations, safer.overlap):
        function.cache_clear()
    monkeypatch.setattr(safer, "near_words", lambda word, k, least: TOY.get(word, ()))
    yield Synonyms(min_cosine=0.5, size=3)
    for function in (safer.synonyms, safer.perturbations, safer.overlap):
        function.cache_clear()


# --- how a smoothed victim answers


@pytest.mark.parametrize("selector", [*SMOOTHED, "vote"])
def test_an_answer_depends_on_seed_input_and_draw_alone(selector: str) -> None:
    victim = guarded(selector)
    texts = ["a good and great film", "a bad , dull and awful story", "", "a fine film that is a bad film"]
    answers = victim.predict(texts, 3)
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-6)
    for row, text in enumerate(texts):
        np.testing.assert_array_equal(victim.predict([text], 3)[0], answers[row])
    np.testing.assert_array_equal(guarded(selector).predict(texts[::-1], 3)[::-1], answers)
    long = "a great film and a terrible film with a tedious joke , " * 2
    draws = {victim.predict([long], draw).tobytes() for draw in range(6)}
    assert (len(draws) > 1) is victim.random is (selector != "vote")
    assert len({guarded(selector, seed=seed).predict([long]).tobytes() for seed in range(6)}) > 1


def test_copies_go_to_the_victim_together_and_each_distinct_one_once() -> None:
    asked: list[list[Input]] = []

    class Counting(KeywordVictim):
        def predict(self, inputs, draw=0):  # type: ignore[no-untyped-def]
            asked.append(list(inputs))
            return super().predict(inputs, draw)

    victim = Smoothed(Counting(), MASK, samples=30)
    victim.predict(["good film", ("one", "two words")])  # type: ignore[list-item]
    (copies,) = asked
    assert len(set(copies)) == len(copies) <= 60
    assert victim.forwards_per_prediction == 30
    assert Smoothed(victim, MASK, samples=2).forwards_per_prediction == 60


def test_votes_are_shares_and_means_are_means() -> None:
    text = "good bad awful great film"
    votes = Smoothed(KeywordVictim(), MASK, samples=20, votes=True).predict([text])[0]
    means = Smoothed(KeywordVictim(), MASK, samples=20, votes=False).predict([text])[0]
    assert np.allclose(votes * 20, np.round(votes * 20), atol=1e-4)
    assert not np.allclose(votes, means)


def test_capabilities_and_fingerprints() -> None:
    assert all(isinstance(guarded(selector), Certified) for selector in SMOOTHED)
    for selector in ("vote", "ranmask(train=False,votes=False)", "unicode_normalize+ranmask(train=False)"):
        assert not isinstance(compose(selector)(KeywordVictim(), [], Random(0)), Certified)
    twice = guarded("safer(train=False)+ranmask(train=False)")
    assert twice.random
    assert not isinstance(twice, Certified)
    assert not any(hasattr(twice, name) for name in ("gradients", "truncate", "predict_exact"))
    made = [
        *SMOOTHED,
        *("ranmask(train=False,rate=0.5)", "ranmask(train=False,samples=7)", "ranmask(train=False,mask='x')"),
        *("safer(train=False,size=9)", "safer(train=False,min_cosine=0.6)", "random_deletion(train=False,rate=0.1)"),
        *("vote", "vote(samples=3)", "vote(share=0.1)", "vote(kinds=('case',))", "vote(votes=True)"),
    ]
    prints = {guarded(selector).fingerprint for selector in made} | {guarded(SMOOTHED[0], seed=1).fingerprint}
    assert len(prints) == len(made) + 1


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("ranmask", r"ranmask\(train=False\)"),
        ("ranmask(rate=1.0,train=False)", "share from 0 to below 1"),
        ("random_deletion(rate=-1,train=False)", "share from 0 to below 1"),
        ("safer(size=0,train=False)", "at least 1"),
        ("vote(samples=0)", "at least 1"),
        ("vote(kinds=('accent',))", "no kind of copy 'accent'"),
        ("ensemble(members=0)", "at least 1"),
        ("ensemble(members=1,of=('spell','vote'))", "no place for 2 defenses"),
        ("ensemble", "no(ne| weights) to train"),
    ],
)
def test_bad_settings_are_told_in_one_line(selector: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        compose(selector)(KeywordVictim(), [], Random(0))
    assert "\n" not in str(raised.value)


def test_a_vote_has_the_text_itself_among_its_copies_and_keeps_its_words() -> None:
    drawn = {str(Variants(kinds=("case", "space"), share=0.5).draw("a good film", Random(seed))) for seed in range(40)}
    assert "a good film" in drawn
    assert {tuple(words_of(text.lower())) for text in drawn} == {("a", "good", "film")}
    assert not Vote()(KeywordVictim(), [], Random(0)).random


# --- the bounds, by enumeration: no function of a draw tells two texts further apart than 1 - overlap


def distance(first: Counter[str], second: Counter[str]) -> float:
    """The total variation distance: the most that a class's probability can differ."""
    return sum(abs(first[text] - second[text]) for text in first | second) / 2  # type: ignore[misc]


def masked(noise: Masking, words: tuple[str, ...]) -> Counter[str]:
    choices = list(combinations(range(len(words)), noise.kept(len(words))))
    made: Counter[str] = Counter()
    for kept in choices:
        made[" ".join(word if i in kept else noise.mask for i, word in enumerate(words))] += 1 / len(choices)  # type: ignore[assignment]
    return made


def deleted(noise: Deletion, words: tuple[str, ...]) -> Counter[str]:
    made: Counter[str] = Counter()
    for kept in product([False, True], repeat=len(words)):
        chance = float(np.prod([1 - noise.rate if keep else noise.rate for keep in kept]))
        made[" ".join(word for word, keep in zip(words, kept, strict=True) if keep)] += chance  # type: ignore[assignment]
    return made


def substituted(noise: Synonyms, words: tuple[str, ...]) -> Counter[str]:
    sets = [safer.perturbations(word, noise.min_cosine, noise.size) for word in words]
    made: Counter[str] = Counter()
    for drawn in product(*sets):
        made[" ".join(drawn)] += 1 / float(np.prod([len(found) for found in sets]))  # type: ignore[assignment]
    return made


def check(noise: Noise, law: dict[str, Counter[str]]) -> int:
    """Every pair of texts keeps the bound; how many meet it exactly."""
    tight = 0
    for text, one in law.items():
        overlaps = noise.overlaps(text)  # type: ignore[attr-defined]
        assert overlaps[0] == 1
        assert all(a >= b for a, b in pairwise(overlaps))
        for other, two in law.items():
            edits = noise.edits(text, other)  # type: ignore[attr-defined]
            if edits is not None and edits < len(overlaps):
                apart = distance(one, two)
                assert apart <= 1 - overlaps[edits] + 1e-9
                tight += edits > 0 and apart > 1 - overlaps[edits] - 1e-9
    return tight


def drawn_like(noise: Noise, text: str, law: Counter[str]) -> bool:
    rng, count = Random(1), 6000
    found = Counter(str(noise.draw(text, rng)) for _ in range(count))
    return set(found) <= set(law) and all(abs(found[t] / count - p) < 0.03 for t, p in law.items())


def test_masking_hides_as_much_as_it_says() -> None:
    texts = {words: masked(MASK, words) for words in product("xyz", repeat=4)}
    assert check(MASK, {" ".join(words): law for words, law in texts.items()})
    assert drawn_like(MASK, "x y z x", texts["x", "y", "z", "x"])
    assert MASK.overlaps("x y z v w") == [1, 0.6, pytest.approx(0.3), pytest.approx(0.1), 0, 0]
    assert MASK.edits("good , film", "good , movie") == 1
    assert MASK.edits("good , film", "good film") is None
    assert MASK.edits("good film", "good old film") is None


def test_deletion_hides_insertions_deletions_and_replacements() -> None:
    texts = [words for length in range(5) for words in product("xy", repeat=length)]
    laws = {words: deleted(DELETE, words) for words in texts}
    check(DELETE, {" ".join(words): law for words, law in laws.items()})
    replaced = distance(deleted(DELETE, ("x",)), deleted(DELETE, ("y",)))
    assert replaced == pytest.approx(1 - DELETE.overlaps("x")[1])
    assert drawn_like(DELETE, "x, y! y x", laws["x", "y", "y", "x"])
    assert DELETE.edits("a good , film", "a ... film !") == 1


def test_synonyms_hide_as_much_as_their_sets_overlap(toy: Synonyms) -> None:
    assert safer.synonyms("ff", 0.5) == ()  # gg doesn't return it
    assert safer.perturbations("aa", 0.5, 3) == ("aa", "bb", "cc")
    assert safer.overlap("aa", 0.5, 3) == 1
    assert safer.overlap("cc", 0.5, 3) == pytest.approx(2 / 3)
    texts = {words: substituted(toy, words) for words in product(["aa", "bb", "cc", "dd", "ee", "ff"], repeat=2)}
    assert check(toy, {" ".join(words): law for words, law in texts.items()})
    assert drawn_like(toy, "cc ff", texts["cc", "ff"])
    assert {str(toy.draw("Aa, I?", Random(seed))) for seed in range(20)} == {"Aa, I?", "Bb, I?", "Cc, I?"}
    assert toy.edits("Aa ff", "Bb ff") == 1
    assert toy.edits("aa ff", "Bb ff") is None
    assert toy.edits("aa ff", "cc ff") is None


def test_sets_of_the_real_table_are_symmetric() -> None:
    for word in ("film", "movie", "actor", "brilliant", "boring"):
        assert all(word in safer.synonyms(other, 0.75) for other in safer.synonyms(word, 0.75))
    assert safer.synonyms("film", 0.75)


@given(st.text(max_size=30), st.text(max_size=30))
@settings(max_examples=60, deadline=None)
def test_any_text_is_smoothed_and_measured(first: str, second: str) -> None:
    for noise in (
        MASK,
        DELETE,
        Synonyms(min_cosine=0.75, size=9),
        Variants(kinds=("typo", "case", "space"), share=0.5),
    ):
        assert len(noise.draw(first, Random(0))) == len(words_of(first))
        if not isinstance(noise, Variants):
            assert noise.edits(first, first) == 0
            assert noise.edits(first, second) == noise.edits(second, first)
            assert noise.overlaps(first)[0] == 1
    assert replaced_words(first, first) == []


# --- trained victims


LABELS = ("negative", "positive")
TRAIN = [Example(fields={"text": f"the film {i % 7} is {('bad', 'good')[i % 2]}"}, label=i % 2) for i in range(80)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HFVictim]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROBUSTBENCH_NLP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield HFVictim.from_folder(tiny_bert.save(tmp_path_factory.mktemp("tiny")), name="tiny")


def test_a_trained_victim_is_masked_by_its_own_mask_and_trained_once(tiny: HFVictim, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("robustbench_nlp.training._check", lambda *_: 1.0)
    assert tiny.mask_token == "[MASK]"
    first = RanMask(epochs=1)(tiny, TRAIN, Random(0))
    monkeypatch.setattr("robustbench_nlp.training.fine_tune", None)
    more = RanMask(epochs=1, samples=3)(tiny, TRAIN, Random(0))  # other samples, the same training
    assert first.fingerprint != more.fingerprint
    assert isinstance(first, Certified)
    assert first.certify("the film is good", Sampling(n0=5, n=20, alpha=0.1)).votes


def test_members_are_averaged_with_what_they_have_in_common(tiny: HFVictim, tmp_path: Path) -> None:
    same = Averaged([tiny, tiny])
    texts = ["the film is good", "bad"]
    np.testing.assert_allclose(same.predict(texts), tiny.predict(texts), atol=1e-6)
    np.testing.assert_allclose(same.predict_exact(texts), tiny.predict_exact(texts), atol=1e-6)
    for one, other in zip(same.gradients(texts, [1, 0]), tiny.gradients(texts, [1, 0]), strict=True):
        np.testing.assert_allclose(one.gradient, other.gradient, atol=1e-5)
        assert one.loss == pytest.approx(other.loss, abs=1e-5)
        assert one.offsets == other.offsets
    assert (same.forwards_per_prediction, same.mask_token, same.random) == (2, "[MASK]", False)
    assert same.truncate("the " * 90) == tiny.truncate("the " * 90)
    other = HFVictim.from_folder(tiny_bert.save(tmp_path / "other", seed=1), name="other")
    assert not hasattr(Averaged([tiny, other]), "gradients")  # their embeddings differ
    mixed = Averaged([tiny, KeywordVictim()])
    assert not any(hasattr(mixed, name) for name in ("predict_exact", "truncate", "mask_token", "gradients"))
    assert len({same.fingerprint, mixed.fingerprint, Averaged([tiny]).fingerprint}) == 3
    with pytest.raises(UsageError, match="label names"):
        Averaged([tiny, KeywordVictim(label_names=("a", "b"))])


def test_an_ensemble_has_as_many_trainings_as_members(tiny: HFVictim, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("robustbench_nlp.training._check", lambda *_: 1.0)
    victim = compose("ensemble(members=2)")(tiny, TRAIN, Random(0))
    assert isinstance(victim, Averaged)
    one, two = victim._members
    assert one.fingerprint != two.fingerprint
    assert hasattr(victim, "gradients")  # frozen embeddings stay common
    assert compose("ensemble(members=2)")(tiny, TRAIN, Random(1)).fingerprint != victim.fingerprint


def test_members_in_turns_have_the_mean_of_all_over_their_draws() -> None:
    one, other = KeywordVictim(), KeywordVictim(keywords=(("great",), ("bad",)))
    both, turns = Averaged([one, other]), Averaged([one, other], in_turns=True)
    texts = ["a great film", "a bad film", "a film"]
    drawn = [turns.predict(texts, draw) for draw in (0, 1)]
    assert np.array_equal(drawn[0], one.predict(texts))
    assert np.array_equal(drawn[1], other.predict(texts))
    assert np.allclose(np.mean(drawn, axis=0), both.predict(texts))
    assert (both.random, turns.random) == (False, True)
    assert (both.forwards_per_prediction, turns.forwards_per_prediction) == (2, 1)
    assert both.fingerprint != turns.fingerprint
    assert not hasattr(turns, "predict_exact")


def test_an_ensemble_of_a_defense_has_members_trained_by_it(tiny: HFVictim, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("robustbench_nlp.training._check", lambda *_: 1.0)
    victim = defend(tiny, "ensemble(of=('word_dropout(epochs=1)','unicode-normalize'))", TRAIN, 0)
    one, plain, other = victim._members  # type: ignore[attr-defined]
    assert one.fingerprint != other.fingerprint
    assert isinstance(plain, Rewritten)
    made = compose("spell+ensemble(of=('consistency(noises=(\"tautology\",))','spell+typo-augmentation'))")
    assert set(made.known) == {"stress_test", *KNOWN_FROM["typos"]}  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="no defense 'consistancy'"):
        compose("ensemble(of=('consistancy',))")


def test_a_part_learns_the_same_in_any_composition(tiny: HFVictim, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("robustbench_nlp.training._check", lambda *_: 1.0)
    alone = defend(tiny, "ensemble(members=1)", TRAIN, 0)
    monkeypatch.setattr("robustbench_nlp.training.fine_tune", None)  # it is trained once
    both = defend(tiny, "unicode-normalize+ensemble(members=1)", TRAIN, 0)
    assert np.array_equal(both.predict(["a fine film"]), alone.predict(["a fine film"]))
    assert both.fingerprint != alone.fingerprint
    monkeypatch.undo()
    monkeypatch.setattr("robustbench_nlp.training._check", lambda *_: 1.0)
    assert defend(tiny, "ensemble(members=1)", TRAIN, 1).fingerprint != alone.fingerprint
