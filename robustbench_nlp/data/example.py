"""Examples and datasets: named input fields, a label, an identity made of the content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

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
        """16 hex digits of the content, label included."""
        return content_hash(dict(self.fields), self.label)[:16]

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
    """One split of a dataset: its examples in content-hash order, so that a smaller limit is a subset of a larger one."""

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

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of name, version, split, labels and the ids of all examples."""
        ids = [example.id for example in self.examples]
        return content_hash(self.name, self.version, self.split, self.label_names, ids)[:16]

    def head(self, limit: int | None) -> tuple[Example, ...]:
        """The first `limit` examples, or all."""
        return self.examples if limit is None else self.examples[:limit]
