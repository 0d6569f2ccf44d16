"""Label cleaning by confident learning (Northcutt et al., 2021): training goes on without the labels that are likely wrong.

For victims that were trained on noisy labels. Differs from the paper: labels are doubted by a linear model of words and pairs
of words, so that it costs seconds, and all that are doubted are left out instead of a share that the joint estimates.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from random import Random

from robustbench_nlp.data.example import Example
from robustbench_nlp.errors import UsageError
from robustbench_nlp.label_noise import doubtful
from robustbench_nlp.training import further
from robustbench_nlp.victim import Victim

__all__ = ["LabelCleaning"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelCleaning:
    """Each of `folds` parts of the training split is judged by a model of the others."""

    folds: int = 5
    epochs: int = 2
    learning_rate: float = 5e-5

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise UsageError(f"label_cleaning cannot judge by {self.folds} folds; set folds to 2 or more")

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        seed = copy(rng).getrandbits(32)

        def kept(examples: Sequence[Example]) -> Sequence[Example]:
            inputs, labels = [example.input for example in examples], [example.label for example in examples]
            wrong = doubtful(inputs, labels, folds=self.folds, seed=seed)
            return [example for example, bad in zip(examples, wrong, strict=True) if not bad]

        return further(self, victim, train, rng, keep=kept)
