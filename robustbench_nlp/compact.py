"""A dict from example ids to truth values or whole numbers that takes some 15 bytes an entry where Python's takes 150."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp import on_disk
from robustbench_nlp.on_disk import key_of, named_by_key

__all__ = ["Compact"]

NOTHING, LEAST, MOST = -(2**31), -(2**31) + 1, 2**31 - 1
"""How None is written, and what numbers the array holds."""

Value = TypeVar("Value", bound="int | None")


class Compact(MutableMapping[str, Value], Generic[Value]):
    """New entries gather in a dict; once they are many they go into two arrays, sorted by id. Only ids of 16 hex digits do, as
    examples have them, and numbers of 32 bits. `kind` makes a value from its number."""

    def __init__(self, entries: Iterable[tuple[str, Value]] = (), *, kind: Callable[[int], Value]) -> None:
        self._kind: Callable[[int], Value] = kind
        self._fresh: dict[str, Value] = {}
        self._room = on_disk.KEPT
        self._keys: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._values: NDArray[np.int32] = np.empty(0, np.int32)
        for identity, value in entries:
            self[identity] = value

    def __len__(self) -> int:
        return len(self._keys) + len(self._fresh)

    def __iter__(self) -> Iterator[str]:
        yield from (f"{key:016x}" for key in self._keys)
        yield from self._fresh

    def __getitem__(self, identity: str) -> Value:
        if identity in self._fresh:
            return self._fresh[identity]
        place = self._place(identity)
        if place is None:
            raise KeyError(identity)
        return self._value(self._values[place])

    def __setitem__(self, identity: str, value: Value) -> None:
        place = self._place(identity)
        if place is not None and _fits(value):
            self._values[place] = NOTHING if value is None else int(value)
            return
        if place is not None:
            del self[identity]
        self._fresh[identity] = value
        if len(self._fresh) > self._room:
            self._pack()

    def __delitem__(self, identity: str) -> None:
        if identity in self._fresh:
            del self._fresh[identity]
            return
        place = self._place(identity)
        if place is None:
            raise KeyError(identity)
        self._keys, self._values = np.delete(self._keys, place), np.delete(self._values, place)

    def _value(self, number: Any) -> Value:
        return None if number == NOTHING else self._kind(int(number))  # type: ignore[return-value]

    def _place(self, identity: str) -> int | None:
        """Where the arrays have it."""
        if not len(self._keys) or not named_by_key(identity):
            return None
        key = np.uint64(key_of(identity))
        place = int(np.searchsorted(self._keys, key))
        return place if place < len(self._keys) and self._keys[place] == key else None

    def _pack(self) -> None:
        """Merge the dict into the arrays; the dict may then grow to a sixteenth of them, so that each entry moves few times."""
        packed = {name: value for name, value in self._fresh.items() if named_by_key(name) and _fits(value)}
        for name in packed:
            del self._fresh[name]
        keys = np.concatenate([self._keys, np.fromiter(map(key_of, packed), np.uint64)])
        order = np.argsort(keys)
        self._keys = keys[order]
        del keys
        numbers = (NOTHING if value is None else int(value) for value in packed.values())
        self._values = np.concatenate([self._values, np.fromiter(numbers, np.int32)])[order]
        self._room = len(self._fresh) + max(on_disk.KEPT, len(self._keys) // 16)


def _fits(value: int | None) -> bool:
    return value is None or LEAST <= value <= MOST
