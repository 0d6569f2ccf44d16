"""Detectors: thresholds, what rejection gives, and two that tell planted attacks from clean texts."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scripted import Asks, one, score

from robustbench_nlp.api import evaluate
from robustbench_nlp.certificates import Certificate, Certified
from robustbench_nlp.data.example import Example
from robustbench_nlp.defense import compose, defend, rehearse
from robustbench_nlp.defenses.density import Density
from robustbench_nlp.defenses.frequency_guided import FrequencyGuided
from robustbench_nlp.detection import COLUMNS, Detecting, Watched, rejection, threshold
from robustbench_nlp.encoder import embedded_folder
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.plugins import create
from robustbench_nlp.records import Record
from robustbench_nlp.victim import Victim

VICTIM = KeywordVictim(keywords=(("bad", "awful", "terrible"), ("good", "great", "wonderful")))
TRAIN = [
    Example(fields={"text": f"{a} {b} film number {i % 7}"}, label=label)
    for i in range(60)
    for a, b, label in (("a good", "great", 1), ("a bad", "awful", 0))
]


def watched(values: dict[str, float], at: float) -> Watched:
    return Watched(VICTIM, lambda items: np.array([values[str(i)] for i in items], np.float32), at, ["fake"])


def record(name: str, outcome: Any, adversarial: str | None = None) -> Record:
    return Record(example_id=name, label=1, original=name, outcome=outcome, adversarial=adversarial)


def test_a_threshold_keeps_its_promise_on_the_texts_it_was_chosen_on() -> None:
    values = np.arange(10, dtype=np.float32)
    for share in (0.0, 0.1, 0.25, 1.0):
        assert (values >= threshold(values, share)).mean() <= share
    assert (values >= threshold(values, 0.2)).mean() == pytest.approx(0.2, abs=0.11)
    assert threshold(np.zeros(0, np.float32), 0.1) == float("inf")


def test_what_rejection_gives_by_hand() -> None:
    victim = watched({"a": 0.1, "b": 0.9, "c": 0.2, "d": 0.0, "A": 0.8, "B": 0.95, "C": 0.3}, 0.5)
    records = [record("a", "success", "A"), record("b", "success", "B"), record("c", "success", "C")]
    records += [record("d", "failed", "x"), record("e", "skipped")]
    found = rejection(victim, records)
    assert found["detected"] == pytest.approx(2 / 3)
    assert found["false_alarms"] == pytest.approx(1 / 4)
    assert found["robust_with_rejection"] == pytest.approx(
        2 / 5
    )  # a is caught, d stands; b was rejected clean, c is missed
    assert found["detection_auroc"] == pytest.approx(10 / 12)
    assert isnan(rejection(victim, [record("d", "failed")])["detected"])


def test_under_several_attacks_every_success_has_to_be_caught() -> None:
    victim = watched({"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.9, "A": 0.8, "B": 0.7, "A2": 0.4}, 0.5)
    first = [record("a", "success", "A"), record("b", "success", "B"), record("c", "failed"), record("d", "failed")]
    second = [record("a", "success", "A2"), record("b", "failed"), record("c", "error"), record("d", "failed")]
    found = rejection(victim, first, second)
    assert found["detected"] == pytest.approx(2 / 3)
    assert found["false_alarms"] == pytest.approx(1 / 4)
    assert found["robust_with_rejection"] == pytest.approx(1 / 4)  # b: a passes once, c may have, d is rejected clean
    assert rejection(victim, first)["robust_with_rejection"] == pytest.approx(3 / 4)


def test_what_it_watches_keeps_its_capabilities() -> None:
    class Capable(KeywordVictim):
        forwards_per_prediction, added_seconds = 4, 1.5
        certified_edits = "none"

        def predict_apart(self, inputs: Any) -> Any:
            return [self.predict([item]) for item in inputs]

        def certify(self, item: Any, sampling: Any = None) -> Any:
            return Certificate(1, 2)

        def edits(self, original: Any, changed: Any) -> int | None:
            return None

    victim = Watched(Capable(), lambda items: np.zeros(len(items), np.float32), 0.5, ["fake"])
    assert (victim.forwards_per_prediction, victim.added_seconds) == (4, 1.5)
    assert len(victim.predict_apart(["a", "b"])) == 2
    assert isinstance(victim, Certified)
    assert victim.certify("a").radius == 2


def test_a_rewriting_before_a_detector_shows_it_what_it_reads() -> None:
    detector = "frequency_guided(candidates=('wordnet',),rare=0.0)"
    alone, behind = (defend(VICTIM, selector, TRAIN, 0) for selector in (detector, f"unicode_normalize+{detector}"))
    assert isinstance(alone, Detecting)
    assert isinstance(behind, Detecting)
    assert behind.threshold == alone.threshold
    plain, odd = "a tremendous film", "a tre\u200bmendous film"
    assert behind.suspicion([plain, odd]).tolist() == alone.suspicion([plain, plain]).tolist()
    assert alone.suspicion([odd]) != alone.suspicion([plain])


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("vote+frequency_guided", "vote hides the detector behind it; name the detector before vote"),
        ("unicode_normalize+ranmask(train=False)+frequency_guided", "ranmask hides the detector"),
        ("frequency_guided+frequency_guided(rare=0.1)", "two detectors watch keywords"),
        ("ensemble(of=('frequency_guided',))", r"before it: frequency_guided\+ensemble"),
    ],
)
def test_no_detector_is_hidden(selector: str, message: str) -> None:
    for made in (
        lambda: rehearse(compose(selector), VICTIM, TRAIN),
        lambda: defend(VICTIM, selector, TRAIN, 0),
        lambda: compose(selector)(VICTIM, TRAIN, Random(0)),
    ):
        with pytest.raises(UsageError, match=message) as told:
            made()
        assert "\n" not in str(told.value)


def test_rare_words_that_hide_a_frequent_synonym_are_suspicious() -> None:
    victim = FrequencyGuided(candidates=("wordnet",), rare=0.0)(VICTIM, TRAIN, Random(0))
    assert isinstance(victim, Detecting)
    fooling = "a tremendous film"  # wordnet: great
    clean = "a great film"
    suspicion = victim.suspicion([clean, fooling])
    assert suspicion[0] == 0
    np.testing.assert_array_equal(victim.predict([clean]), VICTIM.predict([clean]))
    assert victim.fingerprint != VICTIM.fingerprint
    with pytest.raises(UsageError, match="there is none"):
        FrequencyGuided()(VICTIM, [], Random(0))


@pytest.mark.skipif(embedded_folder() is None, reason="the embedded encoder is an extra")
def test_texts_of_another_kind_lie_far_from_the_training_split() -> None:
    victim = Density(dimensions=8, sample=100)(VICTIM, TRAIN, Random(0))
    assert isinstance(victim, Detecting)
    near, far = victim.suspicion(["a good great film number 3", "zxq 9931 ∆∆ wonderful tax form"])
    assert far > near
    assert far >= victim.threshold


def test_a_table_tells_what_rejection_gives(tmp_path: Path) -> None:
    pairs = [(example.fields["text"], example.label) for example in TRAIN[:12]]
    (tmp_path / "train.csv").write_text(
        "text,label\n" + "\n".join(f"{e.fields['text']},{VICTIM.label_names[e.label]}" for e in TRAIN), "utf-8"
    )
    run = evaluate(
        victim=VICTIM,
        dataset=list(dict.fromkeys(pairs)),
        train=f"csv:{tmp_path / 'train.csv'}",
        defenses=["none", "frequency_guided"],
        attacks=["pwws", "worst-case"],
        similarity="none",
        output=tmp_path / "run",
    )
    table = pd.read_csv(run.folder / "table.csv").set_index(["defense", "attack"])
    assert set(COLUMNS) <= set(table.columns)
    assert table.loc[("none", "pwws"), list(COLUMNS)].isna().all()
    assert 0 <= table.loc[("frequency_guided", "pwws"), "robust_with_rejection"] <= 1
    assert table.loc[("frequency_guided", "pwws"), "robust_accuracy"] == table.loc[("none", "pwws"), "robust_accuracy"]
    worst = table.loc[("frequency_guided", "worst_case:pwws"), list(COLUMNS)]
    pd.testing.assert_series_equal(worst, table.loc[("frequency_guided", "pwws"), list(COLUMNS)], check_names=False)
    page = (run.folder / "table.md").read_text().replace("\\", "")
    assert "frequency_guided × worst case: detects" in page
    assert "The attack didn't know of the detector" in page
    short = run.folder.parent / "short"
    cascade = {"attacks": ["worst-case:pwws"], "defenses": ["frequency_guided"], "similarity": "none", "output": short}
    made = evaluate(victim=VICTIM, dataset=list(dict.fromkeys(pairs)), train=f"csv:{tmp_path / 'train.csv'}", **cascade)
    assert made.table["robust_with_rejection"].isna().tolist() == [False, True]


@pytest.mark.parametrize("before", ["", "unicode_normalize"])
def test_attacks_go_on_until_they_pass_a_detector_that_is_evaded(before: str) -> None:
    """What is rejected is no success, and the search goes on to one that isn't; where all are, none is left."""

    def attacked(evaded: bool, *suspected: str) -> Record:
        suspicion = lambda items: np.array([float(str(item) in suspected) for item in items], np.float32)  # noqa: E731
        victim: Victim = Watched(VICTIM, suspicion, 0.5, ["fake"], evaded=evaded)
        victim = compose(before)(victim, [], Random(0)) if before else victim
        assert getattr(victim, "evaded", None) is evaded
        return one(Asks(requests=(score("a bad film"), score("an awful film")), returns="a bad film"), victim)

    assert attacked(False, "a bad film").adversarial == "a bad film"
    passed = attacked(True, "a bad film")
    assert (passed.outcome, passed.adversarial, passed.rejected_successes) == ("success", "an awful film", 1)
    assert attacked(True, "a bad film", "an awful film").outcome == "failed"


def test_an_evaded_detector_is_another_victim_and_its_table_says_so(tmp_path: Path) -> None:
    plain, evaded = (create("defense", f"density{how}")(VICTIM, TRAIN, Random(0)) for how in ("", "(evaded=True)"))
    assert plain.fingerprint != evaded.fingerprint
    train = tmp_path / "train.csv"
    train.write_text(
        "text,label\n" + "\n".join(f"{e.fields['text']},{VICTIM.label_names[e.label]}" for e in TRAIN), "utf-8"
    )
    run = evaluate(
        victim=VICTIM,
        dataset=[(example.fields["text"], example.label) for example in TRAIN[:4]],
        train=f"csv:{train}",
        defenses=["density(evaded=True)"],
        attacks=["pwws"],
        similarity="none",
        output=tmp_path / "run",
    )
    assert (run.table["evaded"].dropna() == 1).all()
    assert "Only what passes the detector is a success" in (run.folder / "table.md").read_text()


@pytest.mark.parametrize("selector", ["frequency_guided(rare=2)", "density(dimensions=0)", "density(false_alarms=-1)"])
def test_bad_settings_are_told_in_one_line(selector: str) -> None:
    with pytest.raises(UsageError) as told:
        create("defense", selector)
    assert "\n" not in str(told.value)
