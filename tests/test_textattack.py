"""The adapter to TextAttack on the real library."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import needs
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_adapters import Counting, records, threads

from robustbench_nlp.attack import Scores
from robustbench_nlp.attacks import textattack as textattack_adapter
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.plugins import create
from robustbench_nlp.threat import Threat

TEXTS = [
    "This is a good movie with a great cast , and it is fine to see .",
    "good films are great",
    "never was a film so fine",
    "a_b it's well-made* @home: great fun !",
]


@needs.textattack
@pytest.mark.usefixtures("nltk_data")
@pytest.mark.parametrize("recipe", ["deepwordbug", "pruthi", "pwws"])
def test_textattack_recipes(recipe: str) -> None:
    attack = create("attack", f"textattack:{recipe}")
    first = records(attack, Counting(), TEXTS, seed=3)
    assert not [record.error for record in first if record.error]
    assert any(record.outcome == "success" for record in first)
    assert all(record.rejected_successes == 0 for record in first)
    again = records(attack, KeywordVictim(), TEXTS[::-1], seed=3)[::-1]
    assert [(r.adversarial, r.queries) for r in first] == [(r.adversarial, r.queries) for r in again]
    assert attack.threat == create("attack", recipe).threat
    assert threads() == 0


@needs.textattack
@pytest.mark.usefixtures("nltk_data")
@pytest.mark.parametrize("recipe", ["bad-characters", "leap"])
def test_textattack_recipes_that_draw(recipe: str) -> None:
    """Populations: the same seed gives the same text, whatever came before."""
    attack = create("attack", f"textattack:{recipe}")
    texts = ["good films", "the film is great"]
    first = records(attack, Counting(), texts, seed=3, max_queries=400)
    assert not [record.error for record in first if record.error]
    assert any(record.outcome == "success" for record in first)
    again = records(attack, Counting(), texts[::-1], seed=3, max_queries=400)[::-1]
    assert [(r.adversarial, r.queries) for r in first] == [(r.adversarial, r.queries) for r in again]


@needs.textattack
@pytest.mark.usefixtures("nltk_data")
def test_textattack_keeps_the_budget() -> None:
    for record in records(create("attack", "textattack:pruthi"), KeywordVictim(), TEXTS, max_queries=7):
        assert record.queries <= 7
    assert threads() == 0


@needs.textattack
@pytest.mark.usefixtures("nltk_data")
def test_textattack_meets_more_than_two_classes() -> None:
    victim = Counting(keywords=(("bad",), ("good", "great", "fine"), ("dull",)), label_names=("a", "b", "c"))
    found = records(create("attack", "textattack:deepwordbug"), victim, TEXTS)
    assert {record.outcome for record in found} <= {"success", "failed"}
    assert any(record.outcome == "success" for record in found)


@given(
    rows=st.lists(
        st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3).filter(lambda row: sum(row) > 0.1),
        min_size=1,
        max_size=5,
    ),
    label=st.integers(0, 2),
)
def test_rows_sum_to_one_and_keep_the_score(rows: list[list[float]], label: int) -> None:
    outputs = [[value / sum(row) for value in row] for row in rows]
    scores = [round(1 - row[label], 5) for row in outputs]
    made = textattack_adapter._probabilities(Scores(scores, [False] * len(rows), outputs), scores, label)
    assert made.dtype == torch.float64
    assert torch.allclose(made.sum(dim=1), torch.ones(len(rows), dtype=torch.float64), atol=1e-9, rtol=0)
    kept = [score if sum(row) - row[label] > 1e-6 else 0.0 for score, row in zip(scores, outputs, strict=True)]
    assert np.allclose(1 - made[:, label].numpy(), kept, atol=1e-9)


def test_textattack_wants_scores() -> None:
    with pytest.raises(UsageError, match="knowledge 'score'"):
        textattack_adapter._probabilities(Scores([1.0], [False], None), [1.0], 0)


@needs.textattack
def test_textattack_names() -> None:
    assert create("attack", "textattack:bert_attack") == create("attack", "textattack:bert-attack")
    assert create("attack", "textattack:bert_attack").threat == Threat(name="textattack_bert_attack")
    with pytest.raises(UsageError, match="did you mean 'deepwordbug'"):
        create("attack", "textattack:deepwordbgu")
    with pytest.raises(UsageError, match="textattack:RECIPE"):
        create("attack", "textattack")


@needs.textattack
@pytest.mark.usefixtures("nltk_data")
@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("hotflip", "cannot be set up"),
    ],
)
def test_textattack_recipes_that_cannot_serve(recipe: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as problem:
        records(create("attack", f"textattack:{recipe}"), KeywordVictim(), TEXTS)
    assert "\n" not in str(problem.value)


def raising(problem: Exception) -> Callable[..., Any]:
    def build(victim: object) -> None:
        raise problem

    return build


@needs.textattack
@pytest.mark.usefixtures("nltk_data")
@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (ConnectionError("no route"), r"cannot be set up \(no route\); .*connection"),
        (
            LookupError("\n****\n  Resource 'wordnet' not found.\n ..."),
            "NLTK's wordnet; run robustbench-nlp fetch nltk-data",
        ),
    ],
)
def test_textattack_downloads_that_fail(problem: Exception, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    textattack_adapter._built("deepwordbug")
    recipes = sys.modules["textattack.attack_recipes"]
    monkeypatch.setattr(recipes.TextFoolerJin2019, "build", staticmethod(raising(problem)))
    with pytest.raises(UsageError, match=message):
        textattack_adapter._built("textfooler")


def test_textattack_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    textattack_adapter._recipes.cache_clear()
    monkeypatch.setattr(textattack_adapter, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"install robustbench-nlp\[textattack\]"):
        create("attack", "textattack:pwws")
