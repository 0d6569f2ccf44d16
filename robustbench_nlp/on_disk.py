"""Long lists that stay in a file: memory holds where each entry's line stands, some 20 bytes, whatever the line holds.

What is short is kept in memory as it is, since it is looked at often: `KEPT` says how short.
"""

from __future__ import annotations

import os
import re
import weakref
from array import array
from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from hashlib import blake2b
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "KEPT",
    "Growing",
    "Keyed",
    "Lines",
    "Listed",
    "Numbers",
    "Spool",
    "View",
    "key_of",
    "listed",
    "named_by_key",
    "packed",
    "taken",
    "unpacked",
]

KEPT = 2_000
"""Lists of up to so many entries stay in memory."""
SPOOLED = 1 << 20
"""The bytes that a spool holds before it goes to the disk."""

Entry = TypeVar("Entry")
Other = TypeVar("Other")
Numbers = NDArray[Any]


class _File:
    """A descriptor of one's own, closed with its last user: the file may be renamed or removed meanwhile."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)


class Listed(Sequence[Entry]):
    """A sequence that equals any other with the same entries."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]


class Lines(Listed[Entry]):
    """Entries of a file, each parsed from its line whenever it is looked at."""

    def __init__(self, file: _File, starts: Numbers, sizes: Numbers, parse: Callable[[bytes], Entry]) -> None:
        self._file, self._starts, self._sizes, self._parse = file, starts, sizes, parse

    @classmethod
    def of(cls, path: Path, starts: Numbers, sizes: Numbers, parse: Callable[[bytes], Entry]) -> Lines[Entry]:
        """Lines of the file that is now at `path`."""
        return cls(_File(os.open(path, os.O_RDONLY)), starts, sizes, parse)

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[Entry]:
        for row in range(len(self)):
            yield self._at(row)

    @overload
    def __getitem__(self, index: int) -> Entry: ...

    @overload
    def __getitem__(self, index: slice) -> Lines[Entry]: ...

    def __getitem__(self, index: int | slice) -> Entry | Lines[Entry]:
        return self.taken(index) if isinstance(index, slice) else self._at(index)

    def taken(self, rows: Numbers | slice) -> Lines[Entry]:
        """Those entries, in that order."""
        return Lines(self._file, self._starts[rows], self._sizes[rows], self._parse)

    def parsed(self, parse: Callable[[bytes], Other]) -> Lines[Other]:
        """The same lines read otherwise."""
        return Lines(self._file, self._starts, self._sizes, parse)

    def _at(self, row: int) -> Entry:
        return self._parse(os.pread(self._file.descriptor, int(self._sizes[row]), int(self._starts[row])))


class Spool:
    """Takes lines, and gives them back as `Lines` of a file without a name, in $TMPDIR."""

    def __init__(self) -> None:
        self._starts, self._sizes = array("q"), array("i")
        self._end = 0
        self._file = SpooledTemporaryFile(SPOOLED)  # noqa: SIM115

    def __len__(self) -> int:
        return len(self._starts)

    def add(self, line: bytes) -> None:
        self._starts.append(self._end)
        self._sizes.append(len(line))
        self._end += len(line)
        self._file.write(line)

    def close(self) -> None:
        self._file.close()

    def lines(self, parse: Callable[[bytes], Entry]) -> Lines[Entry]:
        """What was added; nothing can be added any more."""
        with self._file as file:
            file.rollover()
            file.flush()
            held = _File(os.dup(file.fileno()))
        return Lines(held, np.array(self._starts, np.int64), np.array(self._sizes, np.int32), parse)


def packed(strings: Sequence[str]) -> bytes:
    """Any strings as one line of a spool, halves of characters too (which JSON would join): how long each is, then what each is."""
    parts = [string.encode("utf-8", "surrogatepass") for string in strings]
    return b"".join([array("I", [len(parts), *map(len, parts)]).tobytes(), *parts])


def unpacked(line: bytes) -> Sequence[str]:
    """The strings of a line that `packed` made."""
    size = array("I").itemsize
    count = memoryview(line)[:size].cast("I")[0]
    start, strings = size * (1 + count), []
    for length in memoryview(line)[size:start].cast("I"):
        strings.append(line[start : start + length].decode("utf-8", "surrogatepass"))
        start += length
    return strings


def key_of(identity: str) -> int:
    """An id in 64 bits: an example's 16 hex digits as they are, of any other string a hash."""
    if named_by_key(identity):
        return int(identity, 16)
    return int.from_bytes(blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def named_by_key(identity: str) -> bool:
    """Whether an id's key tells it."""
    return _HEX(identity) is not None


_HEX = re.compile("[0-9a-f]{16}").fullmatch


class Keyed(Mapping[str, Entry]):
    """Entries by id, in their order, that stay in their file."""

    def __init__(self, keys: Numbers, lines: Lines[Entry], identify: Callable[[Entry], str], *, plain: bool) -> None:
        """`plain` where all ids are 16 hex digits, so that keys tell them."""
        self._keys, self.lines, self._identify, self._plain = keys, lines, identify, plain
        self._order = np.argsort(keys).astype(np.uint32)

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self) -> Iterator[str]:
        if self._plain:
            return (f"{key:016x}" for key in self._keys)
        return map(self._identify, self.lines)

    def __contains__(self, identity: object) -> bool:
        return isinstance(identity, str) and self._row(identity) is not None

    def __getitem__(self, identity: str) -> Entry:
        row = self._row(identity)
        if row is None:
            raise KeyError(identity)
        return self.lines[row]

    def values(self) -> ValuesView[Entry]:
        return _Values(self)

    def items(self) -> ItemsView[str, Entry]:
        return _Items(self)

    def taken(self, identities: Iterable[str]) -> Keyed[Entry]:
        """Those of these ids, in this order. Raises `KeyError` for one that isn't there."""
        keys = np.fromiter(map(key_of, identities), np.uint64)
        rows = self._order.take(np.searchsorted(self._keys, keys, sorter=self._order), mode="clip")
        if not np.array_equal(self._keys[rows], keys):
            raise KeyError("an id without an entry")
        return Keyed(keys, self.lines.taken(rows), self._identify, plain=self._plain)

    def _row(self, identity: str) -> int | None:
        key = np.uint64(key_of(identity))
        place = int(np.searchsorted(self._keys, key, sorter=self._order))
        row = int(self._order[place]) if place < len(self) else -1
        return row if row >= 0 and self._keys[row] == key else None


class _Values(ValuesView[Entry]):
    """One reading of the file, from entry to entry."""

    _mapping: Keyed[Entry]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._mapping.lines)


class _Items(ItemsView[str, Entry]):
    _mapping: Keyed[Entry]

    def __iter__(self) -> Iterator[tuple[str, Entry]]:
        return ((self._mapping._identify(entry), entry) for entry in self._mapping.lines)


class View(Mapping[str, Entry]):
    """Entries made from those of other mappings with the same ids, whenever they are looked at; `make` raises `KeyError` for any
    other id."""

    def __init__(self, identities: Mapping[str, Any], make: Callable[[str], Entry]) -> None:
        self._identities, self._make = identities, make

    @classmethod
    def of(cls, identities: Mapping[str, Any], make: Callable[[str], Entry]) -> Mapping[str, Entry]:
        """A view, or where there are few a dict."""
        view = cls(identities, make)
        return view if len(view) > KEPT else dict(view)

    def __len__(self) -> int:
        return len(self._identities)

    def __iter__(self) -> Iterator[str]:
        return iter(self._identities)

    def __contains__(self, identity: object) -> bool:
        return identity in self._identities

    def __getitem__(self, identity: str) -> Entry:
        return self._make(identity)


def taken(entries: Mapping[str, Entry], identities: Iterable[str]) -> Mapping[str, Entry]:
    """Those of these ids, in this order; what stays on the disk still does. Raises `KeyError` for one that isn't there."""
    return entries.taken(identities) if isinstance(entries, Keyed) else {i: entries[i] for i in identities}


def listed(entries: Mapping[str, Entry]) -> Sequence[Entry]:
    """A mapping's values in order; of one that stays on the disk, so do they."""
    return entries.lines if isinstance(entries, Keyed) else list(entries.values())


class Growing(Generic[Entry]):
    """Entries by id as they come, with the place of each one's line in `path`; the last of an id counts."""

    def __init__(self, path: Path, parse: Callable[[bytes], Entry], identify: Callable[[Entry], str]) -> None:
        self._path, self._parse, self._identify = path, parse, identify
        self._kept: dict[str, Entry] | None = {}
        self._keys, self._starts, self._sizes = array("Q"), array("q"), array("i")
        self._plain = True
        self._keyed: Keyed[Entry] | None = None

    def add(self, identity: str, entry: Entry, start: int, size: int) -> None:
        if self._keyed is not None:  # it looks at the arrays: leave them to it
            self._keys, self._starts, self._sizes = self._keys[:], self._starts[:], self._sizes[:]
            self._keyed = None
        self._keys.append(key_of(identity))
        self._starts.append(start)
        self._sizes.append(size)
        self._plain = self._plain and named_by_key(identity)
        if self._kept is not None:
            self._kept[identity] = entry
            if len(self._kept) > KEPT:
                self._kept = None

    @property
    def entries(self) -> Mapping[str, Entry]:
        """What came until now, in the order in which the ids first came."""
        if self._kept is not None:
            return self._kept
        if self._keyed is None:
            starts, sizes = np.frombuffer(self._starts, np.int64), np.frombuffer(self._sizes, np.int32)
            lines = Lines.of(self._path, starts, sizes, self._parse)
            keys = np.frombuffer(self._keys, np.uint64)
            ordered = np.sort(keys)
            if (ordered[1:] == ordered[:-1]).any():
                first = np.unique(keys, return_index=True)[1]
                last = len(keys) - 1 - np.unique(keys[::-1], return_index=True)[1]
                rows = last[np.argsort(first)]
                keys, lines = keys[rows], lines.taken(rows)
            del ordered
            self._keyed = Keyed(keys, lines, self._identify, plain=self._plain)
        return self._keyed
