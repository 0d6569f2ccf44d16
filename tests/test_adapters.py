"""The bridge to blocking libraries, and the adapters to TextAttack and nlpaug on the real libraries."""

from __future__ import annotations

import random
import sys
import threading
from contextvars import ContextVar
from pathlib import Path
from random import Random
from typing import Any

import needs
import numpy as np
import pytest
import torch

from robustbench_nlp import adapters
from robustbench_nlp import nltk_data as nltk_data_module
from robustbench_nlp.attack import Attack, Probe, Score
from robustbench_nlp.attacks import nlpaug as nlpaug_adapter
from robustbench_nlp.attacks import textattack as textattack_adapter
from robustbench_nlp.bridge import Ask, GlobalGenerators, blocking
from robustbench_nlp.data.example import Example
from robustbench_nlp.engine import Engine
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.plugins import Choice, create
from robustbench_nlp.records import Record
from robustbench_nlp.text import Text

ODD = ["", " ", "🙂", "a", "\x00", "\ud800", "שלום עולם", "…!?", "x" * 300, "good\x00fine", "a_b-c * d@e"]


def threads() -> int:
    return sum(thread.name == "blocking" for thread in threading.enumerate())


# The bridge


def test_calls_become_requests_and_answers_come_back() -> None:
    def function(ask: Ask) -> Text:
        first = ask(Probe([Text("a")]))
        second = ask(Score([Text("b")]))
        return Text(first + second)

    steps = blocking(function, Random(0))
    assert isinstance(next(steps), Probe)
    assert isinstance(steps.send("x"), Score)
    with pytest.raises(StopIteration) as end:
        steps.send("y")
    assert str(end.value.value) == "xy"
    assert threads() == 0


def test_exceptions_reach_the_caller() -> None:
    def function(ask: Ask) -> None:
        ask(Probe([]))
        raise ValueError("the library's own")

    steps = blocking(function, Random(0))
    next(steps)
    with pytest.raises(ValueError, match="the library's own"):
        steps.send(None)
    assert threads() == 0


def test_closing_ends_the_thread_even_if_the_library_goes_on_asking() -> None:
    unwound = []

    def function(ask: Ask) -> None:
        for _ in range(3):
            try:
                ask(Probe([]))
            except Exception:  # what libraries do
                unwound.append("swallowed")
            finally:
                unwound.append("left")

    steps = blocking(function, Random(0))
    next(steps)
    assert threads() == 1
    steps.close()
    assert threads() == 0
    assert unwound == ["left"]


def test_an_unstarted_or_forgotten_attack_leaves_nothing_behind() -> None:
    blocking(lambda ask: None, Random(0)).close()
    steps = blocking(lambda ask: ask(Probe([])), Random(0))
    next(steps)
    del steps
    assert threads() == 0


def test_context_variables_are_seen() -> None:
    variable: ContextVar[str] = ContextVar("variable")
    variable.set("seen")
    with pytest.raises(StopIteration) as end:
        next(blocking(lambda ask: Text(variable.get()), Random(0)))
    assert str(end.value.value) == "seen"


def draw() -> list[float]:
    return [random.random(), float(np.random.random()), float(torch.rand(1))]


def test_global_generators_are_lent_and_given_back() -> None:
    """The library's draws depend on `rng` alone, and nobody else's on the library: not between requests, nor at the end."""

    def function(ask: Ask) -> None:
        while True:
            ask(draw())  # type: ignore[arg-type]

    def interleaved() -> tuple[list[Any], list[Any]]:
        random.seed(1)
        np.random.seed(1)
        torch.manual_seed(1)
        steps = blocking(function, Random(5))
        inside: list[Any] = [next(steps)]
        outside = [draw()]
        inside.append(steps.send(None))
        outside.append(draw())
        steps.close()
        return inside, [*outside, draw()]

    inside, outside = interleaved()
    assert (inside, outside) == interleaved()
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    assert outside == [draw(), draw(), draw()]
    with GlobalGenerators(Random(5)).installed():
        assert inside == [draw(), draw()]


# Both adapters


def records(attack: Attack, victim: Any, texts: list[str], label: int = 1, **settings: Any) -> list[Record]:
    examples = [Example(fields={"text": text}, label=label) for text in texts]
    found = {record.example_id: record for record in Engine(attack, victim, **settings).run(examples)}
    return [found[example.id] for example in examples]


class Counting(KeywordVictim):
    """Class 1 is the likeliest as long as one of its keywords is left."""

    def predict(self, inputs: Any, draw: int = 0) -> Any:
        outputs = super().predict(inputs) * np.array([1.2, *[1.0] * (len(self.keywords) - 1)], dtype=np.float32)
        return outputs / outputs.sum(axis=1, keepdims=True)


class Tipping(KeywordVictim):
    """Class 1 for texts that hold "good", else class 0."""

    def predict(self, inputs: Any, draw: int = 0) -> Any:
        share = np.array([0.3 if "good" in text else 0.7 for text in inputs], dtype=np.float32)
        return np.stack([share, 1 - share], axis=1)


# nlpaug


@pytest.mark.usefixtures("nltk_data")
@pytest.mark.parametrize("name", nlpaug_adapter.TAGGED)
def test_nlpaug_augmenters_that_want_a_tagger(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def found() -> list[Record]:
        return records(create("attack", f"nlpaug:{name}"), Tipping(), ["good and bad films are hot or cold"])

    monkeypatch.setattr("nltk.download", lambda *names: False)
    if adapters.state("nlpaug", name) == "runs offline":
        assert not found()[0].error
    else:
        with pytest.raises(UsageError, match=f"nlpaug:{name} needs NLTK's tagger"):
            found()


@pytest.mark.parametrize("library", [pytest.param("textattack", marks=needs.textattack), "nlpaug"])
def test_every_recipe_of_the_library_has_a_state(library: adapters.Library) -> None:
    known = {choice.argument: choice.line for choice in adapters.states(library)}
    if library == "textattack":
        assert known.keys() == textattack_adapter._recipes().keys()
    else:
        from nlpaug.augmenter import char, sentence, word

        made = {name for module in (char, sentence, word) for name in vars(module) if name.endswith("Aug")}
        assert known.keys() == made
        runs = {name for name, line in known.items() if not line.startswith("can't")}
        assert runs == nlpaug_adapter.AUGMENTERS.keys()
    assert all(line == "runs offline" or line.startswith(("needs ", "can't run: ")) for line in known.values())


@pytest.mark.usefixtures("nltk_data")
@pytest.mark.parametrize("choice", adapters.states("textattack"), ids=lambda choice: choice.argument)
def test_what_is_said_to_run_can_be_built(choice: Choice) -> None:
    if adapters.state("textattack", choice.argument) == "runs offline":
        assert textattack_adapter._built(choice.argument).attack.is_black_box


@needs.textattack
def test_needs(monkeypatch: pytest.MonkeyPatch, isolated_cache: Path, tmp_path: Path) -> None:
    for name in ("NLTK_DATA", "TA_CACHE_DIR", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(adapters, "nltk_folders", lambda: [tmp_path / "nltk"])
    assert "fetch nltk-data" in adapters.state("textattack", "pwws")
    for corpus in ("stopwords.zip", "wordnet"):
        (tmp_path / "nltk" / "corpora" / corpus).mkdir(parents=True)
    assert adapters.state("textattack", "pwws") == "runs offline"
    monkeypatch.setenv("TA_CACHE_DIR", str(tmp_path / "ta"))
    assert adapters.state("textattack", "iga").startswith("needs counter-fitted vectors")
    (tmp_path / "ta" / "word_embeddings" / "paragramcf").mkdir(parents=True)
    assert adapters.state("textattack", "iga") == "runs offline"
    monkeypatch.setattr(adapters, "find_spec", lambda name: None)
    assert "pip install 'robustbench-nlp[textattack]'" in adapters.state("textattack", "iga")


@pytest.mark.parametrize("name", sorted(set(nlpaug_adapter.AUGMENTERS) - {*nlpaug_adapter.TAGGED}))
def test_nlpaug_augmenters(name: str) -> None:
    attack = create("attack", f"nlpaug:{name}")
    texts = ["This movie has a good and surprising story because nobody would have known", *ODD]
    first = records(attack, Tipping(), texts, label=1)
    assert not [record.error for record in first if record.error]
    again = records(attack, Tipping(), texts[::-1], label=1)[::-1]
    assert [record.adversarial for record in first] == [record.adversarial for record in again]
    assert attack.mode == "noise"
    assert attack.threat.name == f"nlpaug_{name.lower()}"


def test_nlpaug_returns_a_draw_that_fools() -> None:
    texts = [f"a good film number {number} from a director of some renown" for number in range(30)]
    one, many = (
        sum(record.outcome == "success" for record in records(create("attack", selector), Tipping(), texts))
        for selector in ("nlpaug:RandomWordAug", "nlpaug(draws=12):RandomWordAug")
    )
    assert 0 < one < many


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("nlpaug:KeybordAug", "did you mean 'KeyboardAug'"),
        ("nlpaug(draws=0):OcrAug", "draws"),
        ("nlpaug:ReservedAug", "can't run: it wants lists of words"),
        ("nlpaug", "nlpaug:AUGMENTER"),
    ],
)
def test_nlpaug_bad_use(selector: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        create("attack", selector)


def test_nlpaug_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    nlpaug_adapter._augmenter.cache_clear()
    monkeypatch.setitem(sys.modules, "nlpaug.augmenter.char", None)
    with pytest.raises(UsageError, match=r"install robustbench-nlp\[nlpaug\]"):
        records(create("attack", "nlpaug:OcrAug"), KeywordVictim(), ["a good film"])


# NLTK's data


def test_nltk_data_from_an_incomplete_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no lexnames"):
        nltk_data_module.build(tmp_path / "out", tmp_path)
    assert not (tmp_path / "out").exists()
