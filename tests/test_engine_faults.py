"""Whatever goes wrong stays with its example, or is told in one line: victims, attacks, threats, helper models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np
import pytest
from scripted import ANY, TWO_QUERIES, Asks, Recorder, examples, one, score

from robustbench_nlp.attack import Encode, Gradient, Sample, Steps
from robustbench_nlp.data.example import Example
from robustbench_nlp.engine import Engine
from robustbench_nlp.errors import Unreachable, UsageError, VictimError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.helpers import Helpers
from robustbench_nlp.plugins import create
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat


class Broken(Recorder):
    """Fails in one of several ways on texts that hold a word."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way

    def predict(self, inputs: Sequence[Any], draw: int = 0) -> Any:
        outputs = self.inner.predict(inputs)
        for row, text in enumerate(inputs):
            if "poison" in text:
                if self.way == "raises":
                    raise RuntimeError("no poison, please")
                if self.way == "shape":
                    return outputs[:-1]
                outputs[row] = np.nan if self.way == "nan" else [3.0, -1.0]
        return outputs


@pytest.mark.parametrize(
    ("way", "message"), [("raises", "no poison"), ("shape", "shape"), ("nan", "NaN"), ("logits", "softmax")]
)
def test_an_error_stays_with_its_example(way: str, message: str) -> None:
    poisoned = Example(fields={"text": "a good poison"}, label=1)
    data = [*examples(10), poisoned, *examples(20)[10:]]
    records = {r.example_id: r for r in Engine(create("attack", "random_typos"), Broken(way)).run(data)}
    assert records[poisoned.id].outcome == "error"
    assert message in str(records[poisoned.id].error)
    assert sum(record.outcome == "error" for record in records.values()) == 1
    attacked = one(Asks(requests=(score("a bad poison"),)), Broken(way))
    assert (attacked.outcome, message in str(attacked.error)) == ("error", True)


def test_an_exception_inside_an_attack_is_an_error_not_a_failure() -> None:
    @dataclass(frozen=True)
    class Faulty:
        threat: Threat = ANY

        def run(self, sample: Sample, rng: Random) -> Steps:
            yield score("x good")
            raise ZeroDivisionError("oops")

    record = one(Faulty())
    assert (record.outcome, record.error) == ("error", "ZeroDivisionError: oops")


@dataclass(frozen=True)
class WontEnd:
    """Yields on when it is closed."""

    threat: Threat = TWO_QUERIES

    def run(self, sample: Sample, rng: Random) -> Steps:
        try:
            yield score("x good", "y good")
        except GeneratorExit:
            yield score("z good")
        return None


class Returns:
    """Forgets to yield."""

    threat = ANY

    def run(self, sample: Sample, rng: Random) -> Any:
        return sample.text


@pytest.mark.parametrize(
    ("attack", "message"),
    [(WontEnd(), "GeneratorExit"), (Returns(), "no generator"), (Asks(requests=("a bad film",)), "yielded a str")],
)
def test_a_faulty_attack_makes_error_records(attack: Any, message: str) -> None:
    record = one(attack)
    assert record.outcome == "error"
    assert message in str(record.error)


def test_gradients_that_raise_make_an_error() -> None:
    class Torn(Recorder):
        def gradients(self, inputs: Sequence[Any], labels: Sequence[int]) -> Any:
            raise ValueError("no way back")

    attack = Asks(requests=(Gradient([Text("a good film")]),), threat=replace(ANY, knowledge="gradient"))
    assert "no way back" in str(one(attack, Torn()).error)


@pytest.mark.parametrize(
    ("threat", "message"),
    [
        (replace(ANY, fields=("hypothesis",)), "the examples have text"),
        (replace(ANY, fields=("text", "other")), "an attack changes one"),
        ("any", "give a robustbench_nlp.Threat"),
    ],
)
def test_a_threat_that_cannot_be_run_is_told(threat: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        one(Asks(threat=threat))


def test_a_victim_that_fails_before_its_classes_are_known() -> None:
    class Unnamed:
        """Three classes, random, without label names; fails on the first draw."""

        name = fingerprint = "unnamed"
        label_names = ()
        random = True

        def predict(self, inputs: Sequence[Any], draw: int = 0) -> Any:
            if draw == 0 and any("poison" in item for item in inputs):
                raise ValueError("not that")
            return np.full((len(inputs), 3), 1 / 3)

    third = [Example(fields={"text": text}, label=2) for text in ("a poison", "an antidote")]
    found = {record.original: record for record in Engine(Asks(), Unnamed(), name="test", draws=2).run(third)}
    assert "not that" in str(found["a poison"].error)
    assert found["an antidote"].outcome == "skipped"


def test_a_referee_that_fails_makes_an_error() -> None:
    class FailsAlone(Recorder):
        def predict_exact(self, inputs: Sequence[Any]) -> Any:
            raise VictimError("gone")

    assert one(Asks(requests=(score("a bad film"),)), FailsAlone()).error == "gone"


def test_label_outside_the_victim_is_told() -> None:
    with pytest.raises(UsageError, match="2 classes"):
        one(Asks(), example=Example(fields={"text": "good"}, label=2))


def test_a_threat_that_limits_similarity_wants_an_encoder() -> None:
    with pytest.raises(UsageError, match="limits similarity"):
        one(Asks(threat=replace(ANY, min_similarity=0.9)))


def test_a_helper_request_that_fails_is_its_examples_own_error() -> None:
    @dataclass(frozen=True)
    class Helped:
        threat: Threat = ANY

        def run(self, sample: Sample, rng: Random) -> Steps:
            yield Encode(["x"] if "poison" not in str(sample.text) else [5], "toy")  # type: ignore[list-item]
            return None

    def encode(texts: Sequence[str]) -> Any:
        return np.array([[float(len(text))] for text in texts], dtype=np.float32)

    data = [Example(fields={"text": text}, label=1) for text in ("a good film", "a good poison")]
    helpers = Helpers(given={(Encode, "toy"): encode})
    found = {r.original: r for r in Engine(Helped(), KeywordVictim(), name="test", helpers=helpers).run(data)}
    assert found["a good film"].outcome == "failed"
    assert "has no len()" in str(found["a good poison"].error)


def test_where_an_encoder_fails_pairs_are_measured_apart_and_one_that_cannot_be_is_its_examples_error() -> None:
    data = [Example(fields={"text": text}, label=1) for text in ("a good film", "good fun", "a good poison", "so good")]
    sizes: list[int] = []

    def encode(texts: Sequence[str]) -> Any:
        sizes.append(len(texts))
        if len(texts) > 4 or any("poison" in text for text in texts):
            raise RuntimeError("CUDA out of memory")
        return np.ones((len(texts), 1), np.float32)

    def found(threat: Threat = ANY, **kwargs: Any) -> dict[Any, Any]:
        helpers = Helpers(given={(Encode, "toy"): encode})
        attack = Asks(requests=(score("a bad film"),), threat=threat)
        return {
            r.original: r for r in Engine(attack, KeywordVictim(), name="test", helpers=helpers, **kwargs).run(data)
        }

    told = "the encoder raised RuntimeError: CUDA out of memory"
    for records in (found(similarity="toy"), found(replace(ANY, min_similarity=0.5, similarity_model="toy"))):
        assert (records.pop("a good poison").error, {r.outcome for r in records.values()}) == (told, {"success"})
        assert len(records) == 3
    assert {r.similarity for original, r in found(similarity="toy").items() if "poison" not in original} == {1.0}
    assert sizes[:3] == [8, 4, 4]


def test_a_victim_that_nobody_reaches_is_asked_once() -> None:
    class Dead(Recorder):
        def predict(self, inputs: Sequence[Any], draw: int = 0) -> Any:
            self.calls.append(list(inputs))
            raise Unreachable("no connection")

    victim = Dead()
    records = list(Engine(Asks(), victim).run(examples(30)))
    assert {record.error for record in records} == {"no connection"}
    assert len(victim.calls) == 1
