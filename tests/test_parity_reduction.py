"""Parity of input reduction: our TextAttack variant beside the real library, on the same victim and examples.

The library's order of tied words comes from an unstable sort, and which words its pass misses depends on it; with that order
ours leaves the same words after the same queries, with its own order as many.
"""

from __future__ import annotations

from collections.abc import Sequence

import needs
import nltk_folder
import numpy as np
import pytest

from robustbench_nlp.attacks import input_reduction
from robustbench_nlp.data import load_dataset
from robustbench_nlp.engine import Engine
from robustbench_nlp.plugins import create
from robustbench_nlp.records import Record
from robustbench_nlp.stats import mean_difference
from robustbench_nlp.text import words_of
from robustbench_nlp.victim import Victim, VictimOptions, open_victim

pytestmark = needs.textattack

Pairs = list[tuple[Record, Record]]


@pytest.fixture(scope="module")
def tfidf() -> Victim:
    nltk_folder.ensure()
    return open_victim("tfidf-mr", VictimOptions())


def both(victim: Victim, limit: int) -> Pairs:
    """Our record and the library's of each example that was classified right."""
    examples = load_dataset("mr", "test").head(limit)
    sides = []
    for selector in ("input_reduction(variant='textattack')", "textattack:input-reduction"):
        engine = Engine(create("attack", selector), victim)
        sides.append({record.example_id: record for record in engine.run(examples)})
    pairs = [(sides[0][example.id], sides[1][example.id]) for example in examples]
    assert not [record.error for pair in pairs for record in pair if record.error]
    return [pair for pair in pairs if pair[0].outcome != "skipped"]


def left(record: Record) -> int:
    return len(words_of(str(record.adversarial)))


def unstable(values: Sequence[float]) -> list[int]:
    order: list[int] = np.argsort(-np.array(values)).tolist()
    return order


def check_with_the_librarys_ties(pairs: Pairs, most_different: int) -> None:
    """The library's first query repeats the clean prediction; the space that a last word leaves stays there, here it goes."""
    assert all(ours.outcome == theirs.outcome for ours, theirs in pairs)
    different = [
        (ours.adversarial, theirs.adversarial)
        for ours, theirs in pairs
        if words_of(str(ours.adversarial)) != words_of(str(theirs.adversarial)) or ours.queries != theirs.queries - 1
    ]
    assert len(different) <= most_different, different


def test_same_words_and_queries_on_tfidf(tfidf: Victim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_reduction, "descending", unstable)
    check_with_the_librarys_ties(both(tfidf, 40), 1)


@pytest.mark.slow
def test_same_words_and_queries_on_more(tfidf: Victim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_reduction, "descending", unstable)
    check_with_the_librarys_ties(both(tfidf, 200), 6)


@pytest.mark.slow
def test_as_many_words_with_stable_ties(tfidf: Victim) -> None:
    pairs = both(tfidf, 200)
    assert all(ours.outcome == theirs.outcome for ours, theirs in pairs)
    low, high = mean_difference(
        [left(ours) for ours, _ in pairs], [left(theirs) for _, theirs in pairs], confidence=0.90
    )
    assert -0.5 <= low <= high <= 0.5
