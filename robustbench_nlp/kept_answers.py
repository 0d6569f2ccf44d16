"""Answers of a server that came but reached no record: nobody waits, or pays, for them twice.

With a file, every answer is written as it comes, and a run that goes on has those of the runs before, which stay in the file: memory
holds where each one's line stands, some 20 bytes. Each is handed out once, in the order in which they came, so that asking a text
twice still shows two answers of the server; and a text that is asked alone never gets what the server said of it in a batch.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from robustbench_nlp.data.example import Input, content_hash
from robustbench_nlp.errors import writing
from robustbench_nlp.on_disk import Lines, key_of
from robustbench_nlp.records import set_aside
from robustbench_nlp.shapes import fits
from robustbench_nlp.victim import Probabilities

__all__ = ["FILE", "KeptAnswers"]

FILE = "answers.jsonl"
"""In a run folder: a line an answer, `[hash of the input, whether it was asked alone, [probability, …]]`."""

_SHORT = 16
"""Of a key's 24 digits, those that the index holds."""

_Entry = tuple[bool, Probabilities]
_Line = tuple[str, bool, list[float]]


class _Filed:
    """The answers in a file by key, each handed out once."""

    def __init__(self, path: Path) -> None:
        """Lines that are none, torn by a crash, are answers that have to be asked for again."""
        keys, starts, sizes = array("Q"), array("q"), array("i")
        start, line = 0, b"\n"
        with path.open("r+b") as file:
            for line in file:
                if (found := _parsed(line)) is not None:
                    keys.append(key_of(found[0][:_SHORT]))
                    starts.append(start)
                    sizes.append(len(line))
                start += len(line)
            if not line.endswith(b"\n"):
                with writing(path):
                    file.write(b"\n")  # behind a line that a crash tore
                    file.flush()
        order = np.argsort(np.frombuffer(keys, np.uint64), kind="stable")
        self._keys = np.frombuffer(keys, np.uint64)[order]
        self._lines = Lines.of(
            path, np.frombuffer(starts, np.int64)[order], np.frombuffer(sizes, np.int32)[order], _parsed
        )
        self._there = np.ones(len(order), bool)

    def pop(self, key: str) -> list[_Entry]:
        """The key's answers in the order in which they came; nobody gets them again."""
        short = np.uint64(key_of(key[:_SHORT]))
        found = []
        for row in range(int(np.searchsorted(self._keys, short)), int(np.searchsorted(self._keys, short, "right"))):
            if self._there[row] and (line := self._lines[row]) is not None and line[0] == key:
                self._there[row] = False
                found.append((line[1], np.array(line[2], np.float32)))
        return found


class KeptAnswers:
    """A store of answers by input."""

    def __init__(self) -> None:
        self._entries: dict[str, list[_Entry]] = {}
        self._filed: _Filed | None = None
        self._path: Path | None = None

    def keep(self, path: Path, *, resume: bool) -> None:
        """Take up what the file holds, without `resume` set it aside, and write every answer there from now on."""
        self._path = path
        self._entries = {}
        self._filed = None
        if path.exists() and not resume:
            set_aside(path)
        elif path.exists():
            self._filed = _Filed(path)

    def came(self, inputs: Sequence[Input], rows: Probabilities) -> None:
        """Write down the answer to one request. Raises `UsageError` where that can't be done: it would be paid for again."""
        if self._path is not None:
            alone = len(inputs) == 1
            lines = [json.dumps([_key(item), alone, row]) for item, row in zip(inputs, rows.tolist(), strict=True)]
            with writing(self._path), self._path.open("ab") as file:
                file.write("".join(f"{line}\n" for line in lines).encode("ascii"))

    def put_back(self, inputs: Sequence[Input], rows: Probabilities) -> None:
        """Keep the answer to one request for who asks next."""
        for item, row in zip(inputs, rows, strict=True):
            self._entries.setdefault(_key(item), []).append((len(inputs) == 1, row))

    def take(self, item: Input, *, alone: bool) -> Probabilities | None:
        """The oldest answer to the input, (classes,), which nobody gets again; None where there is none."""
        if self._filed is None and not self._entries:
            return None
        key = _key(item)
        if self._filed is not None and (old := self._filed.pop(key)):
            self._entries[key] = old + self._entries.get(key, [])
        entries = self._entries.get(key)
        if not entries:
            return None
        fit = [i for i, (was_alone, _) in enumerate(entries) if was_alone == alone]
        if alone and not fit:
            return None
        _, row = entries.pop(fit[0] if fit else 0)
        if not entries:
            del self._entries[key]
        return row


def _parsed(line: bytes) -> _Line | None:
    """A line's key, whether its input was asked alone, and the row; None for what is none."""
    try:
        key, alone, row = json.loads(line)
    except (ValueError, TypeError, RecursionError):
        return None
    return (key, alone, row) if fits(key, str) and fits(alone, bool) and fits(row, list[float]) else None


def _key(item: Input) -> str:
    return content_hash(item if isinstance(item, str) else list(item))[:24]
