"""Group DRO (Sagawa et al., 2020): the groups of examples that the model does worst on weigh most while it learns.

Groups are a label together with a property of the text that a model may lean on. Differs from the paper: groups are made from
the texts instead of given, the weights in a batch's loss are those of the groups that it has, scaled to sum to 1, and no stronger
weight decay goes with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from robustbench_nlp.data.example import Example, Input
from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.text import words_of
from robustbench_nlp.training import Batch, further
from robustbench_nlp.victim import Victim

__all__ = ["GroupRobust"]

NEGATIONS = frozenset(["not", "no", "never", "none", "nothing", "neither", "nor", "without", "hardly"])


def _long(text: str) -> bool:
    return len(words_of(text)) > 20


def _negated(text: str) -> bool:
    return any(word in NEGATIONS or word.endswith(("n't", "n’t")) for word in words_of(text.lower()))


PROPERTIES: dict[str, Callable[[str], bool]] = {"length": _long, "negation": _negated}
"""More than twenty words; a word that negates."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupRobust:
    """Groups are labels with each of `properties` ('negation': a word that negates, 'length': more than twenty words); their weights move by exp(`step` · loss) at each batch."""

    properties: tuple[str, ...] = ("negation",)
    step: float = 0.01
    epochs: int = 2
    learning_rate: float = 5e-5

    def __post_init__(self) -> None:
        for name in self.properties:
            if name not in PROPERTIES:
                raise unknown("property of group_robust", name, PROPERTIES)
        if self.step < 0:
            raise UsageError(f"group_robust cannot move weights by {self.step}; set step to 0 or more")

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        return further(self, victim, train, rng, objective=_Objective(self, len(victim.label_names)))


@dataclass(slots=True)
class _Objective:
    """`state` holds the groups' weights."""

    settings: GroupRobust
    classes: int
    state: dict[str, Any] = field(default_factory=dict)

    def __call__(self, batch: Batch) -> float:
        import torch

        count = self.classes * 2 ** len(self.settings.properties)
        weights = self.state.setdefault("weights", torch.full((count,), 1 / count, device=batch.labels.device))
        groups = torch.tensor([self._group(item) for item in batch.inputs], device=batch.labels.device)
        groups = groups * self.classes + batch.labels
        losses = torch.nn.functional.cross_entropy(
            batch.model(**batch.tensors()).logits, batch.labels, reduction="none"
        )
        seen = groups.unique()
        means = torch.stack([losses[groups == group].mean() for group in seen])
        weights[seen] *= (self.settings.step * means.detach()).exp()
        weights /= weights.sum()
        loss = (weights[seen] / weights[seen].sum() * means).sum()
        torch.autograd.backward(loss)
        return float(loss.detach())

    def _group(self, item: Input) -> int:
        text = item if isinstance(item, str) else " ".join(item)
        number = 0
        for name in self.settings.properties:
            number = 2 * number + PROPERTIES[name](text)
        return number
