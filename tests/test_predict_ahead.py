"""Predicting ahead: half of the live set is predicted while the attacks of the other half think, and no record tells."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_bert
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import Asks, Recorder, examples, plain, score

from robustbench_nlp.attack import Attack, Encode
from robustbench_nlp.data.example import Example
from robustbench_nlp.detection import Watched
from robustbench_nlp.engine import Engine
from robustbench_nlp.errors import OutOfMemory, UsageError, VictimError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.helpers import Helpers
from robustbench_nlp.plugins import create
from robustbench_nlp.predictor import Predictor
from robustbench_nlp.records import Record
from robustbench_nlp.rewriting import Rewritten
from robustbench_nlp.victims import hf
from robustbench_nlp.victims.hf import HFVictim

ATTACKS = ("deepwordbug", "pwws(variant='textattack')", "random_typos", "word_search", "input_reduction")


class Device(Recorder):
    """Remembers in `told` when predictions are begun ("ask") and waited for ("wait"), and when the referee asks."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, tuple[Any, ...]]] = []

    def predict_ahead(self, inputs: Sequence[Any], draw: int = 0) -> Callable[[], Any]:
        asked = tuple(inputs)
        self.told.append(("ask", asked))

        def wait() -> Any:
            self.told.append(("wait", asked))
            return self.inner.predict(asked)

        return wait

    def predict_exact(self, inputs: Sequence[Any]) -> Any:
        self.told.append(("exact", tuple(inputs)))
        return self.inner.predict(inputs)


def records(attack: Attack, victim: Any, data: Sequence[Example], **how: Any) -> list[dict[str, Any]]:
    return plain(list(Engine(attack, victim, name="test", **how).run(data)))


@pytest.mark.parametrize("name", ATTACKS)
@settings(max_examples=20, deadline=None)
@given(number=st.integers(1, 9), live=st.integers(1, 6), budget=st.sampled_from((None, 0, 1, 5, 30)))
def test_the_records_are_those_of_whole_rounds(name: str, number: int, live: int, budget: int | None) -> None:
    attack, data, device = create("attack", name), examples(number), Device()
    how: dict[str, Any] = {"seed": 3, "max_queries": budget, "live": live}
    assert records(attack, device, data, **how) == records(attack, KeywordVictim(), data, **how)
    assert not device.calls
    assert sum(kind == "ask" for kind, _ in device.told) == sum(kind == "wait" for kind, _ in device.told) > 0


def test_one_half_is_asked_before_the_other_is_waited_for() -> None:
    device, ends = Device(), [0]
    attack = Asks(requests=(score("x good"), score("y good")))
    engine = Engine(attack, device, name="test", live=4, each_round=lambda: ends.append(len(device.told)))
    assert len(list(engine.run(examples(4)))) == 4
    assert [kind for kind, _ in device.told] == ["ask", *["ask", "wait"] * 5, "wait"]
    waited = [asked for kind, asked in device.told if kind == "wait"]
    assert waited == [asked for kind, asked in device.told if kind == "ask"]  # the oldest first
    assert [len(asked) for asked in waited[:2]] == [2, 2]
    assert len(ends) - 1 == len(waited)


def test_halves_that_grow_unlike_are_evened_out() -> None:
    class Long:
        threat = Asks().threat

        def run(self, sample: Any, rng: Any) -> Iterator[Any]:
            for i in range(6 if sample.example.fields["text"][-1] in "4567" else 0):
                yield score(f"{sample.text} good {i}")

    device = Device()
    assert len(records(Long(), device, examples(8))) == 8  # type: ignore[arg-type]
    assert [len(asked) for kind, asked in device.told if kind == "ask"][:4] == [4, 4, 2, 2]


def test_the_referee_judges_after_all_that_can_go_on_without_it() -> None:
    heard: list[str] = []

    class Told:
        threat = Asks().threat

        def run(self, sample: Any, rng: Any) -> Iterator[Any]:
            wins = sample.example.fields["text"][-1] in "02"
            yield score("a bad film" if wins else "x good")
            heard.append("wins" if wins else "goes on")

    assert {r["outcome"] for r in records(Told(), Device(), examples(4), live=8)} == {"success", "failed"}  # type: ignore[arg-type]
    assert heard == ["goes on", "wins"] * 2


def test_helper_models_are_asked_a_half_at_a_time() -> None:
    asked: list[int] = []

    class Helped:
        threat = Asks().threat

        def run(self, sample: Any, rng: Any) -> Iterator[Any]:
            (vector,) = yield Encode([str(sample.text)], model="toy")
            yield score(f"x good {vector[0]}")

    def encode(texts: Sequence[str]) -> Any:
        asked.append(len(texts))
        return np.array([[float(text[-1])] for text in texts])

    found, expected = (
        records(Helped(), victim, examples(6), helpers=Helpers(given={(Encode, "toy"): encode}))  # type: ignore[arg-type]
        for victim in (Device(), KeywordVictim())
    )
    assert found == expected
    assert [record["helper_calls"] for record in found] == [1] * 6
    assert asked == [3, 3, 6]


def test_an_attack_alone_has_no_other_half() -> None:
    class Alone(Asks):
        one_at_a_time = True

    device = Device()
    assert len(records(Alone(requests=(score("x good"),)), device, examples(3))) == 3
    assert [kind for kind, _ in device.told] == ["ask", "wait"] * 6


@pytest.mark.parametrize("fault", ["at once", "waited", "shape", "nan", "memory"])
def test_what_is_begun_in_vain_is_asked_in_the_ordinary_way(fault: str) -> None:
    class Broken(Device):
        def predict_ahead(self, inputs: Sequence[Any], draw: int = 0) -> Callable[[], Any]:
            if fault == "at once":
                raise RuntimeError("no stream")

            def wait() -> Any:
                if fault in ("waited", "memory"):
                    raise RuntimeError("out of memory" if fault == "memory" else "a launch failed")
                found = self.inner.predict(inputs)
                return found[1:] if fault == "shape" else found * np.nan

            return wait

    attack, data, victim = create("attack", "deepwordbug"), examples(6), Broken()
    assert records(attack, victim, data) == records(attack, KeywordVictim(), data)
    assert victim.calls


def test_a_text_that_breaks_the_victim_is_the_error_of_its_example_alone() -> None:
    class Poisoned(Device):
        def predict(self, inputs: Sequence[Any], draw: int = 0) -> Any:
            if any("poison" in text for text in inputs):
                raise RuntimeError("no poison, please")
            return super().predict(inputs)

        def predict_ahead(self, inputs: Sequence[Any], draw: int = 0) -> Callable[[], Any]:
            return lambda: self.predict(inputs)

    data = [*examples(4), Example(fields={"text": "a good poison"}, label=1), *examples(8)[4:]]
    found = {record["original"]: record for record in records(create("attack", "random_typos"), Poisoned(), data)}
    assert "no poison" in found.pop("a good poison")["error"]
    clean = records(create("attack", "random_typos"), KeywordVictim(), examples(8))
    assert found == {record["original"]: record for record in clean}


def test_bad_use_is_told_at_once() -> None:
    class Misused(Device):
        def predict_ahead(self, inputs: Sequence[Any], draw: int = 0) -> Callable[[], Any]:
            raise UsageError("the device is gone; use another")

    with pytest.raises(UsageError, match="the device is gone"):
        list(Engine(Asks(), Misused()).run(examples(2)))


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT as Python handles it: where the tests run in the background, a shell has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_comes_after_the_records_of_its_round_and_the_rest_can_follow() -> None:
    class Interrupted(Device):
        def predict_ahead(self, inputs: Sequence[Any], draw: int = 0) -> Callable[[], Any]:
            wait = super().predict_ahead(inputs)
            # the second half's last; the first half's end is waited for next
            if sum(kind == "ask" for kind, _ in self.told) == 4:
                signal.raise_signal(signal.SIGINT)
            return wait

    attack, data, victim = Asks(requests=(score("x good"),)), examples(6), Interrupted()
    found: list[Record] = []
    with pytest.raises(KeyboardInterrupt):
        found.extend(Engine(attack, victim, name="test").run(data))
    assert len(found) == 3
    assert [kind for kind, _ in victim.told] == ["ask", *["ask", "wait"] * 3]
    done = {record.example_id for record in found}
    rest = list(Engine(attack, KeywordVictim(), name="test").run(e for e in data if e.id not in done))
    assert plain([*found, *rest]) == records(attack, KeywordVictim(), data)


def test_the_seconds_of_examples_add_up_to_the_time_of_the_run() -> None:
    engine, data = Engine(create("attack", "random_typos"), Device(), live=5), examples(12)
    start = time.perf_counter()
    found = list(engine.run(data))
    elapsed = time.perf_counter() - start
    assert elapsed / 2 < sum(record.seconds for record in found) < elapsed + 1e-3
    assert len({record.example_id for record in found}) == 12
    assert all(record.seconds > 0 for record in found)


def test_random_victims_are_not_asked_ahead_and_batches_stay_small() -> None:
    class Random(Device):
        random = True

    chancy = Random()
    assert len(records(Asks(requests=(score("x good"),)), chancy, examples(4), draws=3)) == 4
    assert not chancy.told
    device = Device()
    answers = Predictor(device, batch_size=3).begin([f"good {i}" for i in range(7)])()
    assert answers.outputs.shape == (7, 2)
    assert [len(asked) for _, asked in device.told] == [3, 3, 1] * 2
    assert Predictor(device).begin([])().outputs.shape == (0, 2)


def test_rewritings_and_detectors_pass_it_on_where_it_is() -> None:
    device = Device()
    lower = Rewritten(device, str.lower, [])
    both = Watched(lower, lambda items: np.zeros(len(items), np.float32), 0.5, [])
    wait = both.predict_ahead(["Good", "BAD", "good"])  # type: ignore[attr-defined]
    assert device.told == [("ask", ("good", "bad"))]
    np.testing.assert_array_equal(wait(), device.inner.predict(["good", "bad", "good"]))
    assert not hasattr(Rewritten(KeywordVictim(), str.lower, []), "predict_ahead")


# a transformer on a GPU, played by a processor


@pytest.fixture
def launching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HFVictim:
    """A tiny model that takes itself for one on a GPU, and chunks of four inputs; `waits` counts the waits, `copies` has how answers leave it."""
    import torch

    victim = HFVictim.from_folder(tiny_bert.save(tmp_path / "tiny"), name="tiny")
    victim._launches = True
    copies: list[dict[str, Any]] = []
    plain = torch.Tensor.to

    def copied(tensor: Any, *target: Any, **how: Any) -> Any:
        copies.extend([how] * (target == ("cpu",)))
        return plain(tensor, *target, **how)

    monkeypatch.setattr(torch.Tensor, "to", copied)
    waits: list[int] = []
    stream = SimpleNamespace(record_event=lambda: SimpleNamespace(synchronize=lambda: waits.append(1)))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: stream)
    monkeypatch.setattr(hf, "AHEAD", 4)
    victim.waits, victim.copies = waits, copies  # type: ignore[attr-defined]
    return victim


TEXTS = [f"the {'bad ' * (i % 5)}film {i}" for i in range(11)]


def test_chunks_answer_as_all_together(launching: HFVictim, tmp_path: Path) -> None:
    whole = HFVictim.from_folder(tmp_path / "tiny", name="tiny")
    chunks: list[int] = []
    read = launching._reader
    launching._reader = lambda inputs: chunks.append(len(inputs)) or read(inputs)  # type: ignore[assignment, func-returns-value]
    launching._reader.tensors = read.tensors  # type: ignore[method-assign]
    assert whole.predict_ahead is None
    ahead = launching.predict_ahead
    assert ahead is not None
    launching.copies.clear()  # type: ignore[attr-defined]
    first, second = ahead(TEXTS), ahead(TEXTS[:2])
    assert launching.copies == [{"non_blocking": True}] * 2  # type: ignore[attr-defined]
    assert chunks == [4, 4, 3, 2]
    assert not launching.waits  # type: ignore[attr-defined]
    np.testing.assert_allclose(first(), whole.predict(TEXTS), atol=1e-6)
    np.testing.assert_allclose(second(), whole.predict(TEXTS[:2]), atol=1e-6)
    np.testing.assert_allclose(launching.predict(TEXTS), whole.predict(TEXTS), atol=1e-6)
    assert len(launching.waits) == 3  # type: ignore[attr-defined]
    assert launching.forward_count == 2 * len(TEXTS) + 2
    assert launching.forward_seconds > 0
    assert ahead([])().shape == (0, 2)


def test_where_memory_ends_only_the_chunk_is_launched_again(
    launching: HFVictim, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    expected, forward, sizes, budget = launching.predict(TEXTS), launching._forward, [], launching._budget

    def limited(model: object, encodings: list[object]) -> object:
        sizes.append(len(encodings))
        if len(encodings) > 1 and len(sizes) > 1:
            raise torch.cuda.OutOfMemoryError
        answered.append(len(encodings))
        return forward(model, encodings)

    answered: list[int] = []
    monkeypatch.setattr(launching, "_forward", limited)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    np.testing.assert_allclose(launching.predict(TEXTS), expected, atol=1e-6)
    assert launching._budget < budget
    assert sizes[-1] == 1
    assert sum(answered) == len(TEXTS), "what was launched before isn't launched again"
    monkeypatch.setattr(
        launching, "_forward", lambda model, encodings: (_ for _ in ()).throw(torch.cuda.OutOfMemoryError)
    )
    with pytest.raises(VictimError, match="too small for one input"):
        launching.predict(TEXTS)


def test_memory_that_ends_while_it_is_waited_for_makes_smaller_batches() -> None:
    class Small(Device):
        def predict_ahead(self, inputs: Sequence[Any], draw: int = 0) -> Callable[[], Any]:
            def wait() -> Any:
                raise OutOfMemory("CUDA out of memory")

            return wait

        def predict(self, inputs: Sequence[Any], draw: int = 0) -> Any:
            if len(inputs) > 2:
                raise RuntimeError("CUDA out of memory")
            return super().predict(inputs)

    victim = Small()
    predictor = Predictor(victim)
    assert not predictor.begin(TEXTS)().errors
    assert predictor.batch_size == 2
    assert max(map(len, victim.calls)) == 2


@pytest.mark.parametrize("name", ["deepwordbug", "textbugger(ranking='gradient')"])
def test_attacks_on_it_are_those_on_a_processor(name: str, launching: HFVictim, tmp_path: Path) -> None:
    labels = launching.predict(TEXTS).argmax(axis=1).tolist()
    data = [Example(fields={"text": text}, label=label) for text, label in zip(TEXTS, labels, strict=True)]
    whole = HFVictim.from_folder(tmp_path / "tiny", name="tiny")
    keys = ("example_id", "adversarial", "outcome", "queries", "error")
    found, expected = (
        [{key: record[key] for key in keys} for record in records(create("attack", name), victim, data)]
        for victim in (launching, whole)
    )
    assert found == expected
    assert {record["error"] for record in found} == {None}
