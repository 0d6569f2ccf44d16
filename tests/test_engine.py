"""The engine and the referee: budgets, credit, duplicates, isolation of errors, determinism."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from scripted import ANY, GOOD, WORDS, Asks, Recorder, examples, one, plain, score

from robustbench_nlp.attack import Encode, Probe, Score, Scores
from robustbench_nlp.data.example import Example
from robustbench_nlp.engine import Engine, attack_examples
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.helpers import Helpers
from robustbench_nlp.plugins import create
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat, violations


def test_success_is_confirmed_and_recorded() -> None:
    record = one(Asks(requests=(score("a fine film", "a bad film", "a dull bad film"),)))
    assert (record.outcome, record.adversarial, record.winner) == ("success", "a dull bad film", "test")
    assert (record.queries, record.forwards, record.first_success_query) == (4, 4, 4)
    assert record.words_changed == 2
    assert record.words_total == 3
    assert record.margin is not None
    assert record.margin < 0
    assert (record.clean_prediction, record.adversarial_prediction) == (1, 0)


def test_best_success_is_confirmed_first_and_all_on_request() -> None:
    for confirm, flags in (("best", [False, True]), ("all", [True, True])):
        attack = Asks(requests=(score("a bad film", "a bad bad film", confirm=confirm),))
        one(attack)
        assert attack.heard[0].success == flags


def test_the_preferred_success_is_confirmed_first_and_alone() -> None:
    texts = [Text(string) for string in ("a bad bad film", "a bad film", "a fine film", "a dull film")]
    attack = Asks(requests=(Score(texts, preference=[0.1, 0.3, 0.4, 0.2]),))
    assert one(attack).adversarial == "a bad film"
    assert attack.heard[0].success == [False, True, False, False]
    with pytest.raises(ValueError, match="4 texts, but 1 number"):
        Score(texts, preference=[0.5])


def test_skipped_when_clean_prediction_is_wrong() -> None:
    record = one(Asks(), example=Example(fields={"text": "a bad film"}, label=1))
    assert (record.outcome, record.queries) == ("skipped", 1)
    assert record.adversarial is None


def test_probes_are_never_credited() -> None:
    attack = Asks(requests=(Probe([Text("a bad film")]),))
    record = one(attack)
    assert attack.heard[0].success == [False]
    assert attack.heard[0].score[0] > 0.5
    assert (record.outcome, record.adversarial, record.queries) == ("failed", "a good film", 2)


def test_a_returned_text_is_judged_even_if_it_was_only_probed() -> None:
    attack = Asks(requests=(Probe([Text("a bad film")]),), returns="a bad film")
    assert one(attack).outcome == "success"


def test_a_returned_text_that_was_never_scored_costs_one_query() -> None:
    record = one(Asks(returns="a bad film"))
    assert (record.outcome, record.queries, record.first_success_query) == ("success", 2, 2)
    assert one(Asks(returns="a fine film")).outcome == "failed"


def test_text_outside_the_threat_is_rejected_and_search_goes_on() -> None:
    narrow = Threat(name="narrow", max_words_changed=1)
    attack = Asks(requests=(score("a bad dull movie"), score("a bad film")), threat=narrow)
    record = one(attack)
    assert [answer.success for answer in attack.heard] == [[False], [True]]
    assert (record.outcome, record.adversarial, record.rejected_successes) == ("success", "a bad film", 1)


class BatchDependent(Recorder):
    """Claims that everything fools it, unless it is asked alone."""

    def predict(self, inputs: Sequence[Any], draw: int = 0) -> Any:
        if len(inputs) == 1:
            return self.inner.predict(inputs)
        return np.tile(np.array([[0.9, 0.1]], dtype=np.float32), (len(inputs), 1))


def test_a_success_that_only_the_batch_saw_is_rejected() -> None:
    attack = Asks(requests=(score("a great film", "a fine film"),))
    record = one(attack, BatchDependent())
    assert (record.outcome, record.rejected_successes) == ("failed", 2)
    assert attack.heard[0].success == [False, False]


@pytest.mark.parametrize(
    ("budget", "queries", "heard"), [(0, 1, 0), (1, 1, 0), (2, 2, 0), (3, 3, 1), (4, 4, 2), (9, 5, 3)]
)
def test_budget_cuts_in_order_and_closes_the_attack(budget: int, queries: int, heard: int) -> None:
    attack = Asks(requests=(score("x good", "y good"), score("z good"), score("w good")))
    record = one(attack, max_queries=budget)
    assert record.queries == queries
    assert record.outcome == "failed"
    assert len(attack.heard) == heard


def test_a_success_within_the_cut_part_counts() -> None:
    record = one(Asks(requests=(score("bad dull film", "x", "y"),)), max_queries=2)
    assert (record.outcome, record.queries) == ("success", 2)


def test_zero_budget_leaves_clean_accuracy() -> None:
    data = [*examples(5), *(Example(fields={"text": f"bad film {i}"}, label=1) for i in range(3))]
    records = list(Engine(create("attack", "deepwordbug"), KeywordVictim(), max_queries=0).run(data))
    assert sorted(record.outcome for record in records) == ["failed"] * 5 + ["skipped"] * 3


def test_more_budget_never_raises_robust_accuracy() -> None:
    attack = create("attack", "pwws(variant='textattack')")
    data = [Example(fields={"text": f"the {w} movie was good and bad {i}"}, label=1) for i, w in enumerate(WORDS)]
    victim = KeywordVictim(keywords=(("bad", "dull"), ("good", "movie")))
    robust = []
    for budget in (1, 5, 20, 80, None):
        records = Engine(attack, victim, max_queries=budget).run(data)
        robust.append(sum(record.outcome == "failed" for record in records))
    assert robust == sorted(robust, reverse=True)
    assert robust[0] > robust[-1]


def test_duplicates_are_predicted_once() -> None:
    victim = Recorder()
    record = one(Asks(requests=(score("x good", "x good", "y good"), score("x good"))), victim)
    assert record.queries == 5
    assert record.forwards == 3
    asked = [item for call in victim.calls for item in call]
    assert len(asked) == len(set(asked)) == 3


def test_the_live_set_is_bounded_and_refilled() -> None:
    victim = Recorder()
    drawn = 0

    def source() -> Any:
        nonlocal drawn
        for example in examples(100):
            drawn += 1
            yield example

    engine = Engine(Asks(requests=(score("x good"),)), victim, live=8)
    for done, _ in enumerate(engine.run(source()), 1):
        assert drawn - done <= 8
    assert done == drawn == 100


@pytest.mark.parametrize("name", ["deepwordbug", "pwws", "random_typos"])
def test_results_depend_on_neither_order_nor_live_set(name: str) -> None:
    attack = create("attack", name)
    data = examples(12)
    expected = plain(list(Engine(attack, KeywordVictim(), seed=3).run(data)))
    for live, order in ((1, data), (5, data[::-1]), (64, data[6:] + data[:6])):
        assert plain(list(Engine(attack, KeywordVictim(), seed=3, live=live).run(order))) == expected


def test_a_tie_is_no_clean_answer_and_no_success() -> None:
    tie = Example(fields={"text": "good bad film"}, label=1)
    assert one(Asks(), example=tie).outcome == "skipped"
    assert one(Asks(requests=(score("good bad film"),))).outcome == "failed"


def test_decision_threat_shows_no_scores() -> None:
    attack = Asks(requests=(score("a bad film", "a fine film"),), threat=replace(ANY, knowledge="decision"))
    one(attack)
    assert attack.heard[0] == Scores([1.0, 0.0], [True, False])


class Coin:
    """A random victim: half of the draws say the opposite on texts with `maybe`."""

    name = "coin"
    label_names = ("negative", "positive")
    random = True
    fingerprint = "coin"

    def predict(self, inputs: Sequence[Any], draw: int = 0) -> Any:
        rows = []
        for text in inputs:
            flip = "maybe" in text and Random(f"{text}{draw}").random() < 0.7
            rows.append([0.9, 0.1] if flip or "bad" in text else [0.1, 0.9])
        return np.array(rows, dtype=np.float32)


def test_under_a_decision_threat_the_nearest_success_is_kept() -> None:
    requests = (score("a bad awful film", confirm="all"), score("a bad film", confirm="all"))
    seeing, blind = (Asks(requests=requests, threat=replace(ANY, knowledge=k)) for k in ("score", "decision"))
    assert one(seeing).adversarial == "a bad awful film"
    assert one(blind).adversarial == "a bad film"


def test_draws_of_a_random_victim_are_averaged_and_counted() -> None:
    attack = Asks(requests=(score("maybe good"),))
    record = one(attack, Coin(), draws=40)
    assert record.queries == 80
    assert 0.5 < attack.heard[0].score[0] < 0.85
    assert record.outcome == "success"


def test_words_that_the_victim_cuts_off_are_not_attackable() -> None:
    class Short(Recorder):
        def truncate(self, string: str) -> str:
            return string[:12]

    example = Example(fields={"text": "a good film that nobody reads to the end"}, label=1)
    (record,) = Engine(create("attack", "random_typos"), Short()).run([example])
    assert record.truncated
    assert record.adversarial is not None
    assert str(record.adversarial).endswith(" that nobody reads to the end")


def test_attack_examples_gives_strings_or_none_in_order() -> None:
    data = [GOOD, Example(fields={"text": "bad"}, label=1), *examples(2)]
    found = attack_examples(Asks(requests=(score("a bad film"),)), KeywordVictim(), data, seed=0)
    assert found == ["a bad film", None, "a bad film", "a bad film"]


def test_attack_examples_gives_what_a_failed_attack_came_to() -> None:
    found = attack_examples(Asks(requests=(score("a good bad film"),)), KeywordVictim(), [GOOD], seed=0)
    assert found == ["a good bad film"]
    assert attack_examples(Asks(requests=()), KeywordVictim(), [GOOD], seed=0) == [None]


def test_every_credited_success_verifies() -> None:
    attack, victim = create("attack", "pwws(variant='textattack')"), KeywordVictim()
    data = [Example(fields={"text": f"a good {w} film of {i}"}, label=1) for i, w in enumerate(WORDS)]
    for record in Engine(attack, victim).run(data):
        if record.outcome == "success":
            assert victim.predict([str(record.adversarial)])[0].argmax() != record.label
            assert not violations(attack.threat, str(record.original), str(record.adversarial))


def test_similarity_is_measured_for_successes_only() -> None:
    def encode(texts: Sequence[str]) -> Any:
        return np.array([[1.0, 0.0] if "good" in text else [0.6, 0.8] for text in texts], dtype=np.float32)

    attack = Asks(requests=(score("a bad film"),))
    assert one(attack, helpers=Helpers(given={(Encode, "toy"): encode}), similarity="toy").similarity == pytest.approx(
        0.6
    )
    assert (
        one(
            Asks(requests=(score("a fine film"),)), helpers=Helpers(given={(Encode, "toy"): encode}), similarity="toy"
        ).similarity
        is None
    )
    close = Asks(requests=(score("a bad film"),), threat=replace(ANY, min_similarity=0.9, similarity_model="toy"))
    assert one(close, helpers=Helpers(given={(Encode, "toy"): encode})).outcome == "failed"
