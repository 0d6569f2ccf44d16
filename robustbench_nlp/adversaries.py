"""Adversarial texts to learn from: attacks on training examples, right labels kept."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from robustbench_nlp import plugins
from robustbench_nlp.data.example import Example, Input
from robustbench_nlp.engine import attack_examples
from robustbench_nlp.victim import Victim

__all__ = ["adversarial"]


def adversarial(
    attacks: Sequence[str],
    victim: Victim,
    train: Sequence[Example],
    seed: int,
    *,
    sample: int,
    max_queries: int | None = None,
) -> tuple[list[Input], list[int]]:
    """The successes of each attack (a selector) on `sample` training examples, drawn for each anew, and their labels."""
    rng = Random(seed)
    inputs: list[Input] = []
    labels: list[int] = []
    for name in attacks:
        attack = plugins.create("attack", name)
        attacked = rng.sample(list(train), min(sample, len(train)))
        field = attack.threat.fields[0] if attack.threat.fields else next(iter(attacked[0].fields))
        texts = attack_examples(attack, victim, attacked, seed=seed, max_queries=max_queries)
        for example, text in zip(attacked, texts, strict=True):
            if text is not None:
                inputs.append(example.with_field(field, text))
                labels.append(example.label)
    return inputs, labels
