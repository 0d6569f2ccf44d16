"""The fixture's object: runs an evaluation, holds it against fixed bounds and the baseline, and says what a developer needs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.gates.options import COMPARED, DEFAULT_TOLERANCES, GateOptions

if TYPE_CHECKING:
    from robustbench_nlp.api import Run
    from robustbench_nlp.gates.bounds import Bounds
    from robustbench_nlp.gates.compared import Comparison
    from robustbench_nlp.recorded import Cell

__all__ = ["Gate", "InconclusiveGate"]

OWN = ("attack", "data", "min_accuracy", "max_drop", "tolerance", "suite", "threat")
"""The gate's own keywords; the others are `evaluate`'s."""


class InconclusiveGate(pytest.PytestWarning):
    """A gate passed without evidence: its examples are too few to say on which side of the tolerance the drop lies."""


@dataclass
class Gate:
    """A test's robustness gate; what it finds goes to the test's `properties` (JUnit, and the summary at the end)."""

    settings: dict[str, Any]
    folder: Path
    properties: list[tuple[str, object]]
    test: str = ""
    options: GateOptions = field(default_factory=GateOptions)
    attack: Any = None
    default_victim: Callable[[], object] = lambda: None
    checks: int = 0

    def check(self, *, victim: object = None, data: object = None, **overrides: Any) -> Run:
        """Attack `victim` (a selector or a callable texts -> (n, classes)) on `data` (a selector or (text, label) pairs).

        Without a victim the fixture `victim` gives one, without data the marker or --robust-data. Keywords override the
        marker's: `attack` (one or a list), `threat` (limits for each of them that searches, beside its own), `min_accuracy`
        (the least accuracy under attack, in [0, 1]), `max_drop` (the most that it may lie below the clean accuracy, in
        [0, 1]), `tolerance` (the most that a field may be worse than in the baseline: a share for robust accuracy, or shares
        by field), and everything else that `robustbench_nlp.evaluate` takes. The bounds are exact checks of these examples,
        the comparison with the baseline a test with intervals. Returns the run, for further assertions.
        """
        __tracebackhide__ = True
        self.checks += 1
        try:
            asked = self._asked(data, overrides)
            if reason := self._left_out(asked.attack):
                pytest.skip(reason)
            run = self._run(victim, asked)
            problems, comparison = self._found(run, asked)
        except (UsageError, pytest.fail.Exception) as problem:  # the latter: the fixture `victim` has none
            self._tell("fail", [str(problem)])
            raise pytest.fail.Exception(str(problem), pytrace=False) from None
        self._judge(problems, comparison)
        return run

    def _asked(self, data: object, overrides: Mapping[str, Any]) -> _Asked:
        from robustbench_nlp.api import evaluate
        from robustbench_nlp.gates.bounds import taken_bounds

        settings = {"similarity": "none", "output": self.folder / str(self.checks), **self.settings, **overrides}
        settings.pop("suite", None)
        known = {*OWN, *signature(evaluate).parameters} - {"victim", "dataset", "attacks", "on_cell", "on_open"}
        for name in settings:
            if name not in known:
                raise unknown("keyword of the robustness gate", name, known)
        attack = overrides.get("attack") or self.attack or settings.get("attack")
        settings.pop("attack", None)
        attack = attack if isinstance(attack, Iterable) or not attack else [attack]
        attack = _limited(attack, settings.pop("threat", {}))
        marked = settings.pop("data", None)
        tolerances = self._tolerances(settings)
        bounds = taken_bounds(settings)
        if not attack:
            raise UsageError(
                "the gate has no attack; give one, for example robustness(attack='deepwordbug', min_accuracy=0.5)"
            )
        if bounds == (None, None) and not tolerances:
            raise UsageError(
                "the gate has no bound; give min_accuracy=, max_drop=, or both, or a --robust-baseline DIR"
            )
        chosen = marked if data is None else data
        chosen = self.options.data or None if chosen is None else chosen
        if chosen is None:
            raise UsageError("the gate has no data; give check(data=…), data= in the marker, or --robust-data SELECTOR")
        limit, most = settings.get("limit"), self.options.limit
        if most is not None and (limit is None or (isinstance(limit, int) and limit > most)):
            settings["limit"] = most
        return _Asked(attack, chosen, bounds, tolerances, settings)

    def _tolerances(self, settings: dict[str, Any]) -> Mapping[str, float]:
        """The marker's tolerance, else the options'; none without a folder of baselines, or for `tolerance=None`."""
        wanted = settings.pop("tolerance", "")
        if wanted is None:
            return {}
        if self.options.baseline is None:
            if wanted != "":
                raise UsageError(
                    "a tolerance needs baselines; give --robust-baseline DIR, or robust_baseline in the ini file"
                )
            return {}
        if wanted == "":
            return self.options.tolerances or DEFAULT_TOLERANCES
        shares = dict(wanted) if isinstance(wanted, Mapping) else {"robust_accuracy": wanted}
        for name, share in shares.items():
            if name not in COMPARED:
                raise unknown("field to compare", name, COMPARED)
            if not (isinstance(share, int | float) and 0 <= share <= 1):
                raise UsageError(f"tolerance of {name} is {share!r}; give a share between 0 and 1")
        return shares

    def _left_out(self, attack: Any) -> str:
        from robustbench_nlp.gates.selection import left_out

        return left_out(self.options, attack)

    def _run(self, victim: object, asked: _Asked) -> Run:
        from robustbench_nlp.api import evaluate
        from robustbench_nlp.gates.compared import foreseen

        on_cell = foreseen(self.options, self.test, self.checks) if asked.tolerances else None
        target: Any = self.default_victim() if victim is None else victim
        return evaluate(victim=target, dataset=asked.data, attacks=asked.attack, on_cell=on_cell, **asked.settings)

    def _found(self, run: Run, asked: _Asked) -> tuple[list[str], Comparison | None]:
        """Everything that is wrong, and what the comparison with the baseline gave."""
        from robustbench_nlp.gates.bounds import broken, incomplete_lines
        from robustbench_nlp.gates.compared import compared

        rows: list[Any] = run.table.to_dict("records")
        for row in rows:
            for name in ("clean_accuracy", "robust_accuracy"):
                self.properties.append((f"{name}[{row['defense']},{row['attack']}]", row[name]))
        problems = incomplete_lines(run)
        if problems:
            return problems, None
        lines = [(row, broken(row, asked.bounds)) for row in rows]
        problems = [line for _, found in lines for line in found]
        if problems:
            worst = next(row for row, found in lines if found)
            return problems + _flipped(run, worst["defense"], worst["attack"]), None
        if not asked.tolerances or self.options.baseline is None:
            return [], None
        return [], compared(_cells(run, asked), asked.tolerances, self.options, self.test, self.checks)

    def _judge(self, problems: Sequence[str], comparison: Comparison | None) -> None:
        __tracebackhide__ = True
        if comparison is None:
            self._tell("fail" if problems else "pass", problems)
            if problems:
                pytest.fail("\n".join(problems), pytrace=False)
            return
        self.properties += comparison.properties()
        outcome = comparison.outcome
        self._tell(outcome, comparison.told(outcome), comparison.needed, comparison.written)
        if self.options.fails(outcome):
            pytest.fail("\n".join(comparison.explained(outcome)), pytrace=False)
        if outcome == "inconclusive":
            warnings.warn(InconclusiveGate("\n".join(comparison.doubts())), stacklevel=3)

    def _tell(self, outcome: str, lines: Sequence[str], needed: int | None = None, written: str = "") -> None:
        from robustbench_nlp.gates.summary import properties

        self.properties += properties(self.checks, outcome, lines[0] if lines else "", needed, written)


class _Asked(NamedTuple):
    attack: Any
    data: Any
    bounds: Bounds
    tolerances: Mapping[str, float]
    settings: dict[str, Any]


def _limited(attack: Any, limits: Any) -> Any:
    """The attack or attacks with a gate's limits on their threats, but noise, which searches for nothing."""
    from robustbench_nlp.gates.selection import limited, noise

    if not isinstance(limits, Mapping):
        raise UsageError(f"threat is {limits!r}; give limits by name, for example threat={{'max_words_share': 0.2}}")
    if not attack or not limits:
        return attack
    attacks = [attack] if isinstance(attack, str) else attack
    return [one if noise(one) else limited(one, limits) for one in attacks]


def _cells(run: Run, asked: _Asked) -> list[Cell]:
    """What is on record; attacks that are objects are not to be made again from the run's settings."""
    from robustbench_nlp.grid import grid_of
    from robustbench_nlp.recorded import recorded_cells

    attacks = [asked.attack] if isinstance(asked.attack, str) else list(asked.attack)
    return recorded_cells(run.folder, grid_of(attacks, cascade=asked.settings.get("cascade", False)))


def _flipped(run: Run, defense: str, attack: str) -> list[str]:
    """The flips of one row; those of every member for a worst case."""
    from robustbench_nlp.records import read
    from robustbench_nlp.report.flips import flips

    cells = run.records
    chosen = [(defense, attack)] if (defense, attack) in cells else [key for key in cells if key[0] == defense]
    file = read(min((run.folder / "records").glob("*.jsonl")))
    names = file.header["label_names"] if file else ()
    return flips((r for key in chosen for r in cells[key] if r.outcome == "success"), names)
