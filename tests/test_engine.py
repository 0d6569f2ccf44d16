"""The engine and the referee: budgets, credit, duplicates, isolation of errors, determinism."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from random import Random
from typing import Any

import numpy as np
import pytest

from robustbench_nlp.attack import Encode, Gradient, Probe, Sample, Score, Scores, Steps
from robustbench_nlp.data.example import Example
from robustbench_nlp.engine import Engine, attack_examples
from robustbench_nlp.errors import Unreachable, UsageError, VictimError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.helpers import Helpers
from robustbench_nlp.plugins import create
from robustbench_nlp.records import Record
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat, violations

WORDS = ["a", "really", "good", "film", "with", "a", "fine", "cast", "and", "bad", "lighting", "but", "great", "music"]
ANY = Threat(name="any")
TWO_QUERIES = Threat(name="any", max_queries=2)


def examples(n: int, label: int = 1) -> list[Example]:
    return [Example(fields={"text": f"{' '.join(WORDS)} number {i}"}, label=label) for i in range(n)]


def plain(records: Sequence[Record]) -> list[dict[str, Any]]:
    kept = [{key: value for key, value in asdict(record).items() if key != "seconds"} for record in records]
    return sorted(kept, key=lambda record: record["example_id"])


class Recorder:
    """A keyword victim that remembers what it was asked."""

    name = "recorder"
    label_names = ("negative", "positive")
    random = False
    fingerprint = "recorder"

    def __init__(self) -> None:
        self.inner = KeywordVictim()
        self.calls: list[list[Any]] = []

    def predict(self, inputs: Sequence[Any], draw: int = 0) -> Any:
        self.calls.append(list(inputs))
        return self.inner.predict(inputs)


@dataclass(frozen=True, kw_only=True)
class Asks:
    """Yields the given requests as they are and returns the given text."""

    requests: tuple[Any, ...] = ()
    returns: str | None = None
    threat: Threat = ANY
    heard: list[Scores] = field(default_factory=list)

    def run(self, sample: Sample, rng: Random) -> Steps:
        for request in self.requests:
            self.heard.append((yield request))
        return None if self.returns is None else Text(self.returns)


def score(*strings: str, **kwargs: Any) -> Score:
    return Score([Text(string) for string in strings], **kwargs)


GOOD = Example(fields={"text": "a good film"}, label=1)


def one(attack: Any, victim: Any = None, example: Example = GOOD, **kwargs: Any) -> Record:
    (record,) = Engine(attack, victim or KeywordVictim(), name="test", **kwargs).run([example])
    return record


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


def test_a_tie_is_no_clean_answer_and_no_success() -> None:
    tie = Example(fields={"text": "good bad film"}, label=1)
    assert one(Asks(), example=tie).outcome == "skipped"
    assert one(Asks(requests=(score("good bad film"),))).outcome == "failed"


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


def test_a_victim_that_nobody_reaches_is_asked_once() -> None:
    class Dead(Recorder):
        def predict(self, inputs: Sequence[Any], draw: int = 0) -> Any:
            self.calls.append(list(inputs))
            raise Unreachable("no connection")

    victim = Dead()
    records = list(Engine(Asks(), victim).run(examples(30)))
    assert {record.error for record in records} == {"no connection"}
    assert len(victim.calls) == 1
