"""The contract that every defense keeps, found by discovery: what it may change, repeatability, odd texts, composition."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import tiny_bert
from texts import ODD

from robustbench_nlp.data.example import Example, Input
from robustbench_nlp.defense import Composed, Defense, rehearse
from robustbench_nlp.defenses.typo_augmentation import TypoAugmentation
from robustbench_nlp.defenses.unicode_normalize import UnicodeNormalize
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.plugins import create, plugin_names
from robustbench_nlp.training import Recipe, fine_tune
from robustbench_nlp.victim import Probabilities, Victim
from robustbench_nlp.victims.hf import HFVictim

LABELS = ("negative", "positive")
QUICK: dict[str, Any] = {"epochs": 1, "sample": 8, "max_queries": 20, "corpus": "", "model": "of the fixture below"}
"""What stands for these settings, where a defense has them, so that it trains in a moment."""


def quick(name: str) -> Defense:
    return quickly(create("defense", name))


def quickly(made: Any) -> Any:
    """The defense with quick settings, its parts too."""
    if isinstance(made, Composed):
        return dataclasses.replace(made, parts=tuple(map(quickly, made.parts)))
    fields = {field.name for field in dataclasses.fields(made)}
    return dataclasses.replace(made, **{key: value for key, value in QUICK.items() if key in fields})


every_defense = pytest.mark.parametrize("name", plugin_names("defense"))


def toy(count: int = 300) -> list[Example]:
    """Texts are positive where they say good and negative where they say bad."""
    rng = Random(0)
    made = []
    for _ in range(count):
        label = rng.randrange(2)
        words = [
            *rng.choices(["the", "film", "a", "is", "one", "great", "of"], k=rng.randrange(2, 7)),
            ("bad", "good")[label],
        ]
        made.append(Example(fields={"text": " ".join(words)}, label=label))
    return made


TRAIN = toy()


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> HFVictim:
    target = tmp_path_factory.mktemp("victim")
    base = tiny_bert.save(tmp_path_factory.mktemp("base"), head=False)
    recipe = Recipe(epochs=5, learning_rate=5e-3, freeze_embeddings=False, held_out=0)
    texts, labels = [example.input for example in TRAIN], [example.label for example in TRAIN]
    fine_tune(target, base, texts, labels, label_names=LABELS, seed=0, recipe=recipe)
    return HFVictim.from_folder(target, name="toy")


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    masked = tiny_bert.save(tmp_path_factory.mktemp("masked"), masked=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(QUICK, "model", str(masked))
        patch.setenv("ROBUSTBENCH_NLP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def proper(answer: Any, rows: int) -> bool:
    return (
        answer.shape == (rows, 2)
        and answer.dtype == np.float32
        and bool(np.isfinite(answer).all() and (answer >= 0).all())
    )


@every_defense
def test_a_defended_victim_answers_odd_texts_in_any_order(name: str, victim: HFVictim) -> None:
    defended = quick(name)(victim, TRAIN, Random(0))
    assert isinstance(defended, Victim)
    assert (defended.name, tuple(defended.label_names)) == (victim.name, LABELS)
    answer = defended.predict(ODD)
    assert proper(answer, len(ODD))
    np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-5)
    order = Random(1).sample(range(len(ODD)), len(ODD))
    np.testing.assert_allclose(defended.predict([ODD[i] for i in order]), answer[order], atol=1e-5)
    assert proper(defended.predict([]), 0)


@every_defense
def test_the_same_seed_makes_the_same_victim(
    name: str, victim: HFVictim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = quick(name)(victim, TRAIN, Random(3))
    monkeypatch.setenv("ROBUSTBENCH_NLP_CACHE", str(tmp_path))
    again = quick(name)(victim, TRAIN, Random(3))
    assert first.fingerprint == again.fingerprint
    texts = [str(example.input) for example in TRAIN[:9]]
    np.testing.assert_array_equal(first.predict(texts), again.predict(texts))
    assert (first.fingerprint == victim.fingerprint) is (name == "none")


@every_defense
def test_it_stands_behind_another_defense(name: str, victim: HFVictim) -> None:
    alone = quick(name)(victim, TRAIN, Random(0))
    behind = Composed(parts=(UnicodeNormalize(), quick(name)))(victim, TRAIN, Random(0))
    np.testing.assert_allclose(behind.predict(["a g\u200bood film"]), alone.predict(["a good film"]), atol=1e-5)
    assert behind.fingerprint != alone.fingerprint


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
    defended = None if refusal(lambda: made(victim, train, Random(0))) else made(victim, train, Random(0))
    plain = refusal(lambda: made(KeywordVictim(), train, Random(0)))
    monkeypatch.setenv("ROBUSTBENCH_NLP_CACHE", str(tmp_path / "nothing"))
    assert refusal(lambda: rehearse(made, Silent(), train)) == plain
    assert (refusal(lambda: rehearse(made, victim, train)) == "") is (defended is not None)
    assert (refusal(lambda: rehearse(outer, victim, train)) == "") is (isinstance(defended, HFVictim) and bool(train))
    if defended is not None:
        assert hasattr(rehearse(made, victim, train), "gradients") is hasattr(defended, "gradients")
    assert not (tmp_path / "nothing").exists()
