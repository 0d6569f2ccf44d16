"""What fuzz targets are made of: bytes as choices, the list of targets, and the header of a cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["HEADER", "TARGETS", "Given", "target"]

Target = Callable[["Given"], None]
TARGETS: dict[str, Target] = {}
"""By name."""


class Given:
    """Bytes that become choices: numbers from the end, texts and files from the front; with none left, zeros and ''."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def number(self, below: int) -> int:
        if not self.content or below < 2:
            return 0
        value, self.content = self.content[-1], self.content[:-1]
        return value % below

    def text(self, most: int = 200) -> str:
        """Any code points, lone surrogates among them."""
        taken, self.content = self.content[:most], self.content[most:]
        return taken.decode("utf-8", "surrogateescape")

    def rest(self) -> bytes:
        taken, self.content = self.content, b""
        return taken


def target(function: Target) -> Target:
    TARGETS[function.__name__] = function
    return function


HEADER: dict[str, Any] = {
    "defense": "none",
    "attack": "pwws",
    "mode": "adaptive",
    "dataset": "d",
    "split": "test",
    "victim": "v",
    "threat": "any@1",
    "task": "classification",
    "schema": 1,
    "seed": 0,
    "fingerprint": "f",
    "max_queries": None,
    "spec": {"labels": [["a", "b"], "x"]},
    "environment": {"python": "3.11", "packages": {"torch": "2"}},
}
