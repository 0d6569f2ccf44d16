"""Density detector (Yoo et al., 2022): texts whose features lie where no training text of their answer's class does are suspicious.

A Gaussian for each class of the training split's features, with a shrunk covariance; the suspicion is the
distance to the answer's class. Predictions are the victim's own. Differs from the paper: features are the sentence encoder's,
not the victim's last layer, so that any victim can be watched; linear instead of kernel principal components, and a shrunk covariance
instead of the minimum covariance determinant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp.attack import Encode
from robustbench_nlp.data.example import Example, Input, content_hash
from robustbench_nlp.detection import Watched, settings_of, threshold
from robustbench_nlp.errors import UsageError
from robustbench_nlp.helpers import identity, provider
from robustbench_nlp.victim import Victim

__all__ = ["Density"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Density:
    """`dimensions` principal components of the features by `encoder`, over at most `sample` training texts; the threshold
    rejects at most `false_alarms` of clean training texts that the fit has not seen. `evaded`: attacks must pass it, too."""

    encoder: str = "embedded"
    dimensions: int = 50
    sample: int = 2000
    false_alarms: float = 0.1
    evaded: bool = False
    version: ClassVar[int] = 1
    detects: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if min(self.dimensions, self.sample) < 1 or not 0 <= self.false_alarms <= 1:
            raise UsageError("density wants dimensions and sample of 1 or more, and false_alarms between 0 and 1")

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        """Raises `UsageError` without training examples of two classes."""
        drawn = rng.sample(list(train), min(self.sample, len(train)))
        held = max(1, len(drawn) // 5)
        fitted, tuned = drawn[held:], drawn[:held]
        if len({example.label for example in fitted}) < 2:
            raise UsageError("density learns from a training split of two classes or more; name one with --train")
        encode = provider(Encode, self.encoder)
        features = encode([_joined(example.input) for example in fitted])
        center, axes = _components(features, self.dimensions)
        classes = {
            label: _gaussian(((features - center) @ axes)[[example.label == label for example in fitted]])
            for label in sorted({example.label for example in fitted})
        }

        def suspicion(inputs: Sequence[Input]) -> NDArray[np.float32]:
            if not inputs:
                return np.zeros(0, np.float32)
            vectors = (encode([_joined(item) for item in inputs]) - center) @ axes
            far = np.stack([_distance(vectors, *classes[label]) for label in classes])
            answers = victim.predict(list(inputs)).argmax(axis=1)
            places = {label: row for row, label in enumerate(classes)}
            found: NDArray[np.float32] = np.array(
                [far[places.get(int(answer), slice(None)), i].min() for i, answer in enumerate(answers)], np.float32
            )
            return found

        least = threshold(suspicion([example.input for example in tuned]), self.false_alarms)
        learned = content_hash([[example.id, example.label] for example in drawn])
        parts = ["density", self.version, settings_of(self), identity(Encode, self.encoder), learned]
        return Watched(victim, suspicion, least, parts, evaded=self.evaded)


def _joined(item: Input) -> str:
    return item if isinstance(item, str) else " ".join(item)


def _components(features: NDArray[Any], most: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The mean, and the directions of the largest variance as columns."""
    center = features.mean(axis=0)
    _, _, rows = np.linalg.svd(features - center, full_matrices=False)
    return center, rows[:most].T


def _gaussian(points: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The mean and the inverse of the shrunk covariance (Ledoit and Wolf, 2004)."""
    from sklearn.covariance import LedoitWolf

    fit = LedoitWolf().fit(points)
    return fit.location_, fit.precision_


def _distance(points: NDArray[Any], mean: NDArray[Any], precision: NDArray[Any]) -> NDArray[Any]:
    """Mahalanobis, squared."""
    moved = points - mean
    squared: NDArray[Any] = np.einsum("nd,de,ne->n", moved, precision, moved)
    return squared
