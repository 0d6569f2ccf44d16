"""Parity: our attacks beside the real TextAttack library, on the same victim, examples, engine and referee.

Where an attack has a variant of TextAttack's, it is held against the library's recipe; the others against the library's
parts with our resources. `docs/parity.md` explains what differs; `benchmarks/parity.py` compares and prints the figures.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import needs
import nltk_folder
import pytest
import tiny_bert

from robustbench_nlp.attacks.checklist import reworded
from robustbench_nlp.attacks.textattack import silent
from robustbench_nlp.data import load_dataset
from robustbench_nlp.plugins import create
from robustbench_nlp.text import Text
from robustbench_nlp.victim import Victim, VictimOptions, open_victim

pytestmark = needs.textattack


@pytest.fixture(scope="module", autouse=True)
def parity() -> ModuleType:
    """The benchmark's module; it imports TextAttack."""
    nltk_folder.ensure()
    with silent():
        import parity

    return parity


@pytest.fixture(scope="module")
def tfidf() -> Victim:
    return open_victim("tfidf-mr", VictimOptions())


@pytest.fixture(scope="module")
def minilm() -> Victim:
    return open_victim("minilm-mr", VictimOptions(device="cpu"))


def compared(parity: ModuleType, selector: str, victim: Victim, limit: int, seeds: int = 1) -> Any:
    return parity.compare(create("attack", selector), victim, load_dataset("mr", "test").head(limit), seeds)


def check_pwws(parity: ModuleType, victim: Victim, limit: int) -> None:
    made = compared(parity, "pwws(variant='textattack')", victim, limit)
    assert len(made.different) <= limit // 100, made.different
    assert made.same_texts >= 0.95 * len(made.successes)
    assert made.query_ratio == pytest.approx(1, abs=0.05)


def check_rates(made: Any, points: float, queries: tuple[float, float]) -> None:
    """Equivalence, not absence of evidence: the 90 % interval of the paired difference in success lies within ± `points`."""
    low, high = made.difference
    assert -points <= 100 * low <= 100 * high <= points
    assert queries[0] <= made.query_ratio <= queries[1]


# The variants of TextAttack's algorithm and the library's recipes


def test_pwws_on_tfidf(parity: ModuleType, tfidf: Victim) -> None:
    check_pwws(parity, tfidf, 40)


@pytest.mark.slow
def test_pwws_on_minilm(parity: ModuleType, minilm: Victim) -> None:
    check_pwws(parity, minilm, 100)


@pytest.mark.slow
@pytest.mark.parametrize(("attack", "queries_within"), [("deepwordbug", 0.05), ("pruthi", 0.12)])
def test_random_attacks_on_tfidf(attack: str, queries_within: float, parity: ModuleType, tfidf: Victim) -> None:
    made = compared(parity, f"{attack}(variant='textattack')", tfidf, 200, seeds=3)
    check_rates(made, 5, (1 - queries_within, 1 + queries_within))


@pytest.mark.slow
def test_deepwordbug_on_minilm(parity: ModuleType, minilm: Victim) -> None:
    check_rates(compared(parity, "deepwordbug(variant='textattack')", minilm, 200, seeds=3), 5, (0.95, 1.05))


# The library's parts with our resources


def test_textfooler_on_tfidf(parity: ModuleType, tfidf: Victim) -> None:
    made = compared(parity, "textfooler(verb_noun_swap=True,k=10)", tfidf, 10)
    assert not made.different
    assert made.query_ratio == pytest.approx(1, abs=0.05)


def test_bae_on_tfidf(parity: ModuleType, tfidf: Victim, tmp_path: Path) -> None:
    letters = [
        token for token in tiny_bert.VOCABULARY if not token.isdigit()
    ]  # the library drops numbers after the cut
    model = str(tiny_bert.save(tmp_path, masked=True, length=512, vocabulary=letters))
    made = compared(parity, f"bae(min_cosine=0.7,k=10,model={model!r})", tfidf, 10)
    assert not made.different
    assert made.query_ratio == pytest.approx(1, abs=0.05)


def test_contractions_of_the_library_are_among_ours() -> None:
    import injected
    from textattack.shared import AttackedText

    theirs = injected.CompositeTransformation([injected.WordSwapExtend(), injected.WordSwapContract()])
    asked = found = 0
    for example in load_dataset("mr", "test").head(300):
        text = Text(example.input)
        ours = {str(new) for number in range(len(text)) for new in reworded(text, number, Random(0), 1)}
        for new in theirs(AttackedText(example.input)):
            asked += 1
            found += new.text in ours
    assert asked >= 100
    assert found >= 0.99 * asked


def test_checklist_on_tfidf(parity: ModuleType, tfidf: Victim) -> None:
    made = compared(parity, "checklist(changes=('contractions',))", tfidf, 100)
    assert len(made.different) <= 1


def test_bad_characters_on_tfidf(parity: ModuleType, tfidf: Victim) -> None:
    made = compared(parity, "bad_characters(kind='invisible',population=20,iterations=3)", tfidf, 12)
    assert len(made.different) <= 2


def test_iga_on_tfidf(parity: ModuleType, tfidf: Victim) -> None:
    made = compared(parity, "iga(candidates='neighbours(5)',population=10,generations=4)", tfidf, 12)
    assert len(made.different) <= 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("selector", "limit", "points", "queries"),
    [
        ("textfooler(verb_noun_swap=True)", 100, 7, (0.95, 1.05)),
        ("bae", 100, 2, (0.95, 1.05)),
        ("bert_attack(k=8)", 60, 10, (0.5, 1.1)),
        ("iga(candidates='neighbours(10)',population=20,generations=10)", 100, 12, (0.2, 0.5)),
        ("checklist(changes=('contractions','numbers'))", 979, 2, (0.9, 1.1)),
        ("bad_characters(kind='homoglyphs',population=40)", 100, 5, (0.2, 0.5)),
        ("bad_characters(kind='invisible',population=40)", 100, 7, (0.2, 0.5)),
        ("bad_characters(kind='deletions',population=40)", 100, 12, (0.2, 0.5)),
    ],
)
def test_parts_on_tfidf(
    selector: str, limit: int, points: float, queries: tuple[float, float], parity: ModuleType, tfidf: Victim
) -> None:
    check_rates(compared(parity, selector, tfidf, limit), points, queries)


@pytest.mark.slow
def test_a2t_on_minilm(parity: ModuleType, minilm: Victim) -> None:
    check_rates(compared(parity, "a2t", minilm, 60), 5, (0.9, 1.1))
