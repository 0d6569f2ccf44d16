"""Valid successes: limits rechecked from the two texts, and what they leave, by hand and against the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from math import isnan
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from texts import complaint

import robustbench_nlp as rb
from robustbench_nlp.api import evaluate
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.recorded import Cell
from robustbench_nlp.records import Record
from robustbench_nlp.report.files import written
from robustbench_nlp.report.worst_case import worst_case_row
from robustbench_nlp.validity import COLUMNS, LIMITS, Limit, changes, rechecked

HEADER: dict[str, Any] = {
    "task": "classification",
    "dataset": "films",
    "split": "test",
    "victim": "v",
    "defense": "none",
    "mode": "adaptive",
    "threat": "t@1",
    "max_queries": None,
    "fingerprint": "f",
}
TEN = "one two three four five six seven eight nine ten"


def cell(attack: str, *records: Record) -> Cell:
    return Cell(HEADER | {"attack": attack}, {record.example_id: record for record in records})


def record(identity: str, adversarial: str, similarity: float | None = None, outcome: str = "success") -> Record:
    return Record(
        example_id=identity, label=0, original=TEN, adversarial=adversarial, similarity=similarity, outcome=outcome
    )  # type: ignore[arg-type]


def changed(words: int) -> str:
    return " ".join(["X"] * words + TEN.split()[words:])


ATTACK = cell(
    "a",
    record("close", changed(1), 0.95),
    record("some", changed(2), 0.75),
    record("far", changed(5), 0.5),
    record("held", changed(1), outcome="failed"),
    record("wrong", TEN, outcome="skipped"),
)


def test_by_hand() -> None:
    frame = rechecked([ATTACK]).set_index("limit")
    assert frame["valid"].to_dict() == {
        "raw": 3,
        "similarity ≥ 0.6": 2,
        "similarity ≥ 0.7": 2,
        "similarity ≥ 0.8": 1,
        "similarity ≥ 0.9": 1,
        "words ≤ 40 % or one word": 2,
        "words ≤ 20 % or one word": 2,
        "words ≤ 10 % or one word": 1,
        "similarity ≥ 0.9, words ≤ 10 % or one word": 1,
    }
    strict = frame.loc["words ≤ 20 % or one word"]
    assert (strict["attempted"], strict["n"], strict["successes"]) == (4, 5, 3)
    assert (strict["valid_rate"], strict["robust_accuracy"]) == (0.5, 0.4)
    assert strict["similarity_mean"] == pytest.approx(0.85)
    assert strict["words_share_mean"] == pytest.approx(0.15)
    assert [*rechecked([ATTACK]).columns] == [*COLUMNS]


def test_recorded_numbers_are_not_believed() -> None:
    """A record that says one word of its five changed is counted by its texts."""
    lied = Record(
        example_id="e",
        label=0,
        original=TEN,
        adversarial=changed(5),
        outcome="success",
        words_changed=1,
        words_total=10,
    )
    (row,) = rechecked([cell("a", lied)], [Limit(max_words_share=0.2)]).to_dict("records")
    assert row["valid"] == 0


def test_a_short_text_may_lose_one_word_as_under_a_threat() -> None:
    short = Record(example_id="e", label=0, original="fine film", adversarial="poor film", outcome="success")
    assert rechecked([cell("a", short)], [Limit(max_words_share=0.1)])["valid"].tolist() == [1]


def test_what_was_not_measured_is_unknown_and_no_success() -> None:
    blind = cell("a", record("e", changed(1)), record("f", changed(1)))
    frame = rechecked([blind]).set_index("limit")
    assert isnan(frame["robust_accuracy"]["similarity ≥ 0.6"])
    assert frame["unknown"]["similarity ≥ 0.6"] == 2
    assert frame["robust_accuracy"]["words ≤ 10 % or one word"] == 0
    half = cell("a", record("e", changed(1)), record("f", changed(1), 0.95))
    row = rechecked([half]).set_index("limit").loc["similarity ≥ 0.9"]
    assert (row["unknown"], row["valid"], row["robust_accuracy"]) == (1, 1, 0.5)


def test_a_worst_case_asks_every_member_for_a_valid_success() -> None:
    """The first member's success hides the second's, which alone is valid."""
    first, second = cell("a", record("e", changed(9), 0.1)), cell("b", record("e", changed(1), 0.95))
    header, records = worst_case_row([(c.header, c.records) for c in (first, second)])
    merged = records["e"]
    assert merged.adversarial == changed(9)
    worst = Cell(header, {"e": merged}, (first, second))
    assert (rechecked([worst])["valid"] == 1).all()


def allowed(limit: Limit, found: Record) -> bool:
    """Of one success, whether it is known to keep a limit."""
    if found.adversarial is None:
        return False
    moved = changes(found.original, found.adversarial)
    share = 1 if limit.max_words_share is None else limit.max_words_share
    if moved.words_changed > max(1, share * moved.words_total):
        return False
    return limit.min_similarity is None or (found.similarity or 0) >= limit.min_similarity


def held(records: Mapping[str, Record], limit: Limit) -> dict[str, Record]:
    """The records, were an invalid success a failure."""
    return {
        name: replace(found, outcome="failed") if found.outcome == "success" and not allowed(limit, found) else found
        for name, found in records.items()
    }


RECORDS = st.builds(
    Record,
    example_id=st.just(""),
    label=st.integers(0, 1),
    original=st.just(TEN),
    adversarial=st.none() | st.integers(0, 10).map(changed),
    outcome=st.sampled_from(["success", "success", "failed", "skipped", "error"]),
    similarity=st.none() | st.sampled_from([0.5, 0.75, 0.95]),
)


@given(st.lists(st.tuples(RECORDS, RECORDS), min_size=1, max_size=8))
def test_every_row_is_what_one_record_after_another_says(pairs: list[tuple[Record, Record]]) -> None:
    """Worst cases too, put together from held records."""
    sides: tuple[dict[str, Record], ...] = ({}, {})
    for i, pair in enumerate(pairs):
        for side, found in zip(sides, pair, strict=True):
            side[f"{(7 * i) % 16:016x}"] = replace(found, example_id=f"{(7 * i) % 16:016x}", label=pair[0].label)
    one, two = (Cell(HEADER | {"attack": name}, side) for name, side in zip("ab", sides, strict=True))
    worst = Cell(*worst_case_row([(c.header, c.records) for c in (one, two)]), (one, two))
    told = {(row["attack"], row["limit"]): row for row in rechecked([one, two, worst]).to_dict("records")}
    for limit in LIMITS:
        left = [held(side, limit) for side in sides]
        merged = worst_case_row([(c.header, side) for c, side in zip((one, two), left, strict=True)])[1]
        for attack, records in zip(("a", "b", worst.name[1]), (*left, merged), strict=True):
            row = told[attack, str(limit)]
            outcomes = Counter(found.outcome for found in records.values())
            assert (row["n"], row["valid"]) == (len(pairs), outcomes["success"])
            assert row["attempted"] == outcomes["success"] + outcomes["failed"]
            assert row["floor"] == pytest.approx(one.floor())
            valid = [found for found in records.values() if found.outcome == "success"]
            known = [found.similarity for found in valid if found.similarity is not None]
            assert isnan(row["similarity_mean"]) if not known else row["similarity_mean"] == pytest.approx(fmean(known))
            edits = [changes(found.original, found.adversarial or "").edits_chars for found in valid]
            assert (
                isnan(row["edits_chars_mean"]) if not edits else row["edits_chars_mean"] == pytest.approx(fmean(edits))
            )


def test_fields_are_measured_where_they_change() -> None:
    assert changes(("a b c", "d e"), ("a b c", "d f")) == (1, 2, 1)
    assert changes(("a b c", "d e"), ("a b c", "d e")) == (0, 0, 0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pairs = [
        (f"{words} number {i}", 1) for i in range(8) for words in ("a good and great but dull film", "a fine film")
    ]
    settings: dict[str, Any] = {
        "attacks": ["deepwordbug", "pwws", "worst_case", "input_reduction"],
        "similarity": "none",
    }
    return evaluate(victim=KeywordVictim(), dataset=pairs, output=tmp_path_factory.mktemp("run"), **settings).folder


def test_raw_is_the_table_and_stricter_leaves_more(run: Path) -> None:
    frame, table = rb.recheck(run), pd.read_csv(run / "table.csv").set_index("attack")
    assert "input_reduction" not in set(frame["attack"])
    for attack, part in frame.groupby("attack"):
        at = part.set_index("limit")
        assert at["robust_accuracy"]["raw"] == table["robust_accuracy"][attack]
        assert at["valid_rate"]["raw"] == table["attack_success_rate"][attack]
        words = at["valid"][[str(limit) for limit in LIMITS if limit.min_similarity is None]].tolist()
        assert words == sorted(words, reverse=True)
        assert (at["attempted"] == at["attempted"]["raw"]).all()


def test_the_report(run: Path) -> None:
    _, page = written(run, ["valid"])
    text = page.read_text("utf-8")
    assert "a constant answer scores 100.0 %" in text
    assert "count as invalid" in text
    assert text.count("| none | worst case |") == 3
    raw = pd.read_csv(run / "valid.csv").set_index(["attack", "limit"]).loc["pwws", "raw"]
    share = f"-, {100 * raw['words_share_mean']:.1f} % ({raw['valid']:.0f})"  # no similarity was measured
    assert f"| none | pwws | {share} | - |" in text
    assert len(pd.read_csv(run / "valid.csv")) == 3 * len(LIMITS)


def test_a_cascades_last_member_leaves_what_its_worst_case_does(tmp_path: Path) -> None:
    """An invalid success stops a cascade, and yet breaks nothing for the members after it."""
    texts = ("a good and great but dull film", "a good, great and fine but dull film")
    pairs = [(f"{texts[i % 2]} number {i}", 1) for i in range(12)]
    run = evaluate(
        victim=KeywordVictim(), dataset=pairs, attacks="worst-case:fast-1", output=tmp_path, similarity="none"
    )
    frame = rb.recheck(run.folder, [Limit(), Limit(max_words_share=0.01)])
    for _, part in frame.groupby("limit"):
        robust = part.set_index("attack")["robust_accuracy"].tolist()
        assert robust[:3] == sorted(robust[:3], reverse=True)
        assert robust[2] == robust[3]
    words = frame[frame["limit"] == "words ≤ 1 % or one word"]
    assert (words["valid"] < words["successes"]).any()


def test_no_run_is_told(tmp_path: Path) -> None:
    assert "is no run folder" in complaint(lambda: rb.recheck(tmp_path))


def test_a_settled_example_that_no_member_met_is_told() -> None:
    """As of two worst cases over one cascade, of which the second has later members alone."""
    members = tuple(cell(name, record("e", TEN, outcome="settled")) for name in "ab")
    worst = Cell(HEADER | {"attack": "worst_case:late"}, {}, members)
    assert "a cascade has one worst case" in complaint(lambda: rechecked([*members, worst]))
