"""An event loop in a thread of its own: many calls at once for code that waits for all of them, also where a loop runs already."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["Background"]

Found = TypeVar("Found")


class Background:
    """Runs coroutines until it is dropped; then `close`, a coroutine function, is the last that it runs."""

    def __init__(self, name: str, close: Callable[[], Awaitable[None]]) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=_serve, args=(self._loop,), daemon=True, name=name).start()
        weakref.finalize(self, _end, self._loop, close)

    def submit(self, work: Coroutine[Any, Any, Found]) -> Future[Found]:
        """Start the work; the future gives what it returns or raises, and cancelling it cancels the work."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


def _end(loop: asyncio.AbstractEventLoop, close: Callable[[], Awaitable[None]]) -> None:
    """Ask the loop to end, without waiting: the garbage collector may call from any thread, the loop's own too."""

    async def ended() -> None:
        try:
            await close()
        finally:
            loop.stop()

    if not loop.is_closed():
        loop.call_soon_threadsafe(lambda: loop.create_task(ended()))
