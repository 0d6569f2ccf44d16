"""The table: exact numbers from hand-made records, the worst case, and how errors show."""

from __future__ import annotations

from io import StringIO
from math import isnan

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from robustbench_nlp.errors import UsageError
from robustbench_nlp.records import Record
from robustbench_nlp.report.shown import remarks, render, summary, write
from robustbench_nlp.report.table import COLUMNS, incomplete, robust_if_errors_right, row, table
from robustbench_nlp.report.worst_case import worst_case_row

OUTCOMES = ("success", "failed", "skipped", "error")


def header(attack: str = "typo", **changes):
    cell = {
        "task": "classification",
        "dataset": "films",
        "split": "test",
        "victim": "keywords",
        "defense": "none",
        "attack": attack,
        "mode": "adaptive",
        "threat": "char_30@1",
        "max_queries": 100,
        "seed": 7,
        "schema": 1,
        "fingerprint": f"{attack}-print",
        "note": "Films is our own split.",
    }
    return cell | changes


def record(number: int, outcome: str, label: int = 1, **changes) -> Record:
    clean = 1 - label if outcome == "skipped" else label
    values = {"queries": 10, "forwards": 8, "seconds": 0.5, "clean_prediction": clean, "words_changed": 2}
    if outcome == "success":
        values |= {"similarity": 0.75, "first_success_query": 9, "margin": -0.2, "adversarial_prediction": 1 - label}
    return Record(example_id=f"e{number}", label=label, original="a fine film", outcome=outcome, **(values | changes))


FOUR = [
    record(0, "success", queries=12, words_changed=1),
    record(1, "failed", label=0, queries=40),
    record(2, "skipped", queries=1),
    record(3, "failed", queries=20, forwards=14),
]

GOLDEN = """\
task,dataset,split,victim,defense,attack,mode,threat,max_queries,n,skipped,attempted,successes,errors,clean_accuracy,\
clean_low,clean_high,robust_accuracy,robust_low,robust_high,attack_success_rate,asr_low,asr_high,queries_mean,\
queries_median,forwards_mean,words_changed_mean,similarity_mean,seconds,seed,schema,fingerprint
classification,films,test,keywords,none,typo,adaptive,char_30@1,100,4,1,3,1,0,0.75,0.300642,0.954413,0.5,0.150039,\
0.849961,0.333333,0.0614919,0.79234,24.0,20.0,10.0,1.0,0.75,2.0,7,1,typo-print
"""


def worst_case(cells):
    """The header and records over members whose records are lists."""
    merged, records = worst_case_row([(head, {r.example_id: r for r in records}) for head, records in cells])
    return merged, [*records.values()]


def test_golden_csv(tmp_path):
    """Wilson ends by hand: 3/4 → 0.3006, 0.9544; 2/4 → 0.1500, 0.8500; 1/3 → 0.0615, 0.7923."""
    frame = table([row(header(), FOUR)])
    short = frame.map(lambda value: float(f"{value:.6g}") if isinstance(value, float) else value)
    write(short, tmp_path)
    assert (tmp_path / "table.csv").read_bytes().decode() == GOLDEN


def test_csv_keeps_every_digit_and_empty_cells(tmp_path):
    frame = table([row(header(max_queries=None), FOUR)])
    write(frame, tmp_path)
    back = pd.read_csv(tmp_path / "table.csv")
    assert tuple(back.columns) == COLUMNS == tuple(frame.columns)
    assert back["attack_success_rate"][0] == 1 / 3
    assert isnan(back["max_queries"][0])


def test_the_columns_are_those_of_the_contract():
    head = GOLDEN.partition("\n")[0].split(",")
    assert head == list(COLUMNS)
    assert len(set(COLUMNS)) == 32


def test_a_metric_of_another_task_stands_at_the_end():
    assert list(table([row(header(), FOUR) | {"bleu": 0.5}]).columns) == [*COLUMNS, "bleu"]


def test_nothing_attempted_is_nan_not_zero():
    values = row(header(), [record(0, "skipped")])
    assert values["robust_accuracy"] == 0.0
    assert all(isnan(values[name]) for name in ("attack_success_rate", "asr_low", "queries_mean", "similarity_mean"))


def test_no_records_and_no_rows_make_a_table_still(tmp_path):
    for frame in (table([]), table([row(header(), [])])):
        write(frame, tmp_path)
        assert incomplete(frame) == []
        assert list(frame.columns) == list(COLUMNS)


@given(st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=40))
def test_counts_and_rates_hang_together(outcomes):
    records = [record(i, outcome) for i, outcome in enumerate(outcomes)]
    values = row(header(), records)
    assert values["n"] == values["skipped"] + values["attempted"] + values["errors"]
    assert values["robust_low"] <= values["robust_accuracy"] <= values["robust_high"]
    assert values["robust_accuracy"] <= values["clean_accuracy"]
    if values["errors"] == 0 and values["attempted"]:
        expected = values["clean_accuracy"] * (1 - values["attack_success_rate"])
        assert values["robust_accuracy"] == pytest.approx(expected)


@given(st.lists(st.tuples(*[st.sampled_from(OUTCOMES[:2])] * 3), min_size=1, max_size=30))
def test_the_worst_case_is_the_and_of_its_members(outcomes):
    names = ("a", "b", "c")
    cells = [(header(name), [record(i, three[m]) for i, three in enumerate(outcomes)]) for m, name in enumerate(names)]
    merged, records = worst_case(cells)
    worst = row(merged, records)
    assert worst["attack"] == "worst_case:a+b+c"
    assert worst["robust_accuracy"] <= min(row(*cell)["robust_accuracy"] for cell in cells)
    for three, found in zip(outcomes, records, strict=True):
        assert (found.outcome == "success") == ("success" in three)
        assert found.winner == (names[three.index("success")] if "success" in three else None)
        assert (found.queries, found.seconds) == (30, 1.5)


def test_a_cascade_gives_the_same_worst_case_as_full_members():
    full = [
        (header("a"), [record(0, "success"), record(1, "failed"), record(2, "failed"), record(3, "skipped")]),
        (header("b"), [record(0, "failed"), record(1, "success"), record(2, "failed"), record(3, "skipped")]),
    ]
    cascade = [
        (header("a", mode="cascade"), full[0][1]),
        (header("b", mode="cascade"), [record(0, "settled", winner="a", queries=0), *full[1][1][1:]]),
    ]
    headers, records = zip(*map(worst_case, (full, cascade)), strict=True)
    assert [head["mode"] for head in headers] == ["adaptive", "cascade"]
    outcomes = [[(r.outcome, r.winner) for r in found] for found in records]
    assert outcomes[0] == outcomes[1] == [("success", "a"), ("success", "b"), ("failed", None), ("skipped", None)]
    assert records[0][1].first_success_query == 10 + 9
    settled = row(*cascade[1])
    assert (settled["attempted"], settled["clean_accuracy"], settled["robust_accuracy"]) == (2, 0.75, 0.25)


def test_an_error_is_neither_right_nor_a_success_and_yields_to_a_success():
    cells = [
        (header("a"), [record(0, "error"), record(1, "error"), record(2, "failed", margin=0.4)]),
        (header("b", mode="noise"), [record(0, "failed"), record(1, "success"), record(2, "failed", margin=0.1)]),
    ]
    merged, records = worst_case(cells)
    assert [found.outcome for found in records] == ["error", "success", "failed"]
    assert records[2].margin == 0.1
    assert merged["mode"] == "adaptive"


def test_members_that_saw_other_examples_make_no_worst_case():
    with pytest.raises(UsageError, match="needs the same examples"):
        worst_case([(header("a"), FOUR), (header("b"), FOUR[:2])])


def with_errors(errors: int) -> pd.DataFrame:
    records = [record(i, "error" if i < errors else "failed", error="boom") for i in range(200)]
    return table([row(header("a|b"), records)])


def test_errors_above_one_in_a_hundred_make_a_row_incomplete(tmp_path):
    assert incomplete(with_errors(2)) == []
    frame = with_errors(3)
    assert incomplete(frame) == ["none × a|b: 3 of 200 examples ended in an error"]
    assert frame["robust_accuracy"][0] == 197 / 200
    assert robust_if_errors_right(frame)[0] == 1.0
    write(frame, tmp_path)
    text = (tmp_path / "table.md").read_text("utf-8")
    assert "| errors | robust % if errors right |" in text
    assert "| 3 (!) | 100.0 |" in text
    assert "- Incomplete (!): none × a\\|b: 3 of 200 examples ended in an error." in text


def rows_of_two_defenses() -> list[dict[str, object]]:
    rows = []
    for defense, outcome in (("none", "success"), ("spell[x]", "failed")):
        cells = [(header(name, defense=defense), [*FOUR[1:], record(0, outcome)]) for name in ("typo", "swap")]
        rows += [row(*worst_case(cells)), *(row(*cell) for cell in cells)]
    return rows


def test_what_the_terminal_shows():
    console = Console(width=150, record=True, force_terminal=True, file=StringIO())
    console.print(render(table(rows_of_two_defenses())))
    shown = console.export_text(styles=True, clear=False)
    plain = [line for line in console.export_text().splitlines() if line.strip().startswith(("none", "spell[x]"))]
    assert "victim keywords" in shown
    assert ["worst case" in line for line in plain] == [False, False, True, False, False, True]
    assert "spell[x]" in shown
    bold = "\x1b[1m75.0 [30.1–95.4]"
    assert shown.count(bold) == 2
    assert "a constant answer scores 75.0 %" in shown
    assert "Films is our own split." in shown


def test_a_line_for_each_row_as_it_comes():
    assert summary(table([row(header(), FOUR)])) == ["none × typo: clean 75.0 %, robust 50.0 [15.0–85.0] %, ASR 33.3 %"]


def test_claims_of_a_search_in_low_precision_are_counted_once():
    """Those of all attacks, which the worst case over them holds again; nothing is said of float32."""
    rejected = [record(0, "success"), record(1, "failed", rejected_successes=2), record(2, "success")]
    low = [(header(attack, spec={"dtype": "bfloat16"}), rejected) for attack in ("typo", "swap")]
    lines = remarks(table([row(*cell) for cell in [*low, worst_case(low)]]))
    assert lines == [
        "Searches in bfloat16: the referee, in float32 and held to the threat, rejected 4 of 8 successes that they claimed (50.0 %)."
    ]
    assert remarks(table([row(header(spec={"dtype": "float32"}), rejected)])) == []


def test_eighty_columns_are_enough():
    cells = (header("random_typos", defense="typo_augmentation"), FOUR), (header("deepwordbug"), FOUR)
    console = Console(width=80, file=StringIO(), record=True)
    console.print(render(table([row(*cell) for cell in cells])))
    assert "typo_augmentation random_typos 4  75.0 50.0 [15.0–85.0] 33.3    24.0     1.0" in console.export_text()


def test_several_victims_have_a_column():
    rows = rows_of_two_defenses()
    console = Console(width=120, file=StringIO(), record=True)
    console.print(render(table([*rows, *(values | {"victim": "other"} for values in rows)])))
    shown = console.export_text()
    assert "victim " in shown
    assert shown.count("other") == len(rows)


def test_what_markdown_says(tmp_path):
    write(table(rows_of_two_defenses()), tmp_path)
    lines = (tmp_path / "table.md").read_text("utf-8").splitlines()
    body = [line for line in lines if line.startswith("| keywords")]
    assert body[1].startswith("| keywords | none | swap | 4 | 75.0 | 50.0 [15.0–85.0] | 33.3 |")
    assert body[2].startswith("| keywords | none | *worst case* |")
    assert "**75.0 [30.1–95.4]**" in body[3]
    assert "- films, test split, n = 4, seed 7; a constant answer scores 75.0 %, clean and under attack." in lines
    assert "- Worst case: right under every one of typo, swap." in lines
    assert "- Threats: typo char\\_30@1, 100 queries; swap char\\_30@1, 100 queries." in lines
