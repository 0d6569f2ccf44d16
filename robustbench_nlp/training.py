"""Fine-tuning of a sequence classifier on CPU or GPU, repeatable per seed: embedded victims and trained defenses."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from math import isnan
from pathlib import Path
from random import Random
from statistics import mean
from typing import Any, ClassVar, Protocol

from robustbench_nlp import cache
from robustbench_nlp.data.example import Example, Input
from robustbench_nlp.defense import Unread
from robustbench_nlp.errors import UsageError
from robustbench_nlp.mixed_precision import training_dtype
from robustbench_nlp.training_loop import Augment, Batch, Loop, More, Objective, Recipe, cross_entropy
from robustbench_nlp.victim import Victim, VictimOptions
from robustbench_nlp.victims._reader import Reader
from robustbench_nlp.victims.hf import HFVictim, device_of, files_hash, longest_input, pad, quiet

__all__ = [
    "Augment",
    "Batch",
    "More",
    "Objective",
    "Recipe",
    "TrainingCollapsed",
    "continue_training",
    "cross_entropy",
    "fine_tune",
    "further",
    "trained",
]


PLAIN = Recipe()
VERSION = 2
"""Of `continue_training`: raised by any change of what trainings share (the loop, noises, perturbations) that changes the weights of
several; what changes one alone raises its own `version`."""
ENOUGH = 20
"""Examples of a class that say whether it is known."""


class TrainingCollapsed(UsageError):  # noqa: N818
    """The trained model hardly beats a constant answer, which would look perfectly robust."""


def fine_tune(
    target: Path,
    base: Path | str,
    inputs: Sequence[Input],
    labels: Sequence[int],
    *,
    label_names: Sequence[str],
    seed: int,
    recipe: Recipe = PLAIN,
    objective: Objective | None = None,
    augment: Augment | None = None,
    more: More | None = None,
    device: str = "auto",
    title: str = "fine-tuning",
    checkpoint: Path | None = None,
) -> float:
    """Fine-tune `base` (a folder or hub id, with or without a head) and save it, tokenizer included, into `target`.

    Returns the accuracy on the held-out training examples, NaN where there are none; `training.json` in the folder holds it
    beside the seconds that the training took and the precision of its matrix products (see `mixed_precision`). Same seed,
    same machine: same bits, also when it was interrupted and goes on from `checkpoint`, a file written every
    `CHECKPOINT_SECONDS`; torch's global generator is left as it was. Raises `TrainingCollapsed`.
    """
    import torch

    options = VictimOptions(device=device)
    place = device_of(options)
    with torch.random.fork_rng(devices=[place] if place.type == "cuda" else []):
        torch.manual_seed(seed)
        model, tokenizer = _start(base, label_names, recipe)
        rng = Random(seed)
        held, rest = _split(len(inputs), recipe.held_out, rng)
        model.to(place)

        def frozen() -> HFVictim:
            return HFVictim(copy.deepcopy(model).requires_grad_(False), tokenizer, name=title, options=options)

        loop = Loop(
            frozen=frozen,
            model=model,
            reader=Reader(tokenizer, tokenizer.model_max_length, model.config.pad_token_id),
            recipe=recipe,
            rng=rng,
            objective=objective or cross_entropy,
            augment=augment,
            device=place,
            dtype=training_dtype(place),
            path=checkpoint,
        )
        loop.run([inputs[i] for i in rest], [labels[i] for i in rest], more, title)
    judged = [*held, *_more_of_few(held, rest, labels)]
    texts, truth = [inputs[i] for i in judged], [labels[i] for i in judged]
    try:
        accuracy = _check(frozen(), texts, truth, len(held), recipe.min_gain)
    except TrainingCollapsed:
        if checkpoint is not None:
            checkpoint.unlink(missing_ok=True)
        raise
    model.save_pretrained(target, safe_serialization=True)
    tokenizer.save_pretrained(target)
    shown = None if isnan(accuracy) else accuracy
    told = {"seconds": loop.seconds, "held_out_accuracy": shown, "dtype": loop.dtype}
    (target / "training.json").write_text(json.dumps(told) + "\n", "utf-8")
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
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
    pad(model, tokenizer)
    tokenizer.model_max_length = recipe.max_length or longest_input(tokenizer, model.config)
    model.get_input_embeddings().requires_grad_(not recipe.freeze_embeddings)
    return model, tokenizer


def _split(count: int, held_out: int, rng: Random) -> tuple[list[int], list[int]]:
    order = list(range(count))
    rng.shuffle(order)
    held = min(held_out, count // 10)
    return order[:held], order[held:]


def _more_of_few(held: Sequence[int], rest: Sequence[int], labels: Sequence[int]) -> list[int]:
    """Of each class with fewer than `ENOUGH` held-out examples so many others that there are as many: its recall would else hang on
    two or three."""
    counts = Counter(labels[i] for i in held)
    found = []
    for i in rest:
        if counts[labels[i]] < ENOUGH:
            counts[labels[i]] += 1
            found.append(i)
    return found


def _check(victim: HFVictim, inputs: Sequence[Input], labels: Sequence[int], held: int, min_gain: float) -> float:
    """The accuracy on the first `held` examples, NaN without any; `TrainingCollapsed` by the recall of each class among all."""
    if not held:
        return float("nan")
    answers: list[int] = victim.predict(inputs).argmax(axis=1).tolist()
    right = [answer == label for answer, label in zip(answers, labels, strict=True)]
    counts, hits = Counter(labels), Counter(label for label, hit in zip(labels, right, strict=True) if hit)
    recall = mean(hits[label] / count for label, count in counts.items())
    constant = 1 / len(counts)
    if not recall >= constant + min_gain:
        raise TrainingCollapsed(
            f"{victim.name} collapsed: {recall:.1%} of held-out training examples right, each class counting alike, a constant "
            f"answer gets {constant:.1%}; lower the learning rate or the strength of the defense"
        )
    return sum(right[:held]) / held


def trained(kind: str, identity: Sequence[object], base: Path | str, examples: Sequence[Example], **how: Any) -> Path:
    """The folder of a model that `fine_tune(..., **how)` trains once for an identity; interrupted, it goes on next time."""
    place = cache.place(kind, identity)

    def build(target: Path) -> None:
        fine_tune(
            target,
            base,
            [example.input for example in examples],
            [example.label for example in examples],
            checkpoint=place.with_name(f".{place.name}.checkpoint"),
            **how,
        )

    return cache.built(kind, identity, build)


class Trains(Protocol):
    """A training defense: a dataclass whose settings hold these among others. What decides its training besides, JSON-able, it
    names in attributes `version` (of its own code) and `sources` (of attacks and models that it learns from)."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def epochs(self) -> int: ...

    @property
    def learning_rate(self) -> float: ...


def further(defense: Trains, victim: Victim, train: Sequence[Example], rng: Random, **how: Any) -> HFVictim:
    """What most training defenses do when they are called: go on training the victim by `how` (see `continue_training`; its `kind`
    and `recipe` follow the defense where they aren't given).

    Raises `UsageError` for a victim without weights to train, `TrainingCollapsed` where nothing was learned.
    """
    frozen = getattr(defense, "freeze_embeddings", True)
    settings = asdict(defense)
    for name in ("version", "sources"):
        if hasattr(type(defense), name) and (told := getattr(defense, name)):  # a property's own error is not swallowed
            settings[name] = told
    own: dict[str, Any] = {
        "kind": type(defense).__module__.rpartition(".")[2].replace("_", "-"),
        "recipe": Recipe(epochs=defense.epochs, learning_rate=defense.learning_rate, freeze_embeddings=frozen),
    }
    return continue_training(victim, train, rng.getrandbits(32), settings=settings, **own | how)


def continue_training(
    victim: Victim,
    train: Sequence[Example],
    seed: int,
    *,
    kind: str,
    settings: object,
    recipe: Recipe,
    keep: Callable[[Sequence[Example]], Sequence[Example]] | None = None,
    **how: Any,
) -> HFVictim:
    """The victim fine-tuned further from its own weights, cached under everything that decides the result; the victim itself
    where the examples are `Unread`.

    `keep` chooses the examples that are learned from. `settings` (JSON-able) stand for `how`: the objective, `augment` and
    `more` of `fine_tune`. Raises `UsageError` for a victim without a folder of weights, and without examples.
    """
    folder = getattr(victim, "folder", None)
    if not isinstance(victim, HFVictim) or folder is None:
        raise UsageError(
            f"{kind} trains the victim's weights, and {victim.name} has none to train here; take an hf: victim, and write {kind} last, "
            f"as in spell+{kind}"
        )
    if not train:
        raise UsageError(f"{kind} learns from a training split, and there is none; name one with --train")
    if isinstance(train, Unread):
        return victim
    train = keep(train) if keep else train
    identity = [
        VERSION,
        training_dtype(device_of(victim.options)),
        kind,
        settings,
        asdict(recipe),
        seed,
        files_hash(folder),
        victim.options.max_length,
        [[example.id, example.label] for example in train],
    ]
    made = trained(
        kind,
        identity,
        folder,
        train,
        label_names=victim.label_names,
        seed=seed,
        recipe=recipe,
        device=victim.options.device,
        title=kind,
        **how,
    )
    found = HFVictim.from_folder(made, victim.options, name=victim.name)
    found.added_seconds = victim.added_seconds + found.training_seconds
    return found
