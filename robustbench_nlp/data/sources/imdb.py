"""IMDB reviews (Maas et al., 2011), negative or positive: our own split of the training file."""

from __future__ import annotations

from pathlib import Path

from robustbench_nlp.data.example import Dataset
from robustbench_nlp.data.movie_reviews import Corpus
from robustbench_nlp.data.movie_reviews import load as load_corpus
from robustbench_nlp.data.movie_reviews import place as place_of

__all__ = ["load", "place"]

CORPUS = Corpus(
    name="imdb",
    in_package="imdb",
    on_hub="stanfordnlp/imdb",
    note="imdb is this project's own split of the IMDB training file (25,000 reviews), not the standard 25,000-review test set.",
)


def load(argument: str, split: str) -> Dataset:
    """The `train`, `dev` or `test` split: 83, 5 and 12 %."""
    return load_corpus(CORPUS, argument, split)


def place() -> Path:
    """Where its splits stand once they are made from the package's texts."""
    return place_of(CORPUS)
