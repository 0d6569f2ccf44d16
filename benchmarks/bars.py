"""Bars: whether a figure is where it has to be, told beside it; a script that missed one ends with status 1."""

from __future__ import annotations

__all__ = ["Bars"]


class Bars:
    """What a script's figures are held against; `missed` counts those that are on the wrong side."""

    def __init__(self) -> None:
        self.missed = 0

    def at_least(self, figure: float, bar: float) -> str:
        """The bar and whether the figure reaches it."""
        return self._told(figure >= bar, f"at least {bar:g}")

    def at_most(self, figure: float, bar: float) -> str:
        """The bar and whether the figure stays below it."""
        return self._told(figure <= bar, f"at most {bar:g}")

    def end(self) -> None:
        """Leave the script, once everything is printed."""
        raise SystemExit(int(self.missed > 0))

    def _told(self, met: bool, bar: str) -> str:
        self.missed += not met
        return f"bar {bar}: {'met' if met else 'MISSED'}"
