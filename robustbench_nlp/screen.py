"""The terminal for tables and progress: whatever is printed on it, no text from data or a model can steer it."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from robustbench_nlp.console import PIPED_WIDTH, printable

__all__ = ["Screen", "screen"]


class Screen(Console):
    """Styles and moves the cursor by itself alone: control characters in what it shows are written out."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


def screen(*, stderr: bool = False) -> Screen:
    """Where a command prints what isn't a plain line; wide enough for any name where stdout goes to a file or a pipe."""
    return Screen(width=None if sys.stdout.isatty() else PIPED_WIDTH, stderr=stderr)
