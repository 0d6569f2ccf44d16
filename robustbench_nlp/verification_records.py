"""`verify`, record by record: what the victim, the referee and the encoder that are here say of what is on record.

Errors can't be made again; of them only the prediction without an attack is checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from robustbench_nlp import progress
from robustbench_nlp.attack import Encode
from robustbench_nlp.data.example import Example
from robustbench_nlp.engine import Engine
from robustbench_nlp.errors import VictimError
from robustbench_nlp.records import Record
from robustbench_nlp.referee import Verdict, similarities
from robustbench_nlp.tasks.classification import MARGIN, judge, right
from robustbench_nlp.threat import measure
from robustbench_nlp.victim import Probabilities

__all__ = ["TOLERANCE", "rechecked"]

TOLERANCE = 0.01
"""By how much a probability or a similarity may differ from the recorded one: more than another machine's rounding makes of it."""


def rechecked(
    engine: Engine, examples: Mapping[str, Example], records: Sequence[Record], *, exact: bool, measured: bool
) -> Iterator[str]:
    """A line for whatever differs of one cell's `records`, which all have a prediction without an attack: it and attacked texts
    predicted again, threats rechecked, costs held against the budget and, where similarity is `measured` here, that too.

    A search that isn't `exact`, in low precision or by random draws, may miss what the referee would have credited.
    """
    answers = engine.predictor.counted([examples[record.example_id].input for record in records])
    with progress.task(f"verify {engine.name}", len(records)) as step:
        for i, record in enumerate(records):
            example = examples[record.example_id]
            lines = [f"cannot be predicted again: {answers.errors[i]}"] if i in answers.errors else []
            lines += [] if lines else _clean(record, example.label, answers.outputs[i])
            if record.outcome in ("success", "failed"):
                lines += [*_attacked(engine, example, record, exact=exact), *_spent(engine, record)]
            yield from (f"example {record.example_id} {line}" for line in lines)
            step(1, "")
    if measured:
        yield from _similar(engine, examples, [record for record in records if record.outcome == "success"])


def _clean(record: Record, label: int, output: Probabilities) -> Iterator[str]:
    prediction = int(output.argmax())
    if prediction != record.clean_prediction:
        yield f"is predicted {prediction} without an attack, {record.clean_prediction} on record"
    elif not _near(output, record.clean_output):
        yield f"has the clean output {_shown(output)}, {record.clean_output} on record"
    if record.clean_output is not None and len(record.clean_output) == len(output):
        margin = float(judge(np.array([record.clean_output], np.float32), [label]).margin[0])
        if (record.outcome == "skipped") == right(margin):
            yield f"is recorded as {record.outcome} with the prediction {record.clean_prediction} and the label {label}"


def _attacked(engine: Engine, example: Example, record: Record, *, exact: bool) -> Iterator[str]:
    if record.adversarial is None:
        yield f"is recorded as {record.outcome} without a text"
        return
    name = _field(engine, example)
    string = _string(engine, example, record)
    if example.with_field(name, string) != record.adversarial:
        yield f"has a text that differs outside its field {name}"
    try:
        verdict = engine.referee.judge(example, name, string)
    except VictimError as problem:
        yield f"cannot be predicted again: {problem}"
        return
    if exact and verdict.success and record.outcome == "failed":
        yield "is recorded as failed, and its text is a success"
    if not verdict.success and record.outcome == "success":
        yield f"is recorded as a success: {verdict.reason}"
    if exact or record.outcome == "success":
        yield from _answered(record, verdict)
    changes = measure(example.fields[name], string)
    for count in ("words_changed", "words_total", "edits_chars"):
        if getattr(changes, count) != getattr(record, count):
            yield f"has {count} {getattr(changes, count)}, {getattr(record, count)} on record"


def _answered(record: Record, verdict: Verdict) -> Iterator[str]:
    """The referee's answer to the attacked text, where it asked; entries of a leaderboard have no outputs."""
    if verdict.output is None:
        return
    if not _led_by(verdict.output, record.adversarial_prediction):
        here = int(verdict.output.argmax())
        yield f"is predicted {here} under attack, {record.adversarial_prediction} on record"
    elif record.adversarial_output is not None and not _near(verdict.output, record.adversarial_output):
        yield f"has the output {_shown(verdict.output)} under attack, {record.adversarial_output} on record"
    if record.margin is None or not abs((verdict.margin or 0.0) - record.margin) <= 2 * TOLERANCE:
        yield f"has the margin {verdict.margin}, {record.margin} on record"


def _spent(engine: Engine, record: Record) -> Iterator[str]:
    """Queries are counted by draws, and the first draws are the clean prediction's, whatever the budget."""
    cost, most = engine.predictor.cost, engine.threat.max_queries
    if most is not None and record.queries > max(most, cost):
        yield f"spent {record.queries} queries, at most {most} were allowed"
    succeeded = record.outcome == "success"
    if not (1 + succeeded) * cost <= record.forwards * cost <= record.queries:
        yield f"spent {record.queries} queries on {record.forwards} texts{f' of {cost} draws' * (cost > 1)}"
    first = record.first_success_query
    if succeeded and (first is None or not 2 * cost <= first <= record.queries):
        yield f"first succeeded at query {first} of {record.queries}, the clean text being {f'queries 1 to {cost}' if cost > 1 else 'query 1'}"
    if not succeeded and first is not None:
        yield f"is recorded as {record.outcome}, and as a success at query {first}"


def _similar(engine: Engine, examples: Mapping[str, Example], successes: Sequence[Record]) -> Iterator[str]:
    """The similarity of all successes, in one call."""
    known = [record for record in successes if record.adversarial is not None]
    if engine.similarity is None:
        yield from (
            f"example {record.example_id} has the similarity {record.similarity}, and the run measures none"
            for record in known
            if record.similarity is not None
        )
        return
    before = [examples[record.example_id].fields[_field(engine, examples[record.example_id])] for record in known]
    after = [_string(engine, examples[record.example_id], record) for record in known]
    encoder = engine.helpers.exact(Encode, engine.similarity)
    for record, value in zip(known, similarities(encoder, before, after), strict=True):
        if isinstance(value, VictimError):
            yield f"example {record.example_id} has a similarity that can't be measured here: {value}"
        elif record.similarity is None or not abs(value - record.similarity) <= TOLERANCE:
            yield f"example {record.example_id} has the similarity {value:.3f}, {record.similarity} on record"


def _field(engine: Engine, example: Example) -> str:
    return engine.field or next(iter(example.fields))


def _string(engine: Engine, example: Example, record: Record) -> str:
    """The attacked field's text."""
    text, at = record.adversarial, list(example.fields).index(_field(engine, example))
    return text if isinstance(text, str) else "".join((text or ())[at : at + 1])


def _led_by(output: Probabilities, prediction: int | None) -> bool:
    """Whether no class leads the recorded one by more than another batch or machine moves."""
    known = prediction is not None and 0 <= prediction < len(output)
    return known and bool(output.max() - output[prediction] <= MARGIN)


def _near(output: Probabilities, recorded: Sequence[float] | None) -> bool:
    return recorded is not None and len(recorded) == len(output) and np.allclose(output, recorded, atol=TOLERANCE)


def _shown(output: Probabilities) -> list[float]:
    return [round(float(value), 3) for value in output]
