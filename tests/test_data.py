"""Datasets from files and pairs: columns, labels, and what bad input says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from texts import ANY_TEXT, complaint, texts_of

from robustbench_nlp.data import Dataset, Example, from_pairs, load_dataset, match_labels

Write = Callable[[str, bytes | str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file, return its path."""

    def writing(name: str, content: bytes | str) -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return writing


# --- examples and datasets


def test_order_ids_and_fingerprint_follow_the_content() -> None:
    pairs = [("a fine film", "good"), ("a dull film", "bad"), ("so so", "good"), ("never", "bad")]
    dataset = from_pairs(pairs)
    assert [e.id for e in dataset.examples] == sorted(e.id for e in dataset.examples)
    assert dataset == from_pairs(pairs[::-1])
    assert dataset.head(2) == dataset.head(3)[:2] == dataset.head(None)[:2]
    prints = {
        dataset.fingerprint,
        from_pairs([*pairs[:3], ("never", "good")]).fingerprint,
        from_pairs([*pairs[:3], ("ever", "bad")]).fingerprint,
        from_pairs(pairs[:3]).fingerprint,
        from_pairs(pairs, name="other").fingerprint,
    }
    assert len(prints) == 5


def test_a_dataset_refuses_repeated_inputs_and_labels_out_of_range() -> None:
    example = Example(fields={"text": "a \ud800"}, label=1)
    both = {"name": "d", "split": "test", "label_names": ("a", "b")}
    assert "twice" in complaint(lambda: Dataset(examples=(example, example), **both))
    assert "outside its 2 label names" in complaint(lambda: Dataset(examples=(Example(fields={}, label=2),), **both))


def test_pairs() -> None:
    numbers = from_pairs([("a fine film", 1)])
    assert (numbers.label_names, numbers.examples[0].label) == (("0", "1"), 1)
    two = from_pairs([(("it rains", "it is wet"), "yes")])
    assert (two.fields, two.examples[0].input) == (("text1", "text2"), ("it rains", "it is wet"))
    assert "2 rows" in from_pairs([("a", 0), ("a", 0), ("a", 1)]).note
    assert "2 texts where the first has 1" in complaint(lambda: from_pairs([("a", 0), (("a", "b"), 0)]))
    assert "no rows" in complaint(lambda: from_pairs([]))


# --- files


def test_csv_and_jsonl_give_the_same_examples(write: Write) -> None:
    rows = [("bon film, très bon", "good"), ('says "no"\nand leaves', "bad"), ("", "bad"), ("🎬\0", "good")]
    quoted = "".join('"{}",{}\r\n'.format(text.replace('"', '""'), label) for text, label in rows)
    from_csv = load_dataset("csv:" + write("a.csv", "\ufefftext,label\r\n\r\n" + quoted))
    lines = "\n".join(json.dumps({"label": label, "text": text, "more": 1}) for text, label in rows)
    from_jsonl = load_dataset("jsonl:" + write("a.jsonl", lines))
    assert from_csv.examples == from_jsonl.examples
    assert from_csv.label_names == ("bad", "good")
    assert {e.fields["text"]: e.label for e in from_csv.examples} == {t: int(n == "good") for t, n in rows}
    assert (from_csv.name, from_csv.split) == ("a.csv", "all")


def test_columns_by_layout_and_by_setting(write: Write) -> None:
    pair = load_dataset("csv:" + write("nli.csv", "hypothesis,premise,label\nwet,rains,1\n"))
    assert pair.examples[0].input == ("rains", "wet")
    assert load_dataset("csv:" + write("qa.csv", "question,context,label\nq,c,x\n")).fields == ("question", "context")
    path = write("o.tsv", "stars\ttitle\treview\n4\tT\tgood\n")
    one = load_dataset(f"csv(text='review', label='stars', delimiter='\\t'):{path}")
    assert (one.fields, one.examples[0].input, one.label_names) == (("text",), "good", ("0", "1", "2", "3", "4"))
    two = load_dataset(f"csv(text=('title','review'), label='stars', delimiter='\\t'):{path}")
    assert two.examples[0].fields == {"title": "T", "review": "good"}


def test_label_names(write: Write) -> None:
    path = write("n.jsonl", '{"text": "a", "label": 1}\n{"text": "b", "label": 0.0}\n{"text": "c", "label": "10"}')
    assert load_dataset("jsonl:" + path).label_names[-1] == "10"
    assert load_dataset("csv:" + write("m.csv", "text,label\na,-1\nb,1\n")).label_names == ("-1", "1")
    path = write("l.csv", "text,label\na,1\nb, negative \n")
    named = load_dataset(f"csv(label_names=('negative','positive')):{path}")
    assert {e.input: e.label for e in named.examples} == {"a": 1, "b": 0}
    line = complaint(lambda: load_dataset(f"csv(label_names=('negativ','positive')):{path}"))
    assert "line 3: no label 'negative'; did you mean 'negativ'?" in line


@settings(deadline=None)
@given(st.lists(st.tuples(ANY_TEXT, st.sampled_from(["x", "y"])), min_size=1, unique_by=lambda pair: pair[0]))
def test_any_unicode_string_loads_and_has_an_id(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_text("\n".join(json.dumps({"text": text, "label": label}) for text, label in rows), "ascii")
    loaded = load_dataset(f"jsonl:{path}")
    expected = {json.loads(json.dumps(text)) for text, _ in rows}  # JSON joins a surrogate pair into its character
    assert set(texts_of(loaded)) == expected
    assert len({example.id for example in loaded.examples}) == len(expected)
    assert loaded.fingerprint


BAD_FILES = {
    "column": (
        "a.csv",
        "Txt,label\na,1\n",
        "no column 'text'; did you mean 'Txt'? it has: Txt, label; rename one, or say",
    ),
    "label column": ("a.csv", "text,stars\na,1\n", "no column 'label'; it has: text, stars"),
    "encoding": ("a.csv", b"text,label\ncaf\xe9,1\n", "is not UTF-8: byte 0xe9 at position 14; convert it"),
    "encoding after a mark": ("a.csv", b"\xef\xbb\xbfte\xe9", "at position 5"),
    "utf-16": ("a.csv", "text,label\na,1\n".encode("utf-16"), "byte 0xff at position 0"),
    "no rows": ("a.csv", "text,label\n\n", "has no rows"),
    "nothing": ("a.csv", "", "it has: none"),
    "no label": ("a.csv", "text,label\na,1\n\nb,\n", "line 4: 'label' is missing"),
    "cells": ("a.csv", 'text,label\n"a\nb",1\na,b,1\n', "line 4: 3 cells where the header has 2"),
    "quotes": ("a.csv", 'text,label\n"a,1\n', "line 2: unexpected end of data"),
    "twice": ("a.csv", "text,text,label\na,b,1\n", "two columns 'text'"),
    "json": ("a.jsonl", '{"text": "a", "label": 1}\n{"text": \n', "line 2 is not JSON"),
    "depth": ("a.jsonl", "[" * 100_000, "line 1 is not JSON"),
    "array": ("a.jsonl", "[1]\n", "line 1 is not a JSON object"),
    "empty": ("a.jsonl", "\n", "has no rows"),
    "null": ("a.jsonl", '{"text": null, "label": 1}\n', "line 1: 'text' is missing or null"),
    "absent": ("a.jsonl", '{"text": "a", "label": 1}\n{"label": 1}\n', "line 2: 'text' is missing or null"),
    "number": ("a.jsonl", '{"text": 5, "label": 1}\n', "line 1: 'text' is not a text but 5"),
    "null label": ("a.jsonl", '{"text": "a", "label": null}\n', "line 1: 'label' is missing"),
    "odd label": ("a.jsonl", '{"text": "a", "label": 0.5}\n', "line 1: 'label' is neither a name nor an integer"),
}


@pytest.mark.parametrize(("name", "content", "said"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files(write: Write, name: str, content: bytes | str, said: str) -> None:
    path = write(name, content)
    assert said in complaint(lambda: load_dataset(f"{Path(name).suffix[1:]}:{path}"))


BAD_SELECTORS = {
    "csv:nowhere.csv": "there is no file 'nowhere.csv'",
    "csv:.": "cannot read '.'",
    "csv:a\0b": "cannot read",
    "csv": "write csv:PATH",
    "hf": "write hf:ID",
    "mrr": "did you mean 'mr'?",
    "mr:x": "takes no argument",
    "csv(txt='a'):x.csv": "no setting of dataset csv 'txt'; did you mean 'text'?",
    "csv(text=5):x.csv": "there is no file",
    "mr(text='a')": "no setting of dataset mr 'text'",
}


@pytest.mark.parametrize("selector", BAD_SELECTORS)
def test_bad_selectors(selector: str) -> None:
    assert BAD_SELECTORS[selector] in complaint(lambda: load_dataset(selector))


def test_bad_settings(write: Write) -> None:
    path = write("a.csv", "text,label\na,1\n")
    for setting in ("text=5", "label=('a','b')", "label_names='negative'", "label_names=(0,1)"):
        assert "cannot be used" in complaint(lambda setting=setting: load_dataset(f"csv({setting}):{path}"))
    assert "cannot be used" in complaint(lambda: load_dataset(f"csv(delimiter='ab'):{path}"))
    assert "no split of mr 'dve'; did you mean 'dev'?" in complaint(lambda: load_dataset("mr", "dve"))


# --- labels


def test_labels_meet_by_name_and_keep_the_fingerprint() -> None:
    dataset = from_pairs([("a", "negative"), ("b", "positive")])
    assert match_labels(dataset, (), None) is dataset
    turned = match_labels(dataset, ("POSITIVE", "neutral", "Negative"), None)
    assert turned.label_names == ("positive", "neutral", "negative")
    assert {e.input: e.label for e in turned.examples} == {"a": 2, "b": 0}
    assert turned.fingerprint == dataset.fingerprint
    mapped = match_labels(dataset, ("LABEL_0", "LABEL_1"), {"LABEL_0": "positive", "LABEL_1": "negative"})
    assert {e.input: e.label for e in mapped.examples} == {"a": 1, "b": 0}
    assert mapped.fingerprint == dataset.fingerprint


@pytest.mark.parametrize(
    ("victim", "label_map", "said"),
    [
        (
            ("LABEL_0", "LABEL_1"),
            None,
            "the victim's labels (LABEL_0, LABEL_1) are not the dataset's (negative, positive); "
            "say which is which, for example --label-map LABEL_0=negative,LABEL_1=positive",
        ),
        (("positive", "neutral"), None, "for example --label-map neutral=negative,positive=positive"),
        (("x", "y"), {"x": "negativ"}, "did you mean 'negative'?"),
        (("x", "y"), {"z": "negative"}, "no label of the victim 'z'"),
        (("x", "y"), {"x": "negative"}, "say which is which"),
        (("x", "y"), {"x": "negative", "y": "negative"}, "x and y both mean"),
        ((), {"x": "negative"}, "names no labels"),
    ],
)
def test_labels_that_do_not_meet(victim: tuple[str, ...], label_map: Mapping[str, str] | None, said: str) -> None:
    dataset = from_pairs([("a", "negative"), ("b", "positive")])
    assert said in complaint(lambda: match_labels(dataset, victim, label_map))
