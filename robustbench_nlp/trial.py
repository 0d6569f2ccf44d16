"""One sentence under attack: what `robustbench-nlp attack` shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from robustbench_nlp.api import evaluate
from robustbench_nlp.data.example import Dataset, Example
from robustbench_nlp.errors import UsageError, VictimError, unknown
from robustbench_nlp.predictor import Predictor
from robustbench_nlp.records import Record
from robustbench_nlp.victim import Victim, VictimOptions, open_victim

__all__ = ["Trial", "attack_text"]


class Trial(NamedTuple):
    """What to show, as (heading, value) rows, and whether the attack ended in an error."""

    lines: list[tuple[str, str]]
    failed: bool


def attack_text(
    text: str,
    *,
    victim: str,
    attack: str,
    defense: str = "none",
    label: str | None = None,
    train: str | None = None,
    seed: int = 0,
    max_queries: int | None = None,
    device: str = "auto",
) -> Trial:
    """Attack one text on a victim, which may be defended; without `label` (a name) the victim's answer counts as true.

    Runs what a benchmark of this one example runs. Raises `UsageError`.
    """
    target = open_victim(victim, VictimOptions(device=device))
    names, number = _label(target, text, label)
    example = Example(fields={"text": text}, label=number)
    with TemporaryDirectory() as folder:
        run = evaluate(
            victim=target,
            dataset=Dataset(name="text", split="all", examples=(example,), label_names=names),
            attacks=[attack],
            defenses=[defense],
            train=train if defense != "none" else None,
            seed=seed,
            max_queries=max_queries,
            similarity="none",
            output=Path(folder),
        )
        found = [(name, record) for (_, name), records in run.records.items() for record in records]
    lines = [
        ("victim", target.name if defense == "none" else f"{target.name}, defense {defense}"),
        ("before", text or "(empty text)"),
    ]
    clean = next((record.clean_output for _, record in found if record.clean_output is not None), None)
    if clean is not None:
        lines.append(("", _prediction(clean, names)))
    for name, record in found:
        lines += _shown(name, record, names)
    return Trial(lines, any(record.outcome == "error" for _, record in found))


def _label(target: Victim, text: str, label: str | None) -> tuple[tuple[str, ...], int]:
    """The label names, and the number of the true label."""
    try:
        answer = Predictor(target).exact(text)
    except VictimError as problem:
        raise UsageError(f"the victim cannot read this text: {problem}") from problem
    names = target.label_names or tuple(str(number) for number in range(len(answer)))
    if label is None:
        return names, int(answer.argmax())
    if label not in names:
        raise unknown("label", label, names)
    return names, names.index(label)


def _shown(name: str, record: Record, names: Sequence[str]) -> list[tuple[str, str]]:
    rows = [("attack", name)]
    if record.adversarial is not None:
        rows.append(("after", str(record.adversarial) or "(empty text)"))
        if record.adversarial_output is not None:
            rows.append(("", _prediction(record.adversarial_output, names)))
    rows.append(("outcome", _outcome(record, names)))
    return rows


def _prediction(output: Sequence[float], names: Sequence[str]) -> str:
    top = max(range(len(output)), key=output.__getitem__)
    return f"{names[top]} {100 * output[top]:.1f} %"


def _outcome(record: Record, names: Sequence[str]) -> str:
    if record.outcome == "error":
        return f"error: {record.error}"
    if record.outcome == "skipped":
        return f"not attacked: the prediction is not {names[record.label]} in the first place"
    if record.outcome == "settled":
        return f"not attacked: {record.winner} broke it already"
    verdict = "success" if record.outcome == "success" else "no success"
    return f"{verdict}; {record.words_changed} of {record.words_total} words changed, {_queries(record.queries)}"


def _queries(count: int) -> str:
    return "1 query" if count == 1 else f"{count} queries"
