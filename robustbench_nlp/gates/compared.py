"""One check held against its baseline file: refused, compared field by field, or written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from robustbench_nlp.errors import UsageError
from robustbench_nlp.gates.baseline import (
    Baseline,
    baseline_file,
    differences,
    differences_before,
    load,
    measured,
    near,
    save,
)
from robustbench_nlp.gates.options import GateOptions
from robustbench_nlp.gates.verdict import Outcome, Verdict, judged
from robustbench_nlp.recorded import Cell
from robustbench_nlp.report.flips import flips

__all__ = ["Comparison", "compared", "foreseen"]

ORDER: tuple[Outcome, ...] = ("pass", "inconclusive", "fail")
SHOWN = 3
"""Settings that a refusal names."""


@dataclass(frozen=True)
class Comparison:
    """The verdicts by (cell, field), the cells that they are about, and what was `written` ('' for nothing). What is written is
    compared with itself: as a victim will be that doesn't change."""

    verdicts: Mapping[tuple[str, str], Verdict]
    cells: Sequence[Cell]
    written: str = ""

    @property
    def outcome(self) -> Outcome:
        """The worst of all verdicts."""
        return max((verdict.outcome for verdict in self.verdicts.values()), key=ORDER.index, default="pass")

    @property
    def needed(self) -> int | None:
        """The most examples that an inconclusive verdict needs."""
        return max((verdict.needed for verdict in self.verdicts.values() if verdict.needed), default=None)

    def told(self, outcome: Outcome) -> list[str]:
        """A line for every verdict of this outcome."""
        return [f"{cell}: {v.told()}" for (cell, _), v in self.verdicts.items() if v.outcome == outcome]

    def doubts(self) -> list[str]:
        """A few words for every verdict that is inconclusive."""
        return [f"{cell}: {v.doubted()}" for (cell, _), v in self.verdicts.items() if v.doubt]

    def explained(self, outcome: Outcome) -> list[str]:
        """These lines, and the texts that were right in the baseline and are wrong now, of the first cell."""
        cell, verdict = next((cell, v) for (cell, _), v in self.verdicts.items() if v.outcome == outcome)
        held = next(c for c in self.cells if " × ".join(c.name) == cell)
        word = "worse than the baseline" if outcome == "fail" else "inconclusive, which --robust-strict fails"
        lines = [f"{word}: {line}" for line in self.told(outcome)]
        return lines + flips(
            (held.records[i] for i in verdict.lost), held.header["label_names"], "flips since the baseline"
        )

    def properties(self) -> list[tuple[str, object]]:
        """For JUnit: each field's drop (a rise for a success rate), its bounds and verdict."""
        found: list[tuple[str, object]] = []
        for (cell, name), v in self.verdicts.items():
            place = f"[{cell.replace(' × ', ',', 1)}]"
            found += [(f"{name}_baseline{place}", v.before), (f"{name}_verdict{place}", v.outcome)]
            found += [(f"{name}_worse_low{place}", v.worse.low), (f"{name}_worse_high{place}", v.worse.high)]
            if v.needed:
                found.append((f"{name}_needed{place}", v.needed))
        return found


def foreseen(options: GateOptions, test: str, check: int) -> Callable[[Mapping[str, Any]], None] | None:
    """What hears a run's cells before their attacks, and raises `UsageError` for the settings of another baseline; None where
    nothing is compared. Raises `UsageError` at once where there is no baseline, or a damaged one."""
    if options.update == "all":
        return None
    path = baseline_file(options.baseline or Path(), test, check)
    old = load(path)
    if old is None and not options.update:
        raise UsageError(f"the baseline {near(path)} is not there; write it with --robust-update-new-only")
    return None if old is None else lambda header: _refuse(path, differences_before(old, header))


def compared(
    cells: Sequence[Cell], tolerances: Mapping[str, float], options: GateOptions, test: str, check: int
) -> Comparison:
    """Compare a run's cells with their baseline, or write that, as the options say.

    Raises `UsageError` where there is none, or one of other settings.
    """
    now = measured(cells)
    path = baseline_file(options.baseline or Path(), test, check)
    old = None if options.update == "all" else load(path)
    missing = [name for name in now.cells if old is None or name not in old.cells]
    if old is not None:
        _refuse(path, differences(old, now, exact=bool(missing)))
    if missing and not options.update:
        raise UsageError(f"the baseline {near(path)} has no {missing[0]}; write it with --robust-update-new-only")
    kept = Baseline(now.settings, now.cells | (old.cells if old else {}))
    found = Comparison(_verdicts(kept, now, tolerances), cells)
    if not missing or options.fails(found.outcome):
        return found
    return replace(found, written="written" if save(path, test, kept) else "unchanged")


def _verdicts(before: Baseline, now: Baseline, tolerances: Mapping[str, float]) -> dict[tuple[str, str], Verdict]:
    return {
        (name, field): judged(field, cell.verdicts, now.cells[name].verdicts, tolerance)
        for name, cell in before.cells.items()
        for field, tolerance in tolerances.items()
        if cell.verdicts
    }


def _refuse(path: Path, found: Sequence[str]) -> None:
    if found:
        more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise UsageError(
            f"the baseline {near(path)} was made with other settings ({'; '.join(found[:SHOWN])}{more}): it can't be compared. "
            "Undo the change, or accept it and write the baseline again with --robust-update-baseline"
        )
