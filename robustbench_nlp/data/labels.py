"""Where the victim's labels meet the dataset's: by name or by an explicit map, never by guess."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from robustbench_nlp.data.example import Dataset, labels_of, relabelled
from robustbench_nlp.errors import UsageError, unknown

__all__ = ["match_labels"]


def match_labels(dataset: Dataset, victim_labels: tuple[str, ...], label_map: Mapping[str, str] | None) -> Dataset:
    """The dataset with its labels renumbered in the victim's order; names stay the dataset's, and so does the fingerprint.

    Labels meet where their names are equal but for case, or where `label_map` (victim's label → dataset's label) says so.
    A victim without label names takes the dataset's own order. Classes of the victim that the dataset lacks are fine.
    Raises `UsageError` where a label in use has no single counterpart, or where the map names a label that isn't there.
    """
    if not victim_labels:
        if label_map:
            raise UsageError(
                f"the victim names no labels, so its outputs follow the dataset's order ({', '.join(dataset.label_names)}); "
                "drop the label map"
            )
        return dataset
    names = _renamed(dataset, victim_labels, label_map or {})
    used = sorted(set(labels_of(dataset.examples)))
    columns = {label: [i for i, name in enumerate(names) if name == dataset.label_names[label]] for label in used}
    for label, found in columns.items():
        if len(found) > 1:
            several = " and ".join(victim_labels[i] for i in found)
            raise UsageError(
                f"the victim's labels {several} both mean the dataset's '{dataset.label_names[label]}'; "
                "map one victim label to each dataset label"
            )
    if not all(columns.values()):
        raise UsageError(
            f"the victim's labels ({', '.join(victim_labels)}) are not the dataset's ({', '.join(dataset.label_names)}); "
            f"say which is which, for example --label-map {_pairs(victim_labels, dataset.label_names)}"
        )
    examples = relabelled(dataset.examples, {label: found[0] for label, found in columns.items()})
    return replace(dataset, examples=examples, label_names=names)


def _pairs(victim_labels: tuple[str, ...], dataset_labels: tuple[str, ...]) -> str:
    """A label map to start from: equal names meet, the others follow each other."""
    theirs = {label.casefold(): label for label in victim_labels}
    equal = {label: theirs[label.casefold()] for label in dataset_labels if label.casefold() in theirs}
    others = (label for label in victim_labels if label not in equal.values())
    pairs = [(equal.get(label) or next(others, "?"), label) for label in dataset_labels]
    return ",".join(f"{victim_label}={label}" for victim_label, label in pairs)


def _renamed(dataset: Dataset, victim_labels: tuple[str, ...], label_map: Mapping[str, str]) -> tuple[str, ...]:
    """The victim's labels in the dataset's words, where they have one."""
    theirs = {label.casefold(): label for label in victim_labels}
    ours = {label.casefold(): label for label in dataset.label_names}
    mapping = {}
    for victim_label, dataset_label in label_map.items():
        if victim_label.casefold() not in theirs:
            raise unknown("label of the victim", victim_label, victim_labels)
        if dataset_label.casefold() not in ours:
            raise unknown(f"label of the dataset {dataset.name}", dataset_label, dataset.label_names)
        mapping[victim_label.casefold()] = dataset_label.casefold()
    meanings = [mapping.get(label.casefold(), label.casefold()) for label in victim_labels]
    return tuple(ours.get(meaning, label) for meaning, label in zip(meanings, victim_labels, strict=True))
