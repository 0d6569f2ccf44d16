"""What an attack learns before it meets the test examples: once per cell, on the dev split, never on the test split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from robustbench_nlp.attack import Attack, Gradients, Probe, Sample, Scores, Together
from robustbench_nlp.data.example import Example, content_hash
from robustbench_nlp.errors import UsageError
from robustbench_nlp.gradients import slots
from robustbench_nlp.predictor import Predictor
from robustbench_nlp.tasks.classification import judge, right
from robustbench_nlp.text import Text

__all__ = ["prepare", "prepares", "refuse_untaught"]


def prepares(attack: Attack) -> bool:
    """Whether the attack wants to learn from dev examples first."""
    return hasattr(attack, "prepare")


def refuse_untaught(name: str, examples: Sequence[Example]) -> None:
    """Raises `UsageError` where the attack of this name has no dev example to learn from."""
    if not examples:
        raise UsageError(
            f"attack {name} learns from a dev split first; run it on a dataset that has one, such as mr or imdb"
        )


def prepare(
    attack: Any,
    predictor: Predictor,
    examples: Sequence[Example],
    *,
    name: str,
    seed: int,
    each_round: Callable[[], None] = lambda: None,
) -> Any:
    """What `attack.prepare` makes of the examples that the victim classifies right; `each_round` is called after every request.
    Raises `UsageError`.

    `prepare(samples, rng)` is a generator that yields `Together` requests and returns anything; its queries are training,
    not part of any example's budget.
    """
    refuse_untaught(name, examples)
    field = attack.threat.fields[0] if attack.threat.fields else next(iter(examples[0].fields))
    outputs = predictor.predict([example.input for example in examples]).outputs
    judged = judge(outputs, [example.label for example in examples])
    samples = [
        Sample(
            example=example,
            text=Text(example.fields[field]),
            field=field,
            label=example.label,
            threat=attack.threat,
            score=score,
            vocabulary=getattr(predictor.victim, "vocabulary", None) if attack.threat.knowledge == "gradient" else None,
        )
        for example, score, margin in zip(examples, judged.score.tolist(), judged.margin.tolist(), strict=True)
        if right(margin)
    ]
    steps = attack.prepare(samples, Random(int(content_hash(seed, name, "prepare")[:16], 16)))
    answer: Any = None
    while True:
        each_round()
        try:
            request = steps.send(answer)
        except StopIteration as end:
            return end.value
        answer = _answered(request, predictor, attack.threat.knowledge == "gradient")


def _answered(request: Together, predictor: Predictor, white_box: bool) -> list[Any]:
    """One answer a pair, in order."""
    if not isinstance(request, Together):
        raise TypeError(f"prepare yielded a {type(request).__name__}; it must yield Together")
    samples = [sample for sample, _ in request.pairs]
    texts = [text for _, text in request.pairs]
    inputs = [sample.example.with_field(sample.field, str(text)) for sample, text in request.pairs]
    labels = [sample.label for sample in samples]
    if request.kind is Probe:
        outputs = predictor.predict(inputs).outputs
        scores = judge(outputs, labels).score.tolist()
        return [Scores([score], [False], [row]) for score, row in zip(scores, outputs.tolist(), strict=True)]
    if not white_box or not hasattr(predictor.victim, "gradients"):
        raise UsageError(
            f"the victim {predictor.victim.name} gives no gradients; attack an hf: victim without rewriting"
        )
    return [
        Gradients(loss, gradient, slots(text, sample, offsets, fields))
        for sample, text, (loss, gradient, offsets, fields) in zip(
            samples, texts, predictor.gradients(inputs, labels), strict=True
        )
    ]
