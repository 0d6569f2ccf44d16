"""The pytest gate: the marker `robustness(attack=…, min_accuracy=…, max_drop=…)` and the fixture `robustness`.

Loaded by every pytest run of an environment that has this package, so it imports nothing else of it before a check.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from robustbench_nlp.api import Run

__all__ = ["Gate", "robustness"]

MARKER = (
    "robustness(attack, min_accuracy=None, max_drop=None, defenses=('none',), limit=None, seed=0, ...): settings of the "
    "fixture `robustness`, whose check(victim=..., data=...) fails where accuracy under attack is too low or drops too far"
)
FLIPS = 3


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


@pytest.fixture
def robustness(request: pytest.FixtureRequest, tmp_path: Path, record_property: Callable[[str, object], None]) -> Gate:
    """A robustness gate with the settings of the test's `robustness` marker."""
    marker = request.node.get_closest_marker("robustness")
    if marker is not None and marker.args:
        pytest.fail("robustness takes keywords only: robustness(attack='deepwordbug', min_accuracy=0.5)", pytrace=False)
    return Gate(dict(marker.kwargs) if marker else {}, tmp_path / "robustness", record_property)


@dataclass(frozen=True)
class Gate:
    """Runs an evaluation and fails the test where a bound is broken."""

    settings: dict[str, Any]
    folder: Path
    record_property: Callable[[str, object], None]

    def check(self, *, victim: object, data: object, **overrides: object) -> Run:
        """Attack `victim` (a selector or a callable texts -> (n, classes)) on `data` (a selector or (text, label) pairs).

        Keywords override the marker's: `attack` (one, or a list), `min_accuracy` (the least accuracy under attack, in
        [0, 1]), `max_drop` (the most that it may lie below the clean accuracy, in [0, 1]), and everything that
        `robustbench_nlp.evaluate` takes. Returns the run, for further assertions.
        """
        __tracebackhide__ = True
        pytest.fail("not yet")
