"""Flips as lines for a reader: label, predictions, original and adversarial text; of many, those that fooled the victim most."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from robustbench_nlp.console import printable

if TYPE_CHECKING:
    from robustbench_nlp.records import Record

__all__ = ["FLIPS", "flip", "flips"]

FLIPS = 3


def flips(records: Iterable[Record], names: Sequence[str], title: str = "flips") -> list[str]:
    """The `FLIPS` records that were got wrong by most, one an example, as lines for a developer; the count of all first, and those
    that an attack broke before those that were wrong without one. `names` are those of the labels."""
    worst: dict[str, Record] = {}
    for record in sorted(records, key=lambda record: (record.adversarial is None, record.margin or 0.0)):
        worst.setdefault(record.example_id, record)
    lines = [f"the worst of {len(worst)} {title}:"] if worst else []
    for record in list(worst.values())[:FLIPS]:
        lines += flip(record, names)
    return lines


def flip(record: Record, names: Sequence[str]) -> list[str]:
    """One record's lines; `names` are those of the labels."""
    label, clean, attacked = (
        "nothing" if number is None else printable(names[number])
        for number in (record.label, record.clean_prediction, record.adversarial_prediction)
    )
    if record.adversarial is None:
        return [f"  label {label}, predicted {clean} without an attack", f"    - {record.original!r}"]
    said = f"  label {label}, predicted {clean} → {attacked}"
    return [said, f"    - {record.original!r}", f"    + {record.adversarial!r}"]
