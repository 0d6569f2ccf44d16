"""The pytest gate: the marker `robustness(attack=…, min_accuracy=…, max_drop=…)` and the fixture `robustness`.

Loaded by every pytest run of an environment that has this package, so it imports nothing else of it before a check.
"""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from robustbench_nlp.api import Run

__all__ = ["Gate", "robustness"]

MARKER = (
    "robustness(attack, min_accuracy=None, max_drop=None, defenses=('none',), limit=None, seed=0, ...): settings of the "
    "fixture `robustness`, whose check(victim=..., data=...) fails where accuracy under attack is too low or drops too far"
)
FLIPS = 3
TOLERANCE = 1e-9
"""For shares that are equal but for their last bit."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


@pytest.fixture
def robustness(request: pytest.FixtureRequest, tmp_path: Path) -> Gate:
    """A robustness gate with the settings of the test's `robustness` marker."""
    marker = request.node.get_closest_marker("robustness")
    if marker is not None and marker.args:
        pytest.fail("robustness takes keywords only: robustness(attack='deepwordbug', min_accuracy=0.5)", pytrace=False)
    return Gate(dict(marker.kwargs) if marker else {}, tmp_path / "robustness", request.node.user_properties)


@dataclass(frozen=True)
class Gate:
    """Runs an evaluation and fails the test where a bound is broken; accuracies go to the test's `properties` (JUnit)."""

    settings: dict[str, Any]
    folder: Path
    properties: list[tuple[str, object]]

    def check(self, *, victim: object, data: object, **overrides: Any) -> Run:
        """Attack `victim` (a selector or a callable texts -> (n, classes)) on `data` (a selector or (text, label) pairs).

        Keywords override the marker's: `attack` (one or a list), `min_accuracy` (the least accuracy under attack, in
        [0, 1]), `max_drop` (the most that it may lie below the clean accuracy, in [0, 1]), and everything else that
        `robustbench_nlp.evaluate` takes. The bounds are exact checks of these examples; the intervals are for the
        reader. Returns the run, for further assertions.
        """
        __tracebackhide__ = True
        from robustbench_nlp.api import evaluate
        from robustbench_nlp.errors import UsageError

        settings = {"similarity": "none", "output": self._new_folder()} | self.settings | overrides
        try:
            bounds = _bounds(settings)
            known = set(signature(evaluate).parameters) - {"victim", "dataset", "attacks"}
            _refuse_unknown(settings, {"attack", "min_accuracy", "max_drop", *known})
            run = evaluate(victim=victim, dataset=data, attacks=settings.pop("attack"), **settings)  # type: ignore[arg-type]
        except UsageError as problem:
            pytest.fail(str(problem), pytrace=False)
        problems = _problems(run, bounds)
        for row in run.table.to_dict("records"):
            for name in ("clean_accuracy", "robust_accuracy"):
                self.properties.append((f"{name}[{row['defense']},{row['attack']}]", row[name]))
        if problems:
            pytest.fail("\n".join(problems), pytrace=False)
        return run

    def _new_folder(self) -> Path:
        return self.folder / str(len(list(self.folder.glob("*"))))


class _Bounds(NamedTuple):
    min_accuracy: float | None
    max_drop: float | None


def _bounds(settings: dict[str, Any]) -> _Bounds:
    """Take the bounds out of the settings. Raises `UsageError` where one is no share, or both are missing."""
    from robustbench_nlp.errors import UsageError

    bounds = _Bounds(settings.pop("min_accuracy", None), settings.pop("max_drop", None))
    if "attack" not in settings:
        raise UsageError(
            "the gate has no attack; give one, for example robustness(attack='deepwordbug', min_accuracy=0.5)"
        )
    if bounds == (None, None):
        raise UsageError("the gate has no bound; give min_accuracy=, max_drop=, or both")
    for name, value in bounds._asdict().items():
        if value is not None and not (isinstance(value, int | float) and 0 <= value <= 1):
            raise UsageError(f"{name} is {value!r}; give a share between 0 and 1")
    return bounds


def _refuse_unknown(settings: dict[str, Any], known: set[str]) -> None:
    from robustbench_nlp.errors import unknown

    for name in settings:
        if name not in known:
            raise unknown("keyword of the robustness gate", name, known)


def _problems(run: Run, bounds: _Bounds) -> list[str]:
    """What a developer reads where the gate fails: every broken bound, then the flips behind the first one."""
    from robustbench_nlp.report.table import REDUCTION, incomplete
    from robustbench_nlp.stats import paired_difference

    rows = incomplete(run.table)
    lines = [f"the run is incomplete: {row}" for row in rows]
    if rows:
        lines += [f"  first error: {error}" for error in _errors(run)[:1]]
    broken: list[tuple[str, str]] = []
    for row in run.table.to_dict("records"):
        if row["mode"] == REDUCTION:
            lines.append(
                f"{row['attack']} keeps the prediction and measures no robustness; a gate needs another attack"
            )
            continue
        n, clean, robust = row["n"], row["clean_accuracy"], row["robust_accuracy"]
        where = f"under {row['attack']} with defense {row['defense']} on {n} examples"
        before = len(lines)
        if bounds.min_accuracy is not None and robust < bounds.min_accuracy - TOLERANCE:
            interval = f"[{row['robust_low']:.1%}, {row['robust_high']:.1%}]"
            lines.append(f"accuracy {where} is {robust:.1%} {interval}; at least {bounds.min_accuracy:.1%} is required")
        if bounds.max_drop is not None and clean - robust > bounds.max_drop + TOLERANCE:
            before_attack, after_attack = ([i < round(share * n) for i in range(n)] for share in (clean, robust))
            low, high = paired_difference(before_attack, after_attack)  # what is right under attack was right before
            drop = f"{clean - robust:.1%} [{low:.1%}, {high:.1%}], from {clean:.1%} to {robust:.1%}"
            lines.append(f"accuracy {where} drops by {drop}; at most {bounds.max_drop:.1%} is allowed")
        if len(lines) > before:
            broken.append((row["defense"], row["attack"]))
    return lines + (_flips(run, *broken[0]) if broken else [])


def _errors(run: Run) -> list[str]:
    return [record.error or "" for records in run.records.values() for record in records if record.outcome == "error"]


def _flips(run: Run, defense: str, attack: str) -> list[str]:
    """The successes that fooled the victim most, one an example; those of every member for a worst case."""
    cells = run.records
    chosen = [(defense, attack)] if (defense, attack) in cells else [key for key in cells if key[0] == defense]
    successes = [record for key in chosen for record in cells[key] if record.outcome == "success"]
    worst = {record.example_id: record for record in sorted(successes, key=lambda r: r.margin or 0.0, reverse=True)}
    lines = [f"the worst of {len(worst)} flips:"] if worst else []
    for record in list(worst.values())[: -FLIPS - 1 : -1]:
        lines.append(f"  label {record.label}, predicted {record.clean_prediction} → {record.adversarial_prediction}")
        lines += [f"    - {record.original!r}", f"    + {record.adversarial!r}"]
    return lines
