"""The training loop: batches of similar lengths, an objective for each, and checkpoints to go on from.

An objective is all that most trained defenses add to plain fine-tuning; augmentation and further examples are the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from robustbench_nlp import progress
from robustbench_nlp.checkpoint import Checkpoint
from robustbench_nlp.data.example import Input
from robustbench_nlp.errors import UsageError
from robustbench_nlp.mixed_precision import mixed_precision
from robustbench_nlp.victims._reader import Reader
from robustbench_nlp.victims.hf import HFVictim

__all__ = ["Augment", "Batch", "Loop", "More", "Objective", "Recipe", "adamw", "cross_entropy"]

Augment = Callable[[list[Input], Random], list[Input]]
"""Changes one batch of inputs before the model learns from them; called anew at each step."""

More = Callable[[HFVictim, int], tuple[list[Input], list[int]] | None]
"""Further inputs and labels for one epoch, made with the model as it stands before that epoch (the first is 0); None: those of the
epoch before."""


class Batch(NamedTuple):
    """What an objective learns from: the model in training mode, its reader, inputs and labels (int64), and the training's
    own generator (torch's global one is seeded too)."""

    model: Any
    reader: Reader
    inputs: list[Input]
    labels: Any
    rng: Random

    def tensors(self, inputs: Sequence[Input] | None = None) -> dict[str, Any]:
        """The model's arguments for these inputs, else for the batch's own: `input_ids` and what goes with them."""
        return self.reader.tensors(self.reader(self.inputs if inputs is None else inputs), self.labels.device)


Objective = Callable[[Batch], float]
"""Adds the gradients of one batch's loss to the model's parameters, and returns the loss. What it remembers between batches
stands in a dict of tensors, its attribute `state`."""


def cross_entropy(batch: Batch) -> float:
    """The plain objective."""
    import torch

    loss = torch.nn.functional.cross_entropy(batch.model(**batch.tensors()).logits, batch.labels)
    torch.autograd.backward(loss)
    return float(loss.detach())


def adamw(parameters: Iterable[Any], weight_decay: float) -> Any:
    """The optimiser of all trainings, in one kernel where the device has it; its learning rate is set at each step."""
    import torch

    weights = list(parameters)
    fused = all(weight.device.type in ("cpu", "cuda") for weight in weights)
    return torch.optim.AdamW(weights, lr=0.0, weight_decay=weight_decay, fused=fused)


_POOL = 50
"""Batches whose inputs are sorted by length together."""
CHECKPOINT_SECONDS = 60.0
_NOTED = ("seconds", "epoch", "plan", "added", "done", "mean")
"""The loop's own state in a checkpoint."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How a classifier is fine-tuned: AdamW with linear warm-up (a share of all steps) and decay to zero.

    `held_out` training examples (at most a tenth of them) are set aside to see whether the training collapsed: the mean recall
    of the classes must beat the constant answer's, 1 / classes, by `min_gain`. Classes that aren't among them are judged by the
    other examples; of fewer than ten examples none is set aside, and nothing is judged. `max_length` counts tokens (None: the base model's own).
    """

    epochs: int = 2
    batch_size: int = 32
    learning_rate: float = 8e-5
    warm_up: float = 0.1
    weight_decay: float = 0.01
    max_gradient_norm: float = 1.0
    freeze_embeddings: bool = True
    max_length: int | None = None
    held_out: int = 300
    min_gain: float = 0.05

    def __post_init__(self) -> None:
        if self.epochs < 1 or not self.learning_rate > 0:
            raise UsageError("a training wants epochs (and gap_epochs) of 1 or more and a learning_rate above 0")


@dataclass(slots=True, kw_only=True)
class Loop:
    """The optimiser and what it needs; the learning rate follows the share of the training that is done."""

    frozen: Callable[[], HFVictim]
    """The model as it stands, for attacks to search in."""
    model: Any
    reader: Reader
    recipe: Recipe
    rng: Random
    objective: Objective
    augment: Augment | None
    device: Any
    dtype: str
    """What matrices are multiplied in, see `mixed_precision`."""
    path: Path | None
    """Of the checkpoint."""
    optimizer: Any = None
    checkpoint: Checkpoint | None = None
    seconds: float = 0.0
    epoch: int = 0
    plan: list[list[int]] | None = None
    added: tuple[list[Input], list[int]] = ([], [])
    done: int = 0
    mean: float = 0.0
    _saved: float = field(default_factory=time.monotonic)
    _counted: float = 0.0
    """Until when the seconds are counted."""

    def __post_init__(self) -> None:
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = adamw(trained, self.recipe.weight_decay)
        if self.path is not None:
            self.checkpoint = Checkpoint(
                path=self.path, model=self.model, optimizer=self.optimizer, rng=self.rng, device=self.device
            )

    def run(self, inputs: list[Input], labels: list[int], more: More | None, title: str) -> None:
        """All epochs, or those that a checkpoint has left."""
        self._resume()
        self._counted = time.monotonic()
        while self.epoch < self.recipe.epochs:
            if self.plan is None:
                found = None if more is None else more(self.frozen(), self.epoch)
                self.added = self.added if found is None else found
                self.plan = self._plan([*inputs, *self.added[0]])
                self._save(now=found is not None)
            texts, truth = [*inputs, *self.added[0]], [*labels, *self.added[1]]
            label = f"{title}, epoch {self.epoch + 1} of {self.recipe.epochs}"
            self.model.train()
            done = sum(map(len, self.plan[: self.done]))
            with progress.task(label, len(texts), done) as step, mixed_precision(self.model, self.dtype):
                for rows in self.plan[self.done :]:
                    share = (self.epoch + (self.done + 0.5) / len(self.plan)) / self.recipe.epochs
                    loss = self._step([texts[row] for row in rows], [truth[row] for row in rows], share)
                    self.mean += (loss - self.mean) / min(self.done + 1, _POOL)
                    self.done += 1
                    step(len(rows), f"loss {self.mean:.3f}")
                    self._save()
            self.model.eval()
            self.epoch, self.plan, self.done, self.mean = self.epoch + 1, None, 0, 0.0

    def _save(self, now: bool = False) -> None:
        """Count the seconds, and write a checkpoint where one is due: `now` after further texts, which may have taken an attack."""
        self.seconds, self._counted = self.seconds + time.monotonic() - self._counted, time.monotonic()
        if self.checkpoint is None or not (now or time.monotonic() - self._saved >= CHECKPOINT_SECONDS):
            return
        notes = {name: getattr(self, name) for name in _NOTED}
        self.checkpoint.save(getattr(self.objective, "state", {}), notes)
        self._saved = time.monotonic()

    def _resume(self) -> None:
        """Go on from the checkpoint, if there is one."""
        found = self.checkpoint and self.checkpoint.restore()
        if found:
            own, notes = found
            getattr(self.objective, "state", {}).update(own)
            texts, labels = notes["added"]
            notes["added"] = [tuple(text) if isinstance(text, list) else text for text in texts], labels
            for name in _NOTED:
                setattr(self, name, notes[name])

    def _plan(self, inputs: Sequence[Input]) -> list[list[int]]:
        """Shuffled batches whose inputs have similar lengths."""
        size = self.recipe.batch_size
        lengths = [len(encoding) for encoding in self.reader(inputs)]
        order = list(range(len(inputs)))
        self.rng.shuffle(order)
        plan = []
        for start in range(0, len(order), size * _POOL):
            pool = sorted(order[start : start + size * _POOL], key=lengths.__getitem__)
            plan += [pool[i : i + size] for i in range(0, len(pool), size)]
        self.rng.shuffle(plan)
        return plan

    def _step(self, inputs: list[Input], labels: list[int], share: float) -> float:
        """One update at `share` in (0, 1) of the training; the batch's loss."""
        import torch

        recipe = self.recipe
        factor = min(share / recipe.warm_up if recipe.warm_up else 1.0, (1 - share) / (1 - recipe.warm_up))
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.learning_rate * factor
        if self.augment is not None:
            inputs = self.augment(inputs, self.rng)
        batch = Batch(self.model, self.reader, inputs, torch.tensor(labels, device=self.device), self.rng)
        self.optimizer.zero_grad()
        loss = self.objective(batch)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.max_gradient_norm)
        self.optimizer.step()
        return loss
