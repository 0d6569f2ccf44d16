"""Fine-tuning of a sequence classifier on CPU or GPU, repeatable per seed: embedded victims and trained defenses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from robustbench_nlp import cache, progress
from robustbench_nlp.data.example import Example, Input
from robustbench_nlp.errors import UsageError
from robustbench_nlp.victim import Victim, VictimOptions
from robustbench_nlp.victims._reader import Reader
from robustbench_nlp.victims.hf import HFVictim, device_of, files_hash, longest_input, quiet

__all__ = ["Augment", "More", "Recipe", "TrainingCollapsed", "continue_training", "fine_tune"]

Augment = Callable[[list[Input], Random], list[Input]]
"""Changes one batch of inputs before the model learns from them; called anew at each step."""

More = Callable[[HFVictim, int], tuple[list[Input], list[int]]]
"""Further inputs and labels for one epoch, made with the model as it stands before that epoch (the first is 0)."""

_POOL = 50
"""Batches whose inputs are sorted by length together."""


class TrainingCollapsed(UsageError):  # noqa: N818
    """The trained model hardly beats a constant answer, which would look perfectly robust."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How a classifier is fine-tuned: AdamW with linear warm-up (a share of all steps) and decay to zero.

    `held_out` training examples (at most a tenth of them) are set aside to see whether the training collapsed: accuracy
    on them must beat the constant answer by `min_gain`. `max_length` counts tokens (None: the base model's own).
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


def fine_tune(
    target: Path,
    base: Path | str,
    inputs: Sequence[Input],
    labels: Sequence[int],
    *,
    label_names: Sequence[str],
    seed: int,
    recipe: Recipe = Recipe(),
    augment: Augment | None = None,
    more: More | None = None,
    device: str = "auto",
    title: str = "fine-tuning",
) -> float:
    """Fine-tune `base` (a folder or hub id, with or without a head) and save it, tokenizer included, into `target`.

    Returns the accuracy on the held-out training examples. Same seed, same machine: same bits; torch's global generator
    is left as it was. Raises `TrainingCollapsed`.
    """
    import torch

    options = VictimOptions(device=device)
    place = device_of(options)
    with torch.random.fork_rng(devices=[place] if place.type == "cuda" else []):
        torch.manual_seed(seed)
        model, tokenizer = _start(base, label_names, recipe)
        rng = Random(seed)
        held, rest = _split(len(inputs), recipe.held_out, rng)
        victim = HFVictim(model, tokenizer, name=title, options=options)
        loop = _Loop(victim, model, Reader(tokenizer, tokenizer.model_max_length), recipe, rng, augment, place)
        for epoch in range(recipe.epochs):
            texts, truth = [inputs[i] for i in rest], [labels[i] for i in rest]
            if more is not None:
                extra, extra_labels = more(victim, epoch)
                texts, truth = texts + extra, truth + extra_labels
            loop.epoch(epoch, texts, truth, title)
    accuracy = _check(victim, [inputs[i] for i in held], [labels[i] for i in held], recipe.min_gain)
    model.save_pretrained(target, safe_serialization=True)
    tokenizer.save_pretrained(target)
    return accuracy


def _start(base: Path | str, label_names: Sequence[str], recipe: Recipe) -> tuple[Any, Any]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(base, use_fast=True)
        model = AutoModelForSequenceClassification.from_pretrained(
            base,
            use_safetensors=True,
            dtype="float32",
            id2label=dict(enumerate(label_names)),
            label2id={name: i for i, name in enumerate(label_names)},
        )
    tokenizer.model_max_length = recipe.max_length or longest_input(tokenizer, model.config)
    model.get_input_embeddings().requires_grad_(not recipe.freeze_embeddings)
    return model, tokenizer


def _split(count: int, held_out: int, rng: Random) -> tuple[list[int], list[int]]:
    order = list(range(count))
    rng.shuffle(order)
    held = min(held_out, count // 10)
    return order[:held], order[held:]


@dataclass(slots=True)
class _Loop:
    """The optimiser and what it needs; the learning rate follows the share of the training that is done."""

    victim: HFVictim
    model: Any
    reader: Reader
    recipe: Recipe
    rng: Random
    augment: Augment | None
    device: Any
    optimizer: Any = None

    def __post_init__(self) -> None:
        import torch

        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=0.0, weight_decay=self.recipe.weight_decay)

    def epoch(self, number: int, inputs: Sequence[Input], labels: Sequence[int], title: str) -> None:
        plan = self._plan(inputs)
        mean = 0.0
        self.model.train()
        with progress.task(f"{title}, epoch {number + 1} of {self.recipe.epochs}", len(inputs)) as step:
            for done, rows in enumerate(plan):
                share = (number + (done + 0.5) / len(plan)) / self.recipe.epochs
                loss = self._step([inputs[row] for row in rows], [labels[row] for row in rows], share)
                mean += (loss - mean) / min(done + 1, _POOL)
                step(len(rows), f"loss {mean:.3f}")
        self.model.eval()

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
        tensors = self.reader.tensors(self.reader(inputs), self.device)
        logits = self.model(**tensors).logits
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(labels, device=self.device))
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.max_gradient_norm)
        self.optimizer.step()
        return float(loss.detach())


def _check(victim: HFVictim, inputs: Sequence[Input], labels: Sequence[int], min_gain: float) -> float:
    if not inputs:
        return float("nan")
    answers: list[int] = victim.predict(inputs).argmax(axis=1).tolist()
    accuracy = sum(a == b for a, b in zip(answers, labels, strict=True)) / len(labels)
    constant = max(Counter(labels).values()) / len(labels)
    if not accuracy >= constant + min_gain:
        raise TrainingCollapsed(
            f"{victim.name} collapsed: {accuracy:.1%} of held-out training examples right, a constant answer gets "
            f"{constant:.1%}; lower the learning rate or the strength of the defense"
        )
    return accuracy


def continue_training(
    victim: Victim,
    train: Sequence[Example],
    seed: int,
    *,
    kind: str,
    settings: object,
    recipe: Recipe,
    augment: Augment | None = None,
    more: More | None = None,
) -> HFVictim:
    """The victim fine-tuned further from its own weights, cached under everything that decides the result.

    `settings` (JSON-able) stand for what `augment` and `more` do. Raises `UsageError` for a victim without a folder of
    weights.
    """
    folder = getattr(victim, "folder", None)
    if not isinstance(victim, HFVictim) or folder is None:
        raise UsageError(f"{kind} trains the victim's weights, and {victim.name} has none to train; take an hf: victim")

    def build(target: Path) -> None:
        fine_tune(
            target,
            folder,
            [example.input for example in train],
            [example.label for example in train],
            label_names=victim.label_names,
            seed=seed,
            recipe=recipe,
            augment=augment,
            more=more,
            device=victim.options.device,
            title=kind,
        )

    identity = [
        kind,
        settings,
        asdict(recipe),
        seed,
        files_hash(folder),
        victim.options.max_length,
        [e.id for e in train],
    ]
    return HFVictim.from_folder(cache.built(kind, identity, build), victim.options, name=victim.name)
