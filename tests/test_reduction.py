"""Attacks that keep the prediction: what they find, who judges them, and where they don't count."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import nltk_folder
import pandas as pd
import pytest

from robustbench_nlp.api import Run, evaluate
from robustbench_nlp.attacks.input_reduction import InputReduction
from robustbench_nlp.data.example import Example
from robustbench_nlp.engine import Engine
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim, drive, sample_of
from robustbench_nlp.plugins import create
from robustbench_nlp.tasks.classification import KEPT, MARGIN, UNTARGETED
from robustbench_nlp.text import words_of

VICTIM = KeywordVictim()
PAIRS = [("the good film was made for us", 1), ("an awful film in the cinema", 0), ("so it is", 1)] * 2


def go(folder: Path, **more: Any) -> Run:
    settings: dict[str, Any] = {"attacks": ["input_reduction", "pwws", "worst-case"], "similarity": "none"}
    return evaluate(victim=VICTIM, dataset=PAIRS, output=folder, **(settings | more))


def test_the_goals() -> None:
    assert (UNTARGETED.score(0.3), KEPT.score(0.3)) == (0.3, 0.7)
    assert UNTARGETED.met(-2 * MARGIN)
    assert not UNTARGETED.met(0.0)
    assert KEPT.met(2 * MARGIN)
    assert not KEPT.met(0.0)


def test_only_the_keyword_stays() -> None:
    attack = InputReduction()
    text, _ = drive(attack, sample_of(attack, "this is a good movie with actors"), Random(0), VICTIM)
    assert words_of(str(text)) == ["good"]


def test_one_word_stays_and_a_budget_keeps_the_shortest_so_far() -> None:
    attack = InputReduction()
    assert drive(attack, sample_of(attack, "good"), Random(0), VICTIM).text is None
    example = Example(fields={"text": "this is a good movie with actors"}, label=1)
    (record,) = Engine(attack, VICTIM, max_queries=10).run([example])
    assert record.outcome == "success"
    assert len(words_of(str(record.adversarial))) == 5


def test_the_referee_rejects_a_text_that_changed_the_answer() -> None:
    class Liar(KeywordVictim):
        """Alone it asks for every word."""

        def predict_exact(self, inputs: Any) -> Any:
            return self.predict(["bad" if len(words_of(text)) < 4 else text for text in inputs])

    (record,) = Engine(InputReduction(), Liar()).run([Example(fields={"text": "a good film of us"}, label=1)])
    assert record.outcome == "success"
    assert len(words_of(str(record.adversarial))) == 4
    assert record.rejected_successes > 0


def test_tables_show_what_was_left_out_and_no_robustness(tmp_path: Path) -> None:
    run = go(tmp_path)
    table = run.table.set_index("attack")
    row = table.loc["input_reduction"]
    assert (row["mode"], row["successes"]) == ("reduction", row["attempted"])
    assert row["words_changed_mean"] > 3
    assert pd.isna(row["robust_accuracy"])
    assert pd.isna(row["attack_success_rate"])
    assert table.loc["worst_case:pwws", "robust_accuracy"] == table.loc["pwws", "robust_accuracy"]
    assert pd.isna(pd.read_csv(run.folder / "table.csv").set_index("attack").loc["input_reduction", "robust_accuracy"])
    shown = (run.folder / "table.md").read_text()
    assert "Reductions keep the prediction" in shown
    assert "nan" not in shown


def test_a_worst_case_refuses_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="leave it out of a worst case"):
        go(tmp_path, attacks=["worst-case:pwws+input_reduction"])
    with pytest.raises(UsageError, match="set beam to 1 or more"):
        create("attack", "input_reduction(beam=0)")


def test_the_library_reduces_by_the_same_rules(tmp_path: Path) -> None:
    nltk_folder.ensure()
    run = go(tmp_path, attacks=["textattack:input-reduction", "input_reduction(beam=1)", "input_reduction"])
    table = run.table.set_index("attack")
    assert set(table["mode"]) == {"reduction"}
    assert table.loc["textattack:input-reduction", "successes"] > 0
    ours, narrow, theirs = (
        table.loc[name, "words_changed_mean"]
        for name in ("input_reduction", "input_reduction(beam=1)", "textattack:input-reduction")
    )
    assert ours >= narrow >= theirs
