"""The contract that every defense keeps, found by discovery: what it may change, repeatability, settings, odd texts, parts."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import shutil
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import tiny_bert
from texts import ODD
from touched import material, touched

from robustbench_nlp import cache, language_model, masked_lm_training
from robustbench_nlp.certificates import Certified, Sampling
from robustbench_nlp.data.example import Example, Input, content_hash
from robustbench_nlp.defense import Composed, Defense, compose, defend, rehearse
from robustbench_nlp.defenses.flooding import Flooding
from robustbench_nlp.defenses.typo_augmentation import TypoAugmentation
from robustbench_nlp.defenses.unicode_normalize import UnicodeNormalize
from robustbench_nlp.defenses.word_dropout import WordDropout
from robustbench_nlp.detection import Detecting
from robustbench_nlp.drawing import drawn
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.plugins import create, plugin_names, selector_of
from robustbench_nlp.rewriting import Rewritten
from robustbench_nlp.training import Recipe, fine_tune
from robustbench_nlp.victim import Probabilities, Victim
from robustbench_nlp.victims.hf import HFVictim

LABELS = ("negative", "positive")
WORDS = ("great", "one", "of", "is", "no", "movie", "wonderful", "fantastic", "terrible", "awful", "filmed", "lad")
"""Words of one token, synonyms of some that the toy texts have among them."""
QUICK: dict[str, Any] = {"epochs": 1, "sample": 12, "max_queries": 20, "corpus": "", "aim": 0.5}
"""What stands for these settings, where a defense has them, so that it trains in a moment and every other one counts."""


def quick(name: str) -> Defense:
    return quickly(create("defense", name))


def quickly(made: Any) -> Any:
    """The defense with quick settings, its parts and the defenses that its selectors name too."""
    if isinstance(made, Composed):
        return dataclasses.replace(made, parts=tuple(map(quickly, made.parts)))
    fields = {field.name for field in dataclasses.fields(made)}
    changes = {key: value for key, value in QUICK.items() if key in fields}
    if "of" in fields:
        changes["of"] = tuple(written(quickly(compose(selector))) for selector in made.of)
    return dataclasses.replace(made, **changes)


def written(made: Any) -> str:
    """The selector of a defense with all of its settings."""
    if isinstance(made, Composed):
        return "+".join(map(written, made.parts))
    settings = (f"{field.name}={getattr(made, field.name)!r}" for field in dataclasses.fields(made))
    return f"{selector_of('defense', made)}({','.join(settings)})"


every_defense = pytest.mark.parametrize("name", plugin_names("defense"))
PURIFIERS = ("noisy_channel", "robust_encodings", "spell", "unicode_normalize", "word_recognition")
DETECTORS = ("density", "frequency_guided")
LEARN_NOTHING = ("mask_purify", "none", "unicode_normalize")
"""Every other defense is none of the kind: one that leaves a kind, or joins it, is to be looked at."""


def toy(count: int = 300) -> list[Example]:
    """Texts are positive where they say good and negative where they say bad; a few deny it."""
    rng = Random(0)
    made = []
    for _ in range(count):
        label = rng.randrange(2)
        words = [
            *rng.choices(["the", "film", "a", "is", "one", "great", "of", "no"], k=rng.randrange(2, 7)),
            ("bad", "good")[label],
        ]
        made.append(Example(fields={"text": " ".join(words)}, label=label))
    return made


TRAIN = toy()


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> HFVictim:
    target = tmp_path_factory.mktemp("victim")
    vocabulary = [*tiny_bert.VOCABULARY, *WORDS]
    base = tiny_bert.save(tmp_path_factory.mktemp("base"), head=False, vocabulary=vocabulary)
    recipe = Recipe(epochs=8, learning_rate=5e-3, freeze_embeddings=False, held_out=0)
    texts, labels = [example.input for example in TRAIN], [example.label for example in TRAIN]
    fine_tune(target, base, texts, labels, label_names=LABELS, seed=0, recipe=recipe)
    return HFVictim.from_folder(target, name="toy")


@pytest.fixture(scope="module")
def defended(victim: HFVictim) -> Callable[[str], Victim]:
    """A defense's name to the victim behind it."""
    return functools.cache(lambda name: quick(name)(victim, TRAIN, Random(0)))


def forget() -> None:
    """No language model is open any more: which one is the embedded one changes."""
    for opened in (language_model.masked, language_model.fluency, language_model._opened):
        opened.cache_clear()


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tiny_bert.save(tmp_path_factory.mktemp("masked"), masked=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(masked_lm_training, "find", lambda: folder)
        forget()
        patch.setitem(OTHERWISE, "encoder", str(folder))
        patch.setitem(OTHERWISE, "model", str(folder))
        patch.setenv("ROBUSTBENCH_NLP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
    forget()


def proper(answer: Any, rows: int) -> bool:
    return (
        answer.shape == (rows, 2)
        and answer.dtype == np.float32
        and bool(np.isfinite(answer).all() and (answer >= 0).all())
    )


@every_defense
def test_a_defended_victim_answers_odd_texts_in_any_order(
    name: str, victim: HFVictim, defended: Callable[[str], Victim]
) -> None:
    behind = defended(name)
    assert isinstance(behind, Victim)
    assert (behind.name, tuple(behind.label_names)) == (victim.name, LABELS)
    answer = behind.predict(ODD)
    assert proper(answer, len(ODD))
    np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-5)
    order = Random(1).sample(range(len(ODD)), len(ODD))
    np.testing.assert_allclose(behind.predict([ODD[i] for i in order]), answer[order], atol=1e-5)
    assert proper(behind.predict([]), 0)
    if not behind.random:
        np.testing.assert_array_equal(behind.predict(ODD, draw=1), answer)


@every_defense
def test_what_else_a_defended_victim_can_do_it_does_with_odd_texts(
    name: str, victim: HFVictim, defended: Callable[[str], Victim]
) -> None:
    behind = defended(name)
    assert isinstance(behind, Detecting) is (name in DETECTORS) is getattr(quick(name), "detects", False)
    if isinstance(behind, Detecting):
        np.testing.assert_array_equal(behind.predict(ODD), victim.predict(ODD))
        for exact in (False, True):
            inner, outer = (drawn(each, ODD, [0] * len(ODD), exact=exact) for each in (victim, behind))
            np.testing.assert_array_equal(outer, inner)
        suspicion = behind.suspicion(ODD)
        assert suspicion.shape == (len(ODD),)
        assert np.isfinite(suspicion).all()
        assert behind.suspicion([]).shape == (0,)
    if hasattr(behind, "gradients"):
        for text, found in zip(ODD, behind.gradients(ODD, [0] * len(ODD)), strict=True):
            assert len(found.gradient) == len(found.offsets) == len(found.fields)
            assert np.isfinite(found.gradient).all()
            assert all(0 <= start <= end <= len(text) for start, end in found.offsets)
        assert behind.gradients([], []) == []
    if isinstance(behind, Certified):
        for text in ODD:
            certificate = behind.certify(text, Sampling(n0=2, n=20, alpha=0.1))
            assert certificate.prediction in (0, 1, None)
            assert certificate.radius >= 0
            assert certificate.radius == 0 or certificate.prediction is not None
            assert behind.edits(text, text) == 0


@every_defense
def test_the_same_seed_makes_the_same_victim(
    name: str, victim: HFVictim, defended: Callable[[str], Victim], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = defended(name)
    texts = [str(example.input) for example in TRAIN[:9]]
    before = first.predict(texts)
    with monkeypatch.context() as patch:
        patch.setattr(cache, "built", kept)
        np.testing.assert_array_equal(quick(name)(victim, TRAIN, Random(0)).predict(texts), before)
    monkeypatch.setenv("ROBUSTBENCH_NLP_CACHE", str(tmp_path))
    again = quick(name)(victim, TRAIN, Random(0))
    assert first.fingerprint == again.fingerprint
    np.testing.assert_array_equal(again.predict(texts), before)
    assert (first.fingerprint == victim.fingerprint) is (name == "none")


def kept(kind: str, recipe: object, build: Callable[[Path], None]) -> Path:
    """In place of `cache.built`: what was trained before and is not trained again."""
    folder = cache.place(kind, recipe)
    assert folder.is_dir(), f"{kind} trains again"
    return folder


OTHERWISE: dict[str, Any] = {
    "corpus": "mr",
    "candidates": "wordnet",
    "synonym_augmentation.candidates": "neighbours(8)",
    "mask": "x",
    "of": ("word_dropout(epochs=1)",),
    "way": "resample",
    "max_queries": 1,
    "radius": 0.05,  # one step of infobert's ends inside its default, and half of none is none
    "k": 1,
    "high": 0.8,
    "flooding.level": 5.0,  # the toy loss is above the default, and above its half
    "hotflip_training.share": 0.9,  # of few words, a tenth and a fifth are one
    "consistency.aimed_share": 0.9,
    "word_dropout.share": 0.9,
}
"""Other values for settings whose halves, successors or beginnings would be no other or change nothing, by `defense.setting` or
by the setting alone."""


def otherwise(name: str, setting: str, value: Any) -> Any:
    """Another valid value."""
    if isinstance(value, tuple) and value:
        return value[:-1]
    for key in (f"{name}.{setting}", setting):
        if key in OTHERWISE:
            return OTHERWISE[key]
    return not value if isinstance(value, bool) else value + 1 if isinstance(value, int) else value / 2


@every_defense
def test_every_setting_makes_another_victim(name: str, victim: HFVictim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robustbench_nlp.training._check", lambda *_: 1.0)
    for what_makes_it_fast in ("victims.hf.shortened", "packing.packed"):  # and takes longer than these few answers
        monkeypatch.setattr(f"robustbench_nlp.{what_makes_it_fast}", lambda model: model)
    made = quick(name)
    few = [*TRAIN[:56], *(dataclasses.replace(example, label=1 - example.label) for example in TRAIN[56:64])]
    plain = made(victim, few, Random(0)).fingerprint
    for field in dataclasses.fields(made):  # type: ignore[arg-type]
        value = otherwise(name, field.name, getattr(made, field.name))
        other = dataclasses.replace(made, **{field.name: value})(victim, few, Random(0))  # type: ignore[type-var]
        assert other.fingerprint != plain, f"{field.name}={value!r}"


# --- what it learns from


class Looked(Sequence[Example]):
    """Examples that note whether one of them was read."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples, self.read = examples, False

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, at: Any) -> Any:
        self.read = True
        return self.examples[at]


class Rolled(Random):
    """A generator that notes whether it, or a copy, was drawn from."""

    used = False

    def random(self) -> float:
        Rolled.used = True
        return super().random()

    def getrandbits(self, k: int, /) -> int:
        Rolled.used = True
        return super().getrandbits(k)


def untrained(target: Path, base: Path, inputs: Sequence[Input], labels: Sequence[int], **how: Any) -> float:
    """In place of `fine_tune`: the same weights, and a configuration that tells what they would have been trained by."""
    shutil.copytree(base, target, dirs_exist_ok=True)
    told = json.loads((target / "config.json").read_text("utf-8"))
    tiny_bert.edit_config(target, trained_by=content_hash(told.get("trained_by"), inputs, labels, how["seed"]))
    (target / "training.json").write_text('{"seconds": 0.0}', "utf-8")
    return 1.0


@every_defense
def test_another_seed_or_split_makes_another_victim_where_it_is_used(
    name: str, victim: HFVictim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROBUSTBENCH_NLP_CACHE", str(tmp_path))
    monkeypatch.setattr("robustbench_nlp.training.fine_tune", untrained)
    monkeypatch.setattr("robustbench_nlp.defenses.frequency_guided.TUNED", 20)  # fewer texts than there are
    for what_makes_it_fast in ("victims.hf.shortened", "packing.packed"):
        monkeypatch.setattr(f"robustbench_nlp.{what_makes_it_fast}", lambda model: model)
    made, few = quick(name), Looked(TRAIN[:64])
    if hasattr(made, "sample"):
        made = dataclasses.replace(made, sample=64)  # type: ignore[type-var]
    monkeypatch.setattr(Rolled, "used", False)
    plain = made(victim, few, Rolled(0)).fingerprint
    assert (few.read or Rolled.used) is (name not in LEARN_NOTHING)
    if hasattr(made, "epochs"):
        assert few.read
        assert Rolled.used
    changed = dataclasses.replace(TRAIN[9], fields={"text": f"{TRAIN[9].input} wonderful"})
    assert (made(victim, [*TRAIN[:9], changed, *TRAIN[10:64]], Random(0)).fingerprint != plain) is few.read
    assert (made(victim, TRAIN[:64], Random(1)).fingerprint != plain) is Rolled.used


# --- pairs of sentences


def pair(first: str, second: str, label: int) -> Example:
    return Example(fields={"premise": first, "hypothesis": second}, label=label)


PAIRS = [pair(str(a.input), str(b.input), a.label) for a, b in zip(TRAIN[:16], TRAIN[16:32], strict=True)]
SINGLE = ("the film is good . good and good", "the film is bad . bad and bad", "q", "zz 7 zz")


@every_defense
def test_pairs_of_sentences_are_learned_from_and_both_are_read(
    name: str, victim: HFVictim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robustbench_nlp.training._check", lambda *_: 1.0)
    behind = quick(name)(victim, PAIRS, Random(0))
    inputs = [*(example.input for example in PAIRS[:3]), *zip(ODD[::2], ODD[::-2], strict=True)]
    answer = behind.predict(inputs)
    assert proper(answer, len(inputs))
    np.testing.assert_allclose(behind.predict(inputs[::-1])[::-1], answer, atol=1e-5)
    square = behind.predict(list(product(SINGLE, SINGLE)))[:, 0].reshape(len(SINGLE), len(SINGLE))
    assert all(np.ptp(square, axis=field).max() > 1e-3 for field in (0, 1)), "a field changes nothing"
    if hasattr(behind, "gradients"):
        for item, found in zip(inputs, behind.gradients(inputs, [0] * len(inputs)), strict=True):
            places = zip(found.offsets, found.fields, strict=True)
            assert all(0 <= start <= end <= len(item[field]) for (start, end), field in places if field >= 0)
            assert np.isfinite(found.gradient).all()
        assert {0, 1} <= {*behind.gradients([SINGLE[:2]], [0])[0].fields}
    if isinstance(behind, Detecting):
        assert np.isfinite(behind.suspicion(inputs)).all()
        np.testing.assert_array_equal(answer, victim.predict(inputs))
    if isinstance(behind, Certified):
        for item in inputs[:6]:
            assert behind.certify(item, Sampling(n0=2, n=20, alpha=0.1)).prediction in (0, 1, None)
            assert behind.edits(item, item) == 0


@every_defense
def test_its_mark_names_what_it_looks_up_and_nothing_else(
    name: str, victim: HFVictim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robustbench_nlp.training._check", lambda *_: 1.0)
    monkeypatch.setenv("ROBUSTBENCH_NLP_CACHE", str(tmp_path))
    made = quick(name)
    texts = [
        *map(str, (example.input for example in TRAIN[:32])),
        "the film is graet",
        "a g\u043e\u043ed film, no story",
    ]
    texts.append(" ".join(texts * 3))  # of a vote's few copies each text alone sees few edits
    found = touched(lambda: made(victim, TRAIN[:32], Random(0)).predict(texts))
    assert found == material(getattr(made, "known", ()))


@every_defense
def test_it_stands_behind_another_defense(name: str, victim: HFVictim, defended: Callable[[str], Victim]) -> None:
    alone = defended(name)
    behind = Composed(parts=(UnicodeNormalize(), quick(name)))(victim, TRAIN, Random(0))
    np.testing.assert_allclose(behind.predict(["a g\u200bood film"]), alone.predict(["a good film"]), atol=1e-5)
    assert behind.fingerprint != alone.fingerprint


@every_defense
def test_a_purifier_leaves_plain_texts_alone(name: str) -> None:
    plain = [Example(fields={"text": text}, label=i % 2) for i, text in enumerate(PLAIN)]
    victim = Reader()
    defended: Victim | None = None
    with contextlib.suppress(UsageError):
        defended = quick(name)(victim, [*TRAIN, *plain * 3], Random(0))
    assert isinstance(defended, Rewritten) is (name in PURIFIERS)
    if isinstance(defended, Rewritten):
        texts = [*PLAIN, *(f"{a} {b}" for a in PLAIN for b in PLAIN)]
        np.testing.assert_array_equal(defended.predict(texts), Reader().predict(texts))
        assert [text.lower() for text in victim.read] == [text.lower() for text in texts]


PLAIN = (
    "The film is great, and one of the good ones!",
    "Is it a bad story? He says no.",
    "An old man goes home; his house is (almost) gone...",
    "It doesn't say who's well-made, and that isn't a happy-go-lucky story.",
)
"""Sentences of frequent words, as they are written."""


class Reader(KeywordVictim):
    """Keeps what it reads."""

    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "read", [])

    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        self.read.extend(inputs)
        return super().predict(inputs)


def test_two_trainings_are_one_after_the_other(victim: HFVictim) -> None:
    first, second = WordDropout(epochs=1, learning_rate=1e-3), Flooding(epochs=1, learning_rate=1e-3)
    both = Composed(parts=(first, second))(victim, TRAIN, Random(0))
    inner = second(victim, TRAIN, Random(0))
    assert both.fingerprint == first(inner, TRAIN, Random(0)).fingerprint
    assert len({v.fingerprint for v in (victim, both, inner, first(victim, TRAIN, Random(0)))}) == 4
    assert Composed(parts=(second, first))(victim, TRAIN, Random(0)).fingerprint != both.fingerprint
    named = [written(part) for part in (first, second)]
    by_name = defend(defend(victim, named[1], TRAIN, 0), named[0], TRAIN, 0)
    assert defend(victim, "+".join(named), TRAIN, 0).fingerprint == by_name.fingerprint


@every_defense
def test_settings_are_identity_and_hashable(name: str) -> None:
    made = quick(name)
    assert dataclasses.is_dataclass(made)
    assert made == dataclasses.replace(made)
    assert hash(made) == hash(dataclasses.replace(made))


@every_defense
def test_a_victim_without_weights_is_defended_or_refused_in_one_line(name: str) -> None:
    try:
        defended = quick(name)(KeywordVictim(), TRAIN, Random(0))
    except UsageError as told:
        assert "\n" not in str(told)  # noqa: PT017 (a refusal is one of two right answers)
    else:
        assert proper(defended.predict(ODD), len(ODD))


def refusal(task: Callable[[], object]) -> str:
    """What a `UsageError` says; '' where there is none."""
    try:
        task()
    except UsageError as told:
        return str(told)
    return ""


class Silent(KeywordVictim):
    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        raise AssertionError("a rehearsal asks nothing")


@every_defense
@pytest.mark.parametrize("train", [TRAIN, []], ids=["train", "no train"])
def test_what_it_refuses_is_known_by_a_rehearsal_that_trains_and_asks_nothing(
    name: str, train: list[Example], victim: HFVictim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, outer = quick(name), Composed(parts=(TypoAugmentation(), quick(name)))
    found: list[Victim] = []
    refused = refusal(lambda: found.append(made(victim, train, Random(0))))
    plain = refusal(lambda: made(KeywordVictim(), train, Random(0)))
    monkeypatch.setenv("ROBUSTBENCH_NLP_CACHE", str(tmp_path / "nothing"))
    assert refusal(lambda: rehearse(made, Silent(), train)) == plain
    assert (refusal(lambda: rehearse(made, victim, train)) == "") is (refused == "")
    trains = all(isinstance(behind, HFVictim) for behind in found)
    assert (refusal(lambda: rehearse(outer, victim, train)) == "") is (refused == "" and trains and bool(train))
    for behind in found:
        assert hasattr(rehearse(made, victim, train), "gradients") is hasattr(behind, "gradients")
    assert not (tmp_path / "nothing").exists()
