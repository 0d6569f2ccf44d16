"""Attacks that keep the prediction: what they find, who judges them, and where they don't count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import needs
import nltk_folder
import pandas as pd
import pytest
import tiny_bert
from hypothesis import given
from hypothesis import strategies as st

from robustbench_nlp.api import Run, evaluate
from robustbench_nlp.attack import Sample, Score, Steps
from robustbench_nlp.attacks.input_reduction import InputReduction
from robustbench_nlp.data.example import Example
from robustbench_nlp.engine import Engine
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim, drive, sample_of
from robustbench_nlp.plugins import create
from robustbench_nlp.report.shown import summary
from robustbench_nlp.report.table import row, table
from robustbench_nlp.tasks.classification import KEPT, MARGIN, UNTARGETED
from robustbench_nlp.text import Text, words_of
from robustbench_nlp.threat import violations
from robustbench_nlp.victim import VictimOptions
from robustbench_nlp.victims.hf import HFVictim

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
    assert "2 of 2 texts reduced, 1.0 words left on average" in shown
    assert run.table.set_index("attack")["words_left_mean"].notna().to_dict() == {
        "input_reduction": True,
        "pwws": False,
        "worst_case:pwws": False,
    }
    assert "none × input_reduction: clean 66.7 %, 2 of 2 texts reduced, 1.0 words left on average" in summary(run.table)
    assert "nan" not in shown


def test_what_needs_all_its_words_keeps_them_in_the_mean(tmp_path: Path) -> None:
    run = evaluate(
        victim=VICTIM,
        dataset=[("good", 1), ("a fine old film", 1), ("so it is", 1)],
        attacks=["input_reduction(threat={'max_words_changed': 1})"],
        similarity="none",
        output=tmp_path,
    )
    (line,) = run.table.to_dict("records")
    assert (line["attempted"], line["successes"], line["words_changed_mean"]) == (2, 1, 1.0)
    assert line["words_left_mean"] == (1 + 3) / 2
    unattempted = row({"mode": "reduction", "defense": "none", "attack": "input_reduction"}, [])
    assert summary(table([unattempted])) == ["none × input_reduction: clean - %, 0 of 0 texts reduced"]


def test_a_worst_case_refuses_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="leave it out of a worst case"):
        go(tmp_path, attacks=["worst-case:pwws+input_reduction"])
    with pytest.raises(UsageError, match="set beam to 1 or more"):
        create("attack", "input_reduction(beam=0)")


@needs.textattack
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


WORDS = st.lists(st.sampled_from(["good", "fine", "the", "a", "it's"]), min_size=1, max_size=8)


@given(WORDS, st.data())
def test_a_deletion_is_told_from_the_two_strings(words: list[str], data: st.DataObject) -> None:
    text, threat = Text(" ".join(words)), InputReduction().threat
    numbers = data.draw(st.permutations(range(len(words))))[1:]
    shorter = text.delete(*numbers)
    assert not violations(threat, str(text), str(shorter))
    assert str(shorter) == " ".join(word for number, word in enumerate(words) if number not in numbers)
    for other in ("", "…", f"{text} more", str(text.swap(0, "else")), "new"):
        assert violations(threat, str(text), other)


def test_the_referee_holds_it_to_deletions() -> None:
    class Cheat(InputReduction):
        def run(self, sample: Sample, rng: Random) -> Steps:
            yield Score([Text("good"), Text("great"), Text("good good")])
            return Text("great")

    (record,) = Engine(Cheat(), VICTIM).run([Example(fields={"text": "a good film"}, label=1)])
    assert (record.outcome, record.adversarial, record.rejected_successes) == ("success", "good", 2)


@pytest.mark.parametrize("selector", ["input_reduction(ranking='gradient')", "input_reduction(beam=1)"])
def test_other_searches_end_at_the_keyword_too(selector: str) -> None:
    attack = create("attack", selector)
    text, _ = drive(attack, sample_of(attack, "this is a good movie with actors"), Random(0), VICTIM)
    assert str(text) == "good"


def test_gradients_spare_queries() -> None:
    attack, white = InputReduction(), InputReduction(ranking="gradient")
    assert (white.threat.name, white.threat.knowledge) == ("deletion_gradient", "gradient")
    string = "this is a good movie with actors who do what they can in it"
    few, many = (drive(one, sample_of(one, string), Random(0), VICTIM).queries for one in (white, attack))
    assert few < many


def test_gradients_of_a_transformer(tmp_path: Path) -> None:
    victim = HFVictim.from_folder(tiny_bert.save(tmp_path), VictimOptions(device="cpu"), name="tiny")
    texts = ["the good film b", "abc the bad film (good)", "good " * 20, "film", ""]
    labels = victim.predict(texts).argmax(axis=1).tolist()
    examples = [Example(fields={"text": text}, label=label) for text, label in zip(texts, labels, strict=True)]
    attack = InputReduction(ranking="gradient")
    records = {str(record.original): record for record in Engine(attack, victim).run(examples)}
    assert not [record.error for record in records.values() if record.error]
    assert [records[text].outcome for text in texts[3:]] == ["failed", "failed"]
    assert any(record.outcome == "success" for record in records.values())
    for record in records.values():
        if record.outcome == "success":
            assert record.adversarial_prediction == record.label
            assert not violations(attack.threat, str(record.original), str(record.adversarial))


def test_the_librarys_pass_skips_what_its_numbers_miss() -> None:
    attack = InputReduction(variant="textattack")
    text, queries = drive(attack, sample_of(attack, "so it is good"), Random(0), VICTIM)
    assert str(text) == "it good"  # word 0, then word 1 of three, and none is left at number 2
    assert queries == 1 + 4 + 2


def test_the_referee_is_asked_for_one_text_a_step() -> None:
    asked: list[str] = []

    class Counting(KeywordVictim):
        def predict_exact(self, inputs: Any) -> Any:
            asked.extend(inputs)
            return self.predict(inputs)

    (record,) = Engine(InputReduction(), Counting()).run([Example(fields={"text": "a good film of us"}, label=1)])
    assert record.adversarial == "good"
    assert len(asked) == 4


def test_a_decision_is_enough() -> None:
    attack = InputReduction(threat=replace(InputReduction().threat, knowledge="decision"))
    (record,) = Engine(attack, VICTIM).run([Example(fields={"text": "a good film of us"}, label=1)])
    assert record.adversarial == "good"
