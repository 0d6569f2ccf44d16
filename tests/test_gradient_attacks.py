"""Attacks that follow the gradient, on a real (tiny) transformer: through the engine, the victim and the referee."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import tiny_bert

from robustbench_nlp.attack import Gradient, Sample, Together
from robustbench_nlp.attacks.hotflip import HotFlip
from robustbench_nlp.attacks.universal_triggers import UniversalTriggers
from robustbench_nlp.data.example import Example
from robustbench_nlp.engine import Engine
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat, violations
from robustbench_nlp.victim import VictimOptions
from robustbench_nlp.victims.hf import HFVictim

TEXTS = [
    "the good film",
    "the bad film",
    "a film",
    "good good bad the film",
    "bad",
    "the film b good",
    "a b c the film",
]


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> HFVictim:
    return HFVictim.from_folder(
        tiny_bert.save(tmp_path_factory.mktemp("tiny")), VictimOptions(device="cpu"), name="tiny"
    )


@pytest.fixture(scope="module")
def examples(victim: HFVictim) -> list[Example]:
    """Every text with the label that the victim gives it."""
    answers = victim.predict(TEXTS).argmax(axis=1).tolist()
    return [Example(fields={"text": text}, label=label) for text, label in zip(TEXTS, answers, strict=True)]


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file in which every word of the tiny victim is a neighbour of every other."""
    path = tmp_path_factory.mktemp("own") / "vectors.txt"
    path.write_text("".join(f"{word} 1 0.{i:02}\n" for i, word in enumerate(tiny_bert.VOCABULARY[5:])), "utf-8")
    return str(path)


def test_hotflip_flips_whole_words_within_its_threat(victim: HFVictim, examples: list[Example], vectors: str) -> None:
    attack = HotFlip(threat=Threat(name="flips", knowledge="gradient", max_words_share=0.5), vectors=vectors)
    records = list(Engine(attack, victim, name="hotflip").run(examples))
    assert not [record.error for record in records if record.error]
    broken = [record for record in records if record.outcome == "success"]
    assert broken
    for record in broken:
        assert not violations(attack.threat, str(record.original), str(record.adversarial))
        assert set(str(record.adversarial).split()) <= {*victim.vocabulary.words, *str(record.original).split()}


def test_the_estimate_ranks_flips_as_the_victim_does(victim: HFVictim, examples: list[Example], vectors: str) -> None:
    """Over all flips of all words: a higher first-order gain goes with a higher score, though not in every pair."""
    attack = HotFlip(per_word=100, vectors=vectors)
    gains: list[float] = []
    reached: list[float] = []

    class Watch(HotFlip):
        def run(self, sample: Sample, rng: Random) -> Any:
            (answer,) = yield Gradient([sample.text])
            assert sample.vocabulary is not None
            for gain, number, word in attack._flips(
                sample.text, set(range(len(sample.text))), answer, sample.vocabulary
            ):
                gains.append(gain)
                flipped = sample.example.with_field("text", str(sample.text.swap(number, word)))
                reached.append(1 - float(victim.predict([flipped])[0, sample.label]) - sample.score)

    list(Engine(Watch(), victim, name="watch").run(examples))
    assert len(gains) > 50
    assert np.corrcoef(gains, reached)[0, 1] > 0.2


def test_hotflip_keeps_to_close_neighbours_of_the_same_part_of_speech(
    victim: HFVictim, examples: list[Example], tmp_path: Path
) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("film 1 0\nb 1 0.5\nc 0.1 1\ngood 1 0.1\n", "utf-8")
    attack = HotFlip(vectors=str(path), threat=Threat(name="open", knowledge="gradient"))
    found = {
        word
        for record in Engine(attack, victim, name="hotflip").run(examples)
        if record.outcome == "success"
        for word in set(str(record.adversarial).split()) - set(str(record.original).split())
    }
    assert found <= {"b"}  # c is too far from film, good no noun
    assert HotFlip(vectors="x.txt").threat.candidates == "vectors:x.txt"
    assert HotFlip(vectors="x.txt", threat=attack.threat).threat == attack.threat
    with pytest.raises(UsageError, match="hotflip wants k of 1 or more"):
        HotFlip(k=0)


def test_hotflip_wants_gradients() -> None:
    with pytest.raises(UsageError, match="hf: victim"):
        list(Engine(HotFlip(), KeywordVictim(), name="x").run([Example(fields={"text": "good"}, label=1)]))


def test_a_trigger_is_learned_on_dev_and_costs_one_query(victim: HFVictim, examples: list[Example]) -> None:
    attack = UniversalTriggers(rounds=1, candidates=5)
    engine = Engine(attack, victim, name="triggers", dev=examples)
    assert set(engine.prepared) == {example.label for example in examples}
    assert all(len(words) == 3 for words in engine.prepared.values())
    assert engine.prepared == Engine(attack, victim, name="triggers", dev=examples).prepared
    for record in engine.run(examples):
        assert record.queries == 2
        assert str(record.adversarial).endswith(str(record.original))
        assert record.words_changed == 3


def test_a_learned_trigger_beats_the_one_it_starts_from(victim: HFVictim, examples: list[Example]) -> None:
    engine = Engine(UniversalTriggers(candidates=50), victim, name="triggers", dev=examples)

    def mean_score(words: Sequence[str], label: int) -> float:
        own = [f"{' '.join(words)} {example.input}" for example in examples if example.label == label]
        return float(1 - victim.predict(own)[:, label].mean())

    for label, words in engine.prepared.items():
        assert mean_score(words, label) >= mean_score(["the"] * 3, label)


def test_learning_wants_a_dev_split_and_the_right_requests(victim: HFVictim, examples: list[Example]) -> None:
    with pytest.raises(UsageError, match="learns from a dev split"):
        Engine(UniversalTriggers(), victim, name="triggers")

    class Confused(UniversalTriggers):
        def prepare(self, samples: Sequence[Sample], rng: Random) -> Any:
            yield Gradient([Text("a")])

    with pytest.raises(TypeError, match="must yield Together"):
        Engine(Confused(), victim, name="x", dev=examples)

    class Peeks(UniversalTriggers):
        def prepare(self, samples: Sequence[Sample], rng: Random) -> Any:
            yield Together(Gradient, [(samples[0], samples[0].text)])

    blind = Peeks(threat=replace(UniversalTriggers().threat, knowledge="score"))
    with pytest.raises(UsageError, match="no gradients"):
        Engine(blind, victim, name="x", dev=examples)
