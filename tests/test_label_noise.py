"""Labels that are likely wrong are found by models that never saw them."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from robustbench_nlp.data import load_dataset
from robustbench_nlp.label_noise import confident_errors, doubtful


def test_the_confident_joint_by_hand() -> None:
    chances = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.1, 0.9], [0.6, 0.4], [0.05, 0.95]])
    labels = np.array([0, 0, 0, 1, 1, 1])  # thresholds: 0.6 for class 0, 0.75 for class 1
    assert confident_errors(chances, labels).tolist() == [False, False, True, False, True, False]


@pytest.mark.parametrize("seed", [0, 1])
def test_planted_errors_are_found_on_reviews(seed: int) -> None:
    """Of 2,000 sentences every tenth label is turned; a guess of as many would be right for a tenth."""
    examples = load_dataset("mr", "train").head(2000)
    turned = set(Random(seed).sample(range(len(examples)), 200))
    labels = [example.label ^ (i in turned) for i, example in enumerate(examples)]
    wrong = doubtful([example.input for example in examples], labels, folds=5, seed=seed)
    found = {i for i, bad in enumerate(wrong) if bad}
    assert len(found & turned) / len(found) > 0.2
    assert len(found & turned) / len(turned) > 0.5


def test_labels_that_cannot_be_judged_are_kept() -> None:
    assert doubtful(["a", "b", "c"], [0, 0, 0], folds=2, seed=0) == [False] * 3
    assert doubtful(["a", "b", "c", "d"], [0, 0, 0, 1], folds=2, seed=0) == [False] * 4
    assert doubtful([], [], folds=2, seed=0) == []
