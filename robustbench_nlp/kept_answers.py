"""Answers of a server that came but reached no record: nobody waits, or pays, for them twice.

With a file, every answer is written as it comes, and a run that goes on has those of the runs before. Each is handed out once, in
the order in which they came, so that asking a text twice still shows two answers of the server; and a text that is asked alone
never gets what the server said of it in a batch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from robustbench_nlp.data.example import Input, content_hash
from robustbench_nlp.records import set_aside
from robustbench_nlp.shapes import fits
from robustbench_nlp.victim import Probabilities

__all__ = ["FILE", "KeptAnswers"]

FILE = "answers.jsonl"
"""In a run folder: a line an answer, `[hash of the input, whether it was asked alone, [probability, …]]`."""

_Entry = tuple[bool, Probabilities]


class KeptAnswers:
    """A store of answers by input."""

    def __init__(self) -> None:
        self._entries: dict[str, list[_Entry]] = {}
        self._path: Path | None = None

    def keep(self, path: Path, *, resume: bool) -> None:
        """Take up what the file holds, without `resume` set it aside, and write every answer there from now on."""
        self._path = path
        self._entries = {}
        if path.exists() and not resume:
            set_aside(path)
        elif path.exists():
            line = b"\n"
            with path.open("r+b") as file:
                for line in file:
                    self._read(line)
                if not line.endswith(b"\n"):
                    file.write(b"\n")  # behind a line that a crash tore

    def came(self, inputs: Sequence[Input], rows: Probabilities) -> None:
        """Write down the answer to one request."""
        if self._path is not None:
            alone = len(inputs) == 1
            lines = [json.dumps([_key(item), alone, row]) for item, row in zip(inputs, rows.tolist(), strict=True)]
            with self._path.open("ab") as file:
                file.write("".join(f"{line}\n" for line in lines).encode("ascii"))

    def put_back(self, inputs: Sequence[Input], rows: Probabilities) -> None:
        """Keep the answer to one request for who asks next."""
        for item, row in zip(inputs, rows, strict=True):
            self._entries.setdefault(_key(item), []).append((len(inputs) == 1, row))

    def take(self, item: Input, *, alone: bool) -> Probabilities | None:
        """The oldest answer to the input, (classes,), which nobody gets again; None where there is none."""
        entries = self._entries.get(key := _key(item)) if self._entries else None
        if not entries:
            return None
        fit = [i for i, (was_alone, _) in enumerate(entries) if was_alone == alone]
        if alone and not fit:
            return None
        _, row = entries.pop(fit[0] if fit else 0)
        if not entries:
            del self._entries[key]
        return row

    def _read(self, line: bytes) -> None:
        """Enter a line; one that is none, torn by a crash, is an answer that has to be asked for again."""
        try:
            key, alone, row = json.loads(line)
        except (ValueError, TypeError, RecursionError):
            return
        if fits(key, str) and fits(alone, bool) and fits(row, list[float]):
            self._entries.setdefault(key, []).append((alone, np.array(row, np.float32)))


def _key(item: Input) -> str:
    return content_hash(item if isinstance(item, str) else list(item))[:24]
