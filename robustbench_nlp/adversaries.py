"""Adversarial texts to learn from: attacks on training examples, right labels kept."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from random import Random
from typing import Any

from robustbench_nlp import plugins
from robustbench_nlp.data.example import Example, Input
from robustbench_nlp.engine import attack_examples
from robustbench_nlp.errors import UsageError
from robustbench_nlp.helpers import identity
from robustbench_nlp.preparation import prepares
from robustbench_nlp.synonym_hull import set_name
from robustbench_nlp.training_loop import More
from robustbench_nlp.victim import Victim

__all__ = ["adversarial", "once", "taught", "versions"]

LEARNED = 1_000
"""Training examples that an attack which learns first learns from, at most."""


def adversarial(
    attacks: Sequence[str],
    victim: Victim,
    train: Sequence[Example],
    seed: int,
    *,
    sample: int,
    max_queries: int | None = None,
) -> tuple[list[Input], list[int]]:
    """What each attack (a selector) ends in on `sample` training examples, drawn for each anew, and their labels. An attack that learns
    first learns from others. Raises `UsageError` for a sample of none, or of so many that none are left to learn from."""
    if sample < 1:
        raise UsageError(f"attacks on {sample} training examples give nothing to learn from; set sample to 1 or more")
    rng = Random(seed)
    inputs: list[Input] = []
    labels: list[int] = []
    for name in attacks:
        attack = plugins.create("attack", name)
        attacked = rng.sample(list(train), min(sample, len(train)))
        field = attack.threat.fields[0] if attack.threat.fields else next(iter(attacked[0].fields))
        dev: Sequence[Example] = ()
        if prepares(attack):
            kept = {example.id for example in attacked}
            others = [example for example in train if example.id not in kept]
            dev = rng.sample(others, min(LEARNED, len(others)))
            if not dev:
                raise UsageError(
                    f"{name} learns from training examples that it doesn't attack; lower sample below {len(train)}"
                )
        texts = attack_examples(attack, victim, attacked, seed=seed, max_queries=max_queries, dev=dev)
        for example, text in zip(attacked, texts, strict=True):
            if text is not None:
                inputs.append(example.with_field(field, text))
                labels.append(example.label)
    return inputs, labels


def taught(attacks: Sequence[str]) -> tuple[str, ...]:
    """What a defense knows that learns from attacks (`defense.knows`): their names, and what they draw on."""
    told: list[str] = []
    for selector in attacks:
        attack = plugins.create("attack", selector)
        sets = [set_name(attack.threat.candidates)] if attack.threat.candidates else []
        told += [plugins.parse(selector).name, *sets, *getattr(attack, "drawn_from", ())]
    return tuple(dict.fromkeys(told))


def versions(attacks: Sequence[str]) -> list[object]:
    """What decides each attack's texts beside its selector: its version and the weights of its helper models. Raises `UsageError`
    where these can't be had."""
    found: list[object] = []
    for attack in (plugins.create("attack", name) for name in attacks):
        found.append(getattr(attack, "version", 1))
        found += [identity(kind, name) for kind, name in getattr(attack, "helpers", ())]
    return found


def once(attacks: Sequence[str], victim: Victim, train: Sequence[Example], rng: Random, **how: Any) -> More:
    """For a training's `more`: the `adversarial` texts for the victim as it was before, found before the first epoch, in every one.

    `rng` is left as it was.
    """
    seed = copy(rng).getrandbits(32)
    return lambda current, epoch: None if epoch else adversarial(attacks, victim, train, seed, **how)
