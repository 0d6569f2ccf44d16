"""What a table of defenses says besides: costs, and which attacks a defense learned from."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import lru_cache
from math import isnan, nan
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pytest
import tiny_bert

from robustbench_nlp.api import evaluate
from robustbench_nlp.averaging import Averaged
from robustbench_nlp.costs import costs, note_seconds, seconds_trained
from robustbench_nlp.defense import compose, knows
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.plugins import create
from robustbench_nlp.rewriting import Rewritten
from robustbench_nlp.victim import Probabilities
from robustbench_nlp.victims.hf import HFVictim

PAIRS = [(f"the {word} film number {i}", i % 2) for i, word in enumerate(["awful", "great", "bad", "fine"] * 4)]


class Slow(KeywordVictim):
    added_seconds = 30.0
    forwards_per_prediction = 3


def test_costs_are_relative_to_the_undefended_victim() -> None:
    class Plain(KeywordVictim):
        training_seconds = 10.0

    plain = Plain()
    found = costs(Slow(), plain, ["a", "b"])
    assert (found.train_ratio, found.forwards_per_prediction) == (3.0, 3)
    assert found.latency_ratio > 0
    assert costs(plain, plain, ["a"]) == (0.0, 1, 1.0)
    assert costs(Rewritten(plain, str.lower, []), plain, ["a"]).train_ratio == 0.0
    assert isnan(costs(Slow(), KeywordVictim(), ["a"]).train_ratio)


def test_what_trains_nothing_costs_no_training_even_where_nobody_knows_the_victims() -> None:
    plain = KeywordVictim()
    assert costs(Rewritten(plain, str.lower, []), plain, ["a"]).train_ratio == 0.0
    assert isnan(costs(Rewritten(plain, str.lower, [], seconds=5.0), plain, ["a"]).train_ratio)


def test_what_stands_before_the_victim_was_trained_too() -> None:
    class Plain(KeywordVictim):
        training_seconds = 10.0

    plain = Plain()
    corrected = Rewritten(plain, str.lower, [], seconds=5.0)
    assert costs(corrected, plain, ["a"]).train_ratio == 0.5
    assert costs(Rewritten(corrected, str.upper, []), plain, ["a"]).train_ratio == 0.5
    assert isnan(costs(Rewritten(plain, str.lower, [], seconds=nan), plain, ["a"]).train_ratio)


def test_every_stage_and_every_member_counts() -> None:
    class Plain(KeywordVictim):
        training_seconds = 10.0

    plain = Plain()
    ensemble = Averaged([Slow(), Slow(), plain])
    smoothed = compose("random_deletion(train=False)")(ensemble, [], Random(0))
    assert costs(ensemble, plain, ["a"]).train_ratio == 6.0
    assert costs(smoothed, plain, ["a"]).train_ratio == 6.0
    assert costs(Rewritten(smoothed, str.lower, [], seconds=5.0), plain, ["a"]).train_ratio == 6.5


def test_what_members_share_counts_once() -> None:
    class Furthered(KeywordVictim):
        training_seconds, added_seconds = 10.0, 4.0

    made = compose("ensemble(of=('unicode_normalize',),members=3)")(Furthered(), [], Random(0))
    assert costs(made, Furthered(), ["a"]).train_ratio == 0.4


def test_a_rewriting_that_is_remembered_costs_what_it_costs_once() -> None:
    @lru_cache
    def slow(text: str) -> str:
        time.sleep(0.001)
        return text

    plain = KeywordVictim()
    inputs = [f"a good film {i}" for i in range(40)]
    assert costs(Rewritten(plain, slow, []), plain, inputs).latency_ratio > 5
    assert costs(Rewritten(plain, str.lower, []), plain, []).latency_ratio > 0


def test_the_time_of_an_answer_is_that_of_all_its_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("robustbench_nlp.costs.time.perf_counter", lambda: clock[0])

    class Slow(KeywordVictim):
        def predict(self, inputs: Sequence[Any], draw: int = 0) -> Probabilities:
            clock[0] += len(inputs)
            return super().predict(inputs, draw)

    plain, drawn = Slow(), Slow(random=True)
    inputs = [f"a good film {i}" for i in range(40)]
    assert costs(drawn, plain, inputs).latency_ratio == pytest.approx(1)
    assert costs(drawn, plain, inputs, draws=20).latency_ratio == pytest.approx(20)
    assert costs(drawn, Slow(random=True), inputs, draws=20).latency_ratio == pytest.approx(1)
    assert costs(plain, drawn, inputs, draws=20).latency_ratio == pytest.approx(1 / 20)
    settings: dict[str, Any] = {"dataset": PAIRS, "similarity": "none", "attacks": "random_typos", "draws": 10}
    run = evaluate(victim=plain, defenses="random_deletion(samples=1,train=False)", output=tmp_path, **settings)
    assert run.table["latency_ratio"].item() > 4
    told = "a prediction averages 10 draws, a query each, of which each reads 1 text, and takes"
    assert told in (run.folder / "table.md").read_text("utf-8")


def test_seconds_of_training_are_read_beside_the_weights(tmp_path: Path) -> None:
    folder = tiny_bert.save(tmp_path)
    assert isnan(HFVictim.from_folder(folder, name="tiny").training_seconds)
    (folder / "training.json").write_text(json.dumps({"seconds": 12.5}))
    assert HFVictim.from_folder(folder, name="tiny").training_seconds == 12.5
    note_seconds(folder, 1.5)
    assert seconds_trained(folder) == 1.5
    (folder / "training.json").write_text("torn")
    assert isnan(seconds_trained(folder))


@pytest.mark.parametrize(
    ("defense", "attack", "known"),
    [
        ("adversarial_training(attacks=('pwws(variant=\"textattack\")',))", "pwws", True),
        ("adversarial_training(attacks=('deepwordbug',))", "standard-1/deepwordbug", True),
        ("adversarial_training(attacks=('deepwordbug',))", "pwws", False),
        ("adversarial_training(attacks=('pwws',))", "textbugger", True),
        ("safer", "textfooler", True),
        ("safer(train=False)", "textfooler", True),
        ("mask_purify", "bae", True),
        ("typo_augmentation", "noise:swap_chars(severity=5)", True),
        ("typo_augmentation", "noise:swap_words", False),
        ("word_recognition", "noise:keyboard(layout='de')", True),
        ("typo_augmentation", "deepwordbug", False),
        ("typo_augmentation", "deepwordbug(variant='textattack')", True),
        ("robust_encodings", "standard-1/pruthi", True),
        ("vote(kinds=('case',))", "random_typos", False),
        ("word_dropout", "noise:drop_words", True),
        ("consistency(noises='drop')", "noise:drop_words", True),
        ("adversarial_training(attacks=\"deepwordbug(edit='swap')\")", "noise:swap_chars", True),
        ("frequency_guided", "pwws", True),
        ("synonym_augmentation", "pwws", True),
        ("synonym_augmentation", "textfooler", False),
        ("consistency", "pwws", True),
        ("consistency", "stress_test", False),
        ("consistency(noises=('drop', 'tautology'))", "stress_test", True),
        ("consistency(noises=('drop', 'tautology'))", "pwws", False),
        ("consistency(noises=('drop',))", "bae", False),
        ("consistency(noises=('drop',),aim=0.1)", "bae", True),
        ("unicode_normalize+ascc", "textfooler", True),
        ("unicode_normalize", "bad_characters:homoglyphs", True),
        ("unicode_normalize", "bad_characters:reorderings", True),
        ("unicode_normalize", "bad_characters:deletions", False),
        ("unicode_normalize", "reorder", False),
        ("unicode_normalize", "viper", False),
        ("unicode_normalize", "viper(space='homoglyphs')", True),
        ("unicode_normalize", "textbugger", True),
        ("spell", "noise:keyboard", False),
        ("freelb", "pwws", False),
        ("none", "pwws", False),
    ],
)
def test_known_and_held_out_attacks(defense: str, attack: str, known: bool) -> None:
    assert knows(compose(defense), attack, create("attack", attack.rpartition("/")[2])) is known


def test_a_table_of_defenses_has_the_columns_and_marks(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "dataset": PAIRS,
        "similarity": "none",
        "attacks": ["bad_characters:homoglyphs", "worst-case"],
    }
    run = evaluate(victim=KeywordVictim(), defenses=["none", "unicode_normalize"], output=tmp_path / "a", **settings)
    table = pd.read_csv(run.folder / "table.csv").set_index(["defense", "attack"])
    assert list(table.columns[-5:]) == ["train_ratio", "forwards_per_prediction", "latency_ratio", "draws", "known"]
    assert table["known"].sum() == 2  # and the worst case of it
    assert table.loc[("unicode_normalize", "bad_characters:homoglyphs"), "known"]
    shown = (run.folder / "table.md").read_text()
    assert "homoglyphs †" in shown
    assert "no training" in shown or "training time unknown" in shown
    alone = evaluate(victim=KeywordVictim(), output=tmp_path / "b", **settings)
    assert "known" not in alone.table
