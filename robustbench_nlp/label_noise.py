"""Which labels of a training split are likely wrong: confident learning (Northcutt, Jiang and Chuang, 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp.data.example import Input

__all__ = ["confident_errors", "doubtful"]


def doubtful(inputs: Sequence[Input], labels: Sequence[int], *, folds: int, seed: int) -> list[bool]:
    """Whether a model that never saw an example is confident of another class than its label, for each example.

    The model is TF-IDF of words and pairs with logistic regression, fitted on the other `folds` − 1 parts. Nothing is
    doubtful where a class has fewer examples than there are folds.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    classes, y = np.unique(np.asarray(labels, dtype=np.int64), return_inverse=True)
    if len(classes) < 2 or np.bincount(y).min() < folds:
        return [False] * len(labels)
    texts = [item if isinstance(item, str) else "\n".join(item) for item in inputs]
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(max_iter=1000))
    parts = StratifiedKFold(folds, shuffle=True, random_state=seed)
    chances: Any = cross_val_predict(model, texts, y, cv=parts, method="predict_proba")
    found: list[bool] = confident_errors(chances, y).tolist()
    return found


def confident_errors(chances: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The off-diagonal of the confident joint: examples whose likeliest class among those at or above their threshold is not
    their label; a class's threshold is its mean probability over the examples labelled so.

    `chances` (n, classes) are out-of-sample probabilities, `labels` (n,) numbers of classes.
    """
    thresholds = np.array([chances[labels == c, c].mean() for c in range(chances.shape[1])])
    above = np.where(chances >= thresholds, chances, -1.0)
    errors: NDArray[np.bool_] = (above.max(axis=1) >= 0) & (above.argmax(axis=1) != labels)
    return errors
