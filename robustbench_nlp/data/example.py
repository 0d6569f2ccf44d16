"""Examples and datasets: named input fields, a label, an identity made of the content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice, pairwise
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp.errors import UsageError
from robustbench_nlp.on_disk import Lines, Listed

__all__ = [
    "Dataset",
    "Example",
    "Input",
    "Stored",
    "content_hash",
    "fields_of",
    "ids_of",
    "labels_of",
    "listed_hash",
    "picked",
    "relabelled",
]

Input = str | tuple[str, ...]
"""What a victim reads: one string for one-field tasks, else a tuple in field order."""
HASHED = 1_000
"""Items that are hashed at once."""


def fields_of(item: Input) -> tuple[str, ...]:
    """The input's strings."""
    return (item,) if isinstance(item, str) else item


def content_hash(*parts: object) -> str:
    """A hex digest of JSON-able parts; any string is allowed, lone surrogates too."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode("ascii")).hexdigest()


def listed_hash(*parts: object, items: Iterable[object]) -> str:
    """`content_hash(*parts, [*items])`, without all items in memory."""
    digest = hashlib.sha256(f"{json.dumps(parts, sort_keys=True)[:-1]}{', ' if parts else ''}[".encode("ascii"))
    between = ""
    rest = iter(items)
    while some := list(islice(rest, HASHED)):
        digest.update(f"{between}{json.dumps(some, sort_keys=True)[1:-1]}".encode("ascii"))
        between = ", "
    digest.update(b"]]")
    return digest.hexdigest()


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


class Stored(Listed[Example]):
    """Examples in the order of their ids whose texts stay on the disk; 24 bytes of memory each, whatever their length."""

    def __init__(
        self, fields: tuple[str, ...], keys: NDArray[np.uint64], labels: NDArray[Any], texts: Lines[Sequence[str]]
    ) -> None:
        self._fields, self.keys, self.labels, self._texts = fields, keys, labels, texts

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> Stored: ...

    def __getitem__(self, index: int | slice) -> Example | Stored:
        if isinstance(index, slice):
            return self.taken(index)
        fields = dict(zip(self._fields, self._texts[index], strict=True))
        example = Example(fields=fields, label=int(self.labels[index]))
        vars(example)["id"] = f"{self.keys[index]:016x}"
        return example

    def taken(self, rows: NDArray[Any] | slice) -> Stored:
        """Those examples, in that order."""
        return Stored(self._fields, self.keys[rows], self.labels[rows], self._texts.taken(rows))

    def labelled(self, labels: NDArray[Any]) -> Stored:
        """The examples with other labels, in their order."""
        return Stored(self._fields, self.keys, labels, self._texts)

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (list(self),)  # the file is this process's own


def ids_of(examples: Sequence[Example]) -> Iterator[str]:
    """Their ids in order, without a look at texts that are on the disk."""
    if isinstance(examples, Stored):
        return (f"{key:016x}" for key in examples.keys)
    return (example.id for example in examples)


def labels_of(examples: Sequence[Example]) -> Iterator[int]:
    """Their labels in order, likewise."""
    if isinstance(examples, Stored):
        return map(int, examples.labels)
    return (example.label for example in examples)


def picked(examples: Sequence[Example], wanted: Callable[[str], bool]) -> Sequence[Example]:
    """Those whose ids are wanted."""
    if isinstance(examples, Stored):
        mask = np.fromiter(map(wanted, ids_of(examples)), bool, len(examples))
        return examples if mask.all() else examples.taken(mask)
    return tuple(example for example in examples if wanted(example.id))


def relabelled(examples: Sequence[Example], numbers: Mapping[int, int]) -> Sequence[Example]:
    """The examples with each label's number changed."""
    if isinstance(examples, Stored):
        return examples.labelled(np.fromiter(map(numbers.__getitem__, labels_of(examples)), np.int32, len(examples)))
    return tuple(replace(example, label=numbers[example.label]) for example in examples)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One split of a dataset: its examples in content-hash order, so that a smaller limit is a subset of a larger one.

    The order is made here, whatever order the examples come in; many that come from a file stay on the disk (`Stored`).
    `note` is a sentence for captions. Raises `UsageError` for a label outside the dataset and for an input that stands there
    twice: records are kept by example id.
    """

    name: str
    split: str
    examples: Sequence[Example]
    label_names: tuple[str, ...]
    licence: str = "unknown"
    source: str = ""
    version: int = 1
    note: str = ""
    task: str = "classification"
    fields: tuple[str, ...] = field(default=("text",))

    def __post_init__(self) -> None:
        examples = self.examples
        if not isinstance(examples, Stored):  # they are in order, and distinct
            examples = tuple(sorted(examples, key=lambda example: example.id))
            object.__setattr__(self, "examples", examples)
            for example, following in pairwise(examples):
                if example.id == following.id:
                    raise UsageError(f"dataset {self.name} holds {_shown(example)} twice; keep one of them")
        if all(0 <= label < len(self.label_names) for label in set(labels_of(examples))):
            return
        example = next(example for example in examples if not 0 <= example.label < len(self.label_names))
        raise UsageError(
            f"dataset {self.name}: the label {example.label} of {_shown(example)} is outside its "
            f"{len(self.label_names)} label names ({', '.join(self.label_names)}); correct it or name it"
        )

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of name, version, split, and every example's id and label name: label numbers don't matter."""
        names = (self.label_names[label] for label in labels_of(self.examples))
        labelled = zip(ids_of(self.examples), names, strict=True)
        return listed_hash(self.name, self.version, self.split, items=labelled)[:16]

    def head(self, limit: int | None) -> Sequence[Example]:
        """The first `limit` examples, or all."""
        return self.examples if limit is None else self.examples[:limit]


def _shown(example: Example) -> str:
    """The start of an example's first field, for messages; ASCII, so that any terminal can print it."""
    return ascii(next(iter(example.fields.values()), "")[:40])
