"""A dataset of the Hugging Face hub, or a folder saved by `datasets`: hf:ID, hf:ID:CONFIG or hf:FOLDER."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from robustbench_nlp.data.example import Dataset
from robustbench_nlp.data.hub import fetch
from robustbench_nlp.data.tables import Columns, Row, Table, to_dataset
from robustbench_nlp.errors import UsageError

__all__ = ["load"]

_SAME_SPLIT = {"dev": ("dev", "validation", "valid", "val")}
"""What hub datasets call our splits, where the names differ."""


def load(
    argument: str,
    split: str,
    *,
    text: str | Sequence[str] = (),
    label: str = "label",
    label_names: Sequence[str] = (),
    revision: str | None = None,
) -> Dataset:
    """One split, by our name or the dataset's own; a folder saved without splits is split "all" whichever is asked for.

    Rows that the hub marks as unlabelled (-1) are left out, and the note says how many.
    """
    if not argument:
        raise UsageError("dataset hf needs a name; write hf:ID, hf:ID:CONFIG or hf:FOLDER")
    splits = fetch(argument, revision)
    name = next((name for name in ("all", *_SAME_SPLIT.get(split, (split,))) if name in splits), "")
    if not name:
        raise UsageError(f"hf:{argument} has no split '{split}'; it has: {', '.join(splits)}; ask for one of them")
    data = splits[name]
    class_names: Sequence[str] = getattr(data.features.get(label), "names", ())
    unlabelled = sum(value == -1 for value in data[label]) if class_names else 0
    if unlabelled and unlabelled == len(data):
        raise UsageError(f"hf:{argument} has no labels in split '{name}'; ask for another of {', '.join(splits)}")
    rows = (
        Row(f"row {number}", _with_name(cells, label, class_names))
        for number, cells in enumerate(data, 1)
        if not class_names or cells[label] != -1
    )
    table = Table(
        kind="hf",
        origin=argument,
        name=Path(argument).name if Path(argument).is_dir() else argument,
        columns=data.column_names,
        rows=rows,
    )
    return to_dataset(
        table,
        Columns(text=text, label=label, label_names=label_names or class_names),
        split="all" if name == "all" else split,
        licence=str(data.info.license or "unknown"),
        source=f"hf:{argument}" + (f" at revision {revision}" if revision else ""),
        note=f"{unlabelled} unlabelled rows are left out." if unlabelled else "",
    )


def _with_name(cells: Mapping[str, object], label: str, class_names: Sequence[str]) -> Mapping[str, object]:
    """The cells with a class number spelled out, where the dataset names its classes."""
    number = cells.get(label)
    return {**cells, label: class_names[number]} if class_names and isinstance(number, int) else cells
