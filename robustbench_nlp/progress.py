"""Progress on the terminal: live bars where there is one, plain lines elsewhere, silence in libraries and tests.

Long work anywhere says `with task("fine-tuning", total) as step: step(1, "loss 0.31")`; who listens is decided once, by
`listening(...)` in the command line.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

__all__ = ["Step", "listening", "note", "task"]

Step = Callable[[int, str], None]
"""Advance by a number of units and show a short status."""

PLAIN_SECONDS = 15.0
"""The least time between two plain lines of one task."""

_console: ContextVar[Console | None] = ContextVar("console", default=None)
_bars: ContextVar[Progress | None] = ContextVar("bars", default=None)


@contextmanager
def listening(console: Console) -> Iterator[None]:
    """Show notes and tasks on `console` while the block runs."""
    bars = None
    if console.is_terminal:
        bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]} {task.fields[status]}", markup=False),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
    tokens = _console.set(console), _bars.set(bars)
    try:
        if bars is None:
            yield
        else:
            with bars:
                yield
    finally:
        _console.reset(tokens[0])
        _bars.reset(tokens[1])


def note(line: object = "") -> None:
    """Print one line, or any rich renderable, above the bars."""
    console = _console.get()
    if console is not None:
        console.print(line, highlight=False, markup=False, emoji=False, soft_wrap=isinstance(line, str))


@contextmanager
def task(label: str, total: int, done: int = 0) -> Iterator[Step]:
    """One bar, or a plain line every `PLAIN_SECONDS`: units done, units per second, status, time left."""
    console, bars = _console.get(), _bars.get()
    if console is None:
        yield lambda units, status: None
        return
    start = last = time.monotonic()
    first = done

    def rate() -> float:
        return (done - first) / max(time.monotonic() - start, 1e-9)

    if bars is not None:
        identity = bars.add_task(label, total=total, completed=done, status="", rate="")

        def step(units: int, status: str) -> None:
            nonlocal done
            done += units
            bars.update(identity, advance=units, status=status, rate=f"{rate():.1f}/s")

        try:
            yield step
        finally:
            bars.remove_task(identity)
        return

    def line(units: int, status: str) -> None:
        nonlocal done, last
        done += units
        now = time.monotonic()
        if now - last >= PLAIN_SECONDS or (done >= total and now - start >= PLAIN_SECONDS):
            last = now
            left = (total - done) / max(rate(), 1e-9)
            console.print(
                f"{label}: {done}/{total}, {rate():.1f}/s, {status + ', ' if status else ''}{left:.0f} s left",
                highlight=False,
                markup=False,
                emoji=False,  # "noise:keyboard:" is none
                soft_wrap=True,
            )

    yield line
