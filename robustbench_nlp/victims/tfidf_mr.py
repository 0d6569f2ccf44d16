"""TF-IDF and logistic regression on the mr training split: fast, and its answers don't depend on the batch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from math import nan
from typing import Any

import numpy as np

from robustbench_nlp.data.example import Dataset, Input, content_hash
from robustbench_nlp.errors import UsageError
from robustbench_nlp.victim import Probabilities, VictimOptions

__all__ = ["load", "SklearnVictim"]  # noqa: RUF022 (the factory first)

_VERSION = 1


def load(argument: str, options: VictimOptions) -> SklearnVictim:
    """Train it (under a second). Raises `UsageError` when given an argument."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from robustbench_nlp.data import load_dataset

    if argument:
        raise UsageError(f"tfidf-mr takes no argument; '{argument}' was given")
    train: Dataset = load_dataset("mr", "train")
    pipeline = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=10.0, max_iter=1000),
    )
    start = time.perf_counter()
    pipeline.fit([example.input for example in train.examples], [example.label for example in train.examples])
    seconds = time.perf_counter() - start
    identity = content_hash("tfidf-mr", _VERSION, train.fingerprint)
    return SklearnVictim(
        pipeline, name="tfidf_mr", label_names=train.label_names, identity=identity, training_seconds=seconds
    )


class SklearnVictim:
    """A fitted scikit-learn pipeline with `predict_proba`, classes 0, 1, … in order; `identity` stands for its weights."""

    random = False

    def __init__(
        self,
        pipeline: Any,
        *,
        name: str,
        label_names: tuple[str, ...],
        identity: str,
        training_seconds: float = nan,
    ) -> None:
        self.name = name
        self.label_names = label_names
        self.training_seconds = training_seconds
        self._pipeline = pipeline
        self._identity = identity

    @cached_property
    def fingerprint(self) -> str:
        return content_hash("sklearn", self._identity)[:16]

    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        if not inputs:
            return np.zeros((0, len(self.label_names)), np.float32)
        answer: Probabilities = self._pipeline.predict_proba(list(inputs)).astype(np.float32)
        return answer
