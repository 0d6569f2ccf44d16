"""Examples and datasets: named input fields, a label, an identity made of the content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from robustbench_nlp.errors import UsageError

__all__ = ["Dataset", "Example", "Input", "content_hash"]

Input = str | tuple[str, ...]
"""What a victim reads: one string for one-field tasks, else a tuple in field order."""


def content_hash(*parts: object) -> str:
    """A hex digest of JSON-able parts; any string is allowed, lone surrogates too."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode("ascii")).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Example:
    """One labelled input; `fields` keeps its order and `label` is an index into the dataset's label names."""

    fields: Mapping[str, str]
    label: int

    @cached_property
    def id(self) -> str:
        """16 hex digits of the fields. The label stays out: its number depends on whose order it follows."""
        return content_hash(dict(self.fields))[:16]

    @cached_property
    def input(self) -> Input:
        values = tuple(self.fields.values())
        return values[0] if len(values) == 1 else values

    def with_field(self, name: str, value: str) -> Input:
        """The victim's input with one field replaced."""
        if len(self.fields) == 1:
            return value
        return tuple(value if key == name else old for key, old in self.fields.items())


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One split of a dataset: its examples in content-hash order, so that a smaller limit is a subset of a larger one.

    The order is made here, whatever order the examples come in. `note` is a sentence for captions. Raises `UsageError`
    for a label outside the dataset and for an input that stands there twice: records are kept by example id.
    """

    name: str
    split: str
    examples: tuple[Example, ...]
    label_names: tuple[str, ...]
    licence: str = "unknown"
    source: str = ""
    version: int = 1
    note: str = ""
    task: str = "classification"
    fields: tuple[str, ...] = field(default=("text",))

    def __post_init__(self) -> None:
        examples = tuple(sorted(self.examples, key=lambda example: example.id))
        for example, following in pairwise(examples):
            if example.id == following.id:
                raise UsageError(f"dataset {self.name} holds {_shown(example)} twice; keep one of them")
        for example in examples:
            if not 0 <= example.label < len(self.label_names):
                raise UsageError(
                    f"dataset {self.name}: the label {example.label} of {_shown(example)} is outside its "
                    f"{len(self.label_names)} label names ({', '.join(self.label_names)}); correct it or name it"
                )
        object.__setattr__(self, "examples", examples)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of name, version, split, and every example's id and label name: label numbers don't matter."""
        labelled = [(example.id, self.label_names[example.label]) for example in self.examples]
        return content_hash(self.name, self.version, self.split, labelled)[:16]

    def head(self, limit: int | None) -> tuple[Example, ...]:
        """The first `limit` examples, or all."""
        return self.examples if limit is None else self.examples[:limit]


def _shown(example: Example) -> str:
    """The start of an example's first field, for messages; ASCII, so that any terminal can print it."""
    return ascii(next(iter(example.fields.values()), "")[:40])
