"""Movie Review sentences (Pang and Lee, 2005), negative or positive: our own split of the training file."""

from __future__ import annotations

from pathlib import Path

from robustbench_nlp.data.example import Dataset
from robustbench_nlp.data.movie_reviews import Corpus
from robustbench_nlp.data.movie_reviews import load as load_corpus
from robustbench_nlp.data.movie_reviews import place as place_of

__all__ = ["load", "place"]

CORPUS = Corpus(
    name="mr",
    in_package="rotten_tomatoes",
    on_hub="cornell-movie-review-data/rotten_tomatoes",
    note="mr is this project's own split of the MR training file (8,530 sentences), not the standard 1,066-sentence test set.",
)


def load(argument: str, split: str) -> Dataset:
    """The `train`, `dev` or `test` split: 83, 5 and 12 %."""
    return load_corpus(CORPUS, argument, split)


def place() -> Path:
    """Where its splits stand once they are made from the package's texts."""
    return place_of(CORPUS)
