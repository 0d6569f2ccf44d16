"""Fine-tuning learns, repeats and is cached; the defenses that train go through it."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_bert
import torch

from robustbench_nlp import adversaries, masked_lm_training, training, training_loop
from robustbench_nlp.adversaries import adversarial
from robustbench_nlp.attacks.deepwordbug import DeepWordBug
from robustbench_nlp.attacks.universal_triggers import UniversalTriggers
from robustbench_nlp.costs import note_seconds
from robustbench_nlp.data.example import Example, Input
from robustbench_nlp.defense import compose, rehearse
from robustbench_nlp.defenses.adversarial_training import AdversarialTraining
from robustbench_nlp.defenses.class_balance import ClassBalance
from robustbench_nlp.defenses.none import NoDefense
from robustbench_nlp.defenses.typo_augmentation import TypoAugmentation
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.training import Batch, Recipe, TrainingCollapsed, cross_entropy, fine_tune
from robustbench_nlp.victim import Probabilities, Victim
from robustbench_nlp.victims.hf import HFVictim

LABELS = ("negative", "positive")
QUICK = Recipe(epochs=4, learning_rate=5e-3, freeze_embeddings=False)


def toy(count: int = 300) -> tuple[list[Input], list[int]]:
    """Texts are positive where they say good and negative where they say bad."""
    rng = Random(0)
    labels = [rng.randrange(2) for _ in range(count)]
    filler = ["the", "film", "a", "is"]
    return [" ".join([*rng.choices(filler, k=rng.randrange(1, 6)), ("bad", "good")[label]]) for label in labels], labels


def examples() -> list[Example]:
    return [Example(fields={"text": str(text)}, label=label) for text, label in zip(*toy(), strict=True)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert.save(tmp_path_factory.mktemp("base"), head=False)


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> HFVictim:
    target = tmp_path_factory.mktemp("trained")
    assert fine_tune(target, base, *toy(), label_names=LABELS, seed=0, recipe=QUICK) >= 0.95
    return HFVictim.from_folder(target, name="toy")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBUSTBENCH_NLP_CACHE", str(tmp_path / "cache"))


def test_fine_tuning_learns_a_rule_and_saves_it(trained: HFVictim) -> None:
    assert trained.label_names == LABELS
    assert trained.predict(["a bad film", "a good film"]).argmax(axis=1).tolist() == [0, 1]


def test_same_seed_same_bits_and_the_global_generator_stays(base: Path, tmp_path: Path) -> None:

    weights, recipe = {}, dataclasses.replace(QUICK, epochs=1, held_out=0)
    state = torch.get_rng_state()
    for name, seed in [("first", 3), ("again", 3), ("other", 4)]:
        torch.manual_seed(len(weights))
        before = torch.get_rng_state()
        fine_tune(tmp_path / name, base, *toy(64), label_names=LABELS, seed=seed, recipe=recipe)
        assert torch.equal(torch.get_rng_state(), before)
        weights[name] = (tmp_path / name / "model.safetensors").read_bytes()
    torch.set_rng_state(state)
    assert weights["first"] == weights["again"] != weights["other"]


def test_frozen_embeddings_stay(trained: HFVictim, tmp_path: Path) -> None:
    assert trained.folder is not None
    recipe = dataclasses.replace(QUICK, epochs=1, freeze_embeddings=True)
    fine_tune(tmp_path, trained.folder, *toy(64), label_names=LABELS, seed=0, recipe=recipe)
    after = HFVictim.from_folder(tmp_path, name="after")
    first, second = (v._model.get_input_embeddings().weight.numpy() for v in (trained, after))
    np.testing.assert_array_equal(first, second)
    assert trained.fingerprint != after.fingerprint


def test_a_collapsed_training_is_an_error_and_leaves_nothing(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_loop, "CHECKPOINT_SECONDS", 0.0)
    recipe = dataclasses.replace(QUICK, epochs=1, learning_rate=1e-9)
    how: dict[str, Any] = {"label_names": LABELS, "seed": 0, "recipe": recipe, "checkpoint": tmp_path / "checkpoint"}
    with pytest.raises(TrainingCollapsed, match="constant answer"):
        fine_tune(tmp_path / "out", base, *toy(), **how)
    assert not any(tmp_path.iterdir())


def skewed(positive: int, negative: int) -> list[Example]:
    """Numbered, and so many of each class."""
    counts = {"good": positive, "bad": negative}
    return [
        Example(fields={"text": f"a {word} film {number}"}, label=int(word == "good"))
        for word, count in counts.items()
        for number in range(count)
    ]


@pytest.mark.parametrize(("positive", "negative"), [(190, 10), (199, 1)])
def test_skewed_data_is_learned_from_and_a_constant_answer_to_it_collapses(
    trained: HFVictim, base: Path, tmp_path: Path, positive: int, negative: int
) -> None:
    train = skewed(positive, negative)
    balanced = ClassBalance(epochs=1)(trained, train, Random(0))
    assert balanced.predict(["a bad film", "a good film"]).argmax(axis=1).tolist() == [0, 1]

    def constant(batch: Batch) -> float:
        loss = batch.model(**batch.tensors()).logits.diff(dim=1).sum() * -1.0
        torch.autograd.backward(loss)
        return float(loss.detach())

    texts, labels = [example.input for example in train], [example.label for example in train]
    with pytest.raises(TrainingCollapsed, match=r"50.0% of held-out .* a constant answer gets 50.0%"):
        fine_tune(tmp_path / "out", base, texts, labels, label_names=LABELS, seed=0, recipe=QUICK, objective=constant)
    assert not (tmp_path / "out").exists()


def test_the_base_is_not_changed_and_pairs_train(base: Path, tmp_path: Path) -> None:
    before = (base / "model.safetensors").read_bytes()
    texts, labels = toy(64)
    fine_tune(
        tmp_path,
        base,
        [("film", str(t)) for t in texts],
        labels,
        label_names=LABELS,
        seed=0,
        recipe=dataclasses.replace(QUICK, epochs=1, held_out=0),
    )
    assert (base / "model.safetensors").read_bytes() == before


def test_none_is_the_identity() -> None:
    victim = KeywordVictim()
    assert NoDefense()(victim, [], Random(0)) is victim


def test_typo_augmentation_trains_once_with_fresh_typos(trained: HFVictim, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[Input]] = []
    whole = training_loop.Loop._step

    def spying(loop: training_loop.Loop, inputs: list[Input], labels: list[int], share: float) -> float:
        assert loop.augment is not None
        seen.append(loop.augment(inputs, Random(0)))
        assert sum(a != b for a, b in zip(inputs, seen[-1], strict=True)) in range(1, len(inputs) // 2 + 1)
        return whole(loop, inputs, labels, share)

    monkeypatch.setattr(training_loop.Loop, "_step", spying)
    defense = TypoAugmentation(epochs=2)
    defended = defense(trained, examples(), Random(0))
    assert defended.name == trained.name
    assert defended.fingerprint != trained.fingerprint
    assert len(seen) == 2 * 9  # 270 of 300 examples, 32 a batch
    monkeypatch.setattr(training, "fine_tune", None)  # a second training would fail
    again = defense(trained, examples(), Random(0))
    assert again.fingerprint == defended.fingerprint


def test_the_cache_tells_settings_seeds_data_and_sources_apart(
    trained: HFVictim, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr(
        training, "fine_tune", lambda target, base, *_, **__: (calls.append(target), tiny_bert.save(target))
    )
    data = examples()
    for defense, train, seed in [
        (TypoAugmentation(), data, 0),
        (TypoAugmentation(), data, 0),
        (TypoAugmentation(share=0.1), data, 0),
        (TypoAugmentation(), data[1:], 0),
        (TypoAugmentation(), data, 1),
        (TypoAugmentation(), [replace(data[0], label=1 - data[0].label), *data[1:]], 0),
        (AdversarialTraining(), data, 0),
    ]:
        defense(trained, train, Random(seed))
    assert len(calls) == 6
    monkeypatch.setattr(DeepWordBug, "version", DeepWordBug.version + 1)
    AdversarialTraining()(trained, data, Random(0))
    assert len(calls) == 7
    for change in (
        lambda: monkeypatch.setattr(TypoAugmentation, "version", 2, raising=False),
        lambda: monkeypatch.setattr(training, "VERSION", training.VERSION + 1),
        lambda: monkeypatch.setattr(training, "training_dtype", lambda device: "another"),
    ):
        change()
        before = len(calls)
        for _ in range(2):
            TypoAugmentation()(trained, data, Random(0))
        assert len(calls) == before + 1


def test_a_chain_of_trainings_tells_the_seconds_of_all(trained: HFVictim, monkeypatch: pytest.MonkeyPatch) -> None:
    def trains(target: Path, base: Path, *_: Any, **__: Any) -> None:
        tiny_bert.save(target)
        note_seconds(target, 4.0 if base == trained.folder else 3.0)

    monkeypatch.setattr(training, "fine_tune", trains)
    assert trained.added_seconds == 0
    one = TypoAugmentation()(trained, examples(), Random(0))
    assert getattr(one, "added_seconds", None) == 4.0
    assert getattr(compose("unicode_normalize+flooding")(one, examples(), Random(0)), "added_seconds", None) == 7.0


def test_what_refills_words_is_needed_before_training(trained: HFVictim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "fine_tune", None)
    monkeypatch.setattr(masked_lm_training, "find", lambda: None)
    with pytest.raises(UsageError, match="fetch mlm"):
        rehearse(compose("consistency(noises=('refill',))"), trained, examples())


def test_adversarial_training_attacks_the_current_model_each_epoch(
    trained: HFVictim, monkeypatch: pytest.MonkeyPatch
) -> None:
    defense = AdversarialTraining(attacks=("deepwordbug",), sample=20, max_queries=30, epochs=2)
    settings = {"sample": defense.sample, "max_queries": defense.max_queries}
    inputs, labels = adversarial(defense.attacks, trained, examples(), 0, **settings)
    assert 0 < len(inputs) == len(labels) <= 20
    fooled = trained.predict(inputs).argmax(axis=1) != labels
    assert fooled.any()
    assert not fooled.all(), "failed attacks' texts are learned from too"
    assert adversarial(defense.attacks, trained, examples(), 0, **settings) == (inputs, labels)
    attacked, learned = _attacked(defense, trained, monkeypatch)
    assert learned.fingerprint != trained.fingerprint
    np.testing.assert_array_equal(attacked[0], trained.predict(["a bad film"]))
    assert len(attacked) == 2
    assert (attacked[1] != attacked[0]).any()


def test_what_an_attack_learns_from_is_not_what_it_attacks(trained: HFVictim, monkeypatch: pytest.MonkeyPatch) -> None:
    learned: list[str] = []

    def prepare(self: Any, samples: Sequence[Any], rng: Random) -> Any:
        learned.extend(str(sample.text) for sample in samples)
        return {}
        yield

    train = [
        replace(example, fields={"text": f"{example.fields['text']} {at}"}) for at, example in enumerate(examples())
    ]
    monkeypatch.setattr(UniversalTriggers, "prepare", prepare)
    attacked: list[str] = []
    whole = adversaries.attack_examples
    monkeypatch.setattr(
        adversaries,
        "attack_examples",
        lambda attack, victim, some, **how: (
            attacked.extend(str(example.input) for example in some),
            whole(attack, victim, some, **how),
        )[1],
    )
    adversarial(("universal_triggers",), trained, train, 0, sample=20)
    assert learned
    assert len(attacked) == 20
    assert {*map(str, (example.input for example in train))} >= {*learned}
    assert not {*learned} & {*attacked}
    with pytest.raises(UsageError, match=f"lower sample below {len(train)}"):
        adversarial(("universal_triggers",), trained, train, 0, sample=len(train))


@pytest.mark.parametrize(
    ("defense", "told"),
    [
        ("adversarial_augmentation(sample=0)", "set sample to 1 or more"),
        ("mixada(sample=-1)", "set sample to 1 or more"),
        ("pgd(epochs=-1)", "of 1 or more"),
        ("consistency(epochs=0)", "of 1 or more"),
        ("typo_augmentation(learning_rate=0.0)", "learning_rate above 0"),
    ],
)
def test_counts_that_train_nothing_are_refused(defense: str, told: str, trained: HFVictim) -> None:
    with pytest.raises(UsageError, match=told):
        compose(defense)(trained, examples(), Random(0))


def test_adversarial_training_by_the_gradient_attacks_the_current_model_too(
    trained: HFVictim, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    whole = HFVictim.gradients
    monkeypatch.setattr(HFVictim, "gradients", lambda self, *given: (asked.append(self), whole(self, *given))[1])
    attacked, _ = _attacked(AdversarialTraining(attacks=("a2t",), sample=10, epochs=2), trained, monkeypatch)
    assert len(attacked) == 2
    assert (attacked[1] != attacked[0]).any()
    assert len(set(map(id, asked))) == 2
    assert trained not in asked


def _attacked(
    defense: AdversarialTraining, victim: HFVictim, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[Probabilities], Victim]:
    """What the models that a training attacks answer, and what it ends in."""
    answers = []

    def spying(attacks: Sequence[str], current: HFVictim, *given: Any, **how: Any) -> tuple[list[Input], list[int]]:
        answers.append(current.predict(["a bad film"]))
        return adversarial(attacks, current, *given, **how)

    monkeypatch.setattr("robustbench_nlp.defenses.adversarial_training.adversarial", spying)
    return answers, defense(victim, examples(), Random(0))


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("at", [1, 3, 7])
def test_an_interrupted_training_goes_on_to_the_same_bits(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(training_loop, "CHECKPOINT_SECONDS", 0.0)

    class Objective:
        """Draws from both generators, remembers a tensor, and stops where it is told."""

        def __init__(self, stop: int | None = None) -> None:
            self.stop, self.calls, self.state = stop, 0, {"sum": torch.zeros(1)}

        def __call__(self, batch: Batch) -> float:
            if self.calls == self.stop:
                raise Interrupted
            self.calls += 1
            loss = torch.nn.functional.cross_entropy(batch.model(**batch.tensors()).logits, batch.labels)
            loss = loss * (1 + torch.rand(1) + batch.rng.random() + self.state["sum"])
            self.state["sum"] = self.state["sum"] + 0.01
            torch.autograd.backward(loss)
            return float(loss.detach())

    def more(victim: HFVictim, epoch: int) -> tuple[list[Input], list[int]]:
        return [f"a good film {epoch}", "bad"], [1, int(victim.predict(["bad"])[0, 1] > 0.5)]

    def train(name: str, objective: Objective) -> Objective:
        fine_tune(
            tmp_path / name,
            base,
            *toy(120),
            label_names=LABELS,
            seed=0,
            recipe=dataclasses.replace(QUICK, epochs=2, held_out=0),
            objective=objective,
            more=more,
            checkpoint=tmp_path / "cache" / name,
        )
        return objective

    train("whole", Objective())
    with pytest.raises(Interrupted):
        train("parts", Objective(at))
    assert (tmp_path / "cache" / "parts").exists()
    assert train("parts", Objective()).calls == 8 - at
    assert not list((tmp_path / "cache").iterdir())
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "parts")]
    assert weights[0] == weights[1]
    seconds = json.loads((tmp_path / "parts" / "training.json").read_text())["seconds"]
    assert seconds > 0
    assert seconds != round(seconds, 1), "costs tell trainings apart by their seconds"


@pytest.mark.parametrize("at", [0, 3])
def test_an_interrupted_training_neither_attacks_nor_counts_again(
    trained: HFVictim, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    attacks = []
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + 1000 * len(attacks))
    monkeypatch.setattr(training_loop, "time", clock)
    monkeypatch.setattr(training_loop, "CHECKPOINT_SECONDS", 0.0)

    def attacking(*_: Any, **__: Any) -> tuple[list[Input], list[int]]:
        attacks.append(1)  # which takes a thousand seconds
        return ["a goood film"], [1]

    monkeypatch.setattr(adversaries, "adversarial", attacking)
    learned: list[Input] = []

    def objective(batch: Batch) -> float:
        if len(learned) == 32 * at:
            learned.append("")
            raise Interrupted
        learned.extend(batch.inputs)
        return cross_entropy(batch)

    for _ in range(2):
        with suppress(Interrupted):
            fine_tune(
                tmp_path / "out",
                base,
                *toy(127),
                label_names=LABELS,
                seed=0,
                recipe=dataclasses.replace(QUICK, held_out=0, batch_size=32, epochs=3),
                objective=objective,
                more=adversaries.once(("deepwordbug",), trained, examples(), Random(0), sample=1),
                checkpoint=tmp_path / "checkpoint",
            )
    assert len(attacks) == 1
    assert learned.count("a goood film") == 3
    assert 1000 <= json.loads((tmp_path / "out" / "training.json").read_text())["seconds"] < 2000


def test_a_torn_checkpoint_is_no_checkpoint(base: Path, tmp_path: Path) -> None:
    (tmp_path / "torn").write_bytes(b"torn")
    recipe = dataclasses.replace(QUICK, epochs=1, held_out=0)
    fine_tune(tmp_path / "out", base, *toy(64), label_names=LABELS, seed=0, recipe=recipe, checkpoint=tmp_path / "torn")
    assert not (tmp_path / "torn").exists()


@pytest.mark.parametrize("defense", [TypoAugmentation(), AdversarialTraining()])
def test_training_needs_weights(defense: TypoAugmentation | AdversarialTraining) -> None:
    with pytest.raises(UsageError, match="trains the victim's weights"):
        defense(KeywordVictim(), examples(), Random(0))
