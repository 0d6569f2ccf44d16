"""Baselines: what a gate saw when it was last accepted, a small JSON file a check, made for `git diff`: one example, one setting a line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from robustbench_nlp.differing import EXAMPLES, differing, flat
from robustbench_nlp.errors import UsageError
from robustbench_nlp.recorded import Cell
from robustbench_nlp.records import Record, file_name, write_whole
from robustbench_nlp.report.table import WORST_CASE

__all__ = [
    "Baseline",
    "BaselineCell",
    "baseline_file",
    "differences",
    "differences_before",
    "load",
    "measured",
    "near",
    "save",
    "unused",
]

SCHEMA = 1
SHARED = ("dataset", "examples", "labels", "seed", "task", "dtype", "similarity")
"""Of a cell's `spec`: what all cells of a check have in common. The victim may change: it is what a gate is for."""
HELD = {"failed": "robust", "success": "broken", "skipped": "wrong", "error": "error"}
"""Verdicts by outcome: right also under attack, right until attacked, wrong without an attack."""


@dataclass(frozen=True)
class BaselineCell:
    """One defense under one attack: its settings, and a verdict an example; none for a cascade's member, whose verdicts stand in
    the worst case."""

    settings: dict[str, Any]
    verdicts: dict[str, str]


@dataclass(frozen=True)
class Baseline:
    """What one check measured: settings of all its cells, and the cells by `defense × attack`."""

    settings: dict[str, Any]
    cells: dict[str, BaselineCell]

    def examples(self) -> set[str]:
        """The ids of all examples."""
        return {identity for cell in self.cells.values() for identity in cell.verdicts}


def baseline_file(folder: Path, test: str, check: int) -> Path:
    """Where a test's baseline lies: a folder a test file, a file a check of a test; `test` is pytest's node id."""
    module, _, name = test.partition("::")
    parts = [file_name(part) for part in Path(module.removesuffix(".py")).parts]
    return folder.joinpath(*parts, file_name(name.replace("::", ".")) + (f"--{check}" if check > 1 else "") + ".json")


def near(path: Path) -> str:
    """The path from here, where it lies below."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def measured(recorded: Sequence[Cell]) -> Baseline:
    """What the cells of a run say, as a baseline."""
    cells = [cell for cell in recorded if cell.measures]
    shared = _shared(cells[0].header) if cells else {}
    return Baseline(shared, {f"{cell.name[0]} × {cell.name[1]}": _cell(cell) for cell in cells})


def _cell(cell: Cell) -> BaselineCell:
    worst = cell.name[1].startswith(WORST_CASE)
    verdicts = {identity: _word(record) for identity, record in cell.records.items()}
    partial = not worst and cell.header["mode"] == "cascade"
    return BaselineCell({} if worst else _own(cell.header), {} if partial else verdicts)


def _shared(header: Mapping[str, Any]) -> dict[str, Any]:
    return flat({key: header["spec"][key] for key in SHARED})


def _own(header: Mapping[str, Any]) -> dict[str, Any]:
    return flat({key: value for key, value in header["spec"].items() if key not in (*SHARED, "victim", "defense")})


def _word(record: Record) -> str:
    return HELD.get(record.outcome, "error")


def load(path: Path) -> Baseline | None:
    """Read a baseline; None where there is no file. Raises `UsageError` for one that can't be read."""
    try:
        content = json.loads(path.read_text("utf-8"))
        if content["schema"] != SCHEMA:
            raise UsageError(f"{path} has the format {content['schema']}, and this is {SCHEMA}; {_mend()}")
        cells = {name: BaselineCell(cell["settings"], cell["verdicts"]) for name, cell in content["cells"].items()}
        return Baseline(content["settings"], cells)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise UsageError(f"{path} is damaged ({problem}); restore it, or {_mend()}") from problem


def save(path: Path, test: str, baseline: Baseline) -> bool:
    """Write a baseline whole or not at all; False where the file has it already."""
    cells = {
        name: asdict(cell) | ({"counts": dict(Counter(cell.verdicts.values()))} if cell.verdicts else {})
        for name, cell in baseline.cells.items()
    }
    content = {"schema": SCHEMA, "test": test, "settings": baseline.settings, "cells": cells}
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if path.exists() and path.read_text("utf-8", "replace") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text)
    return True


def unused(folder: Path, tests: Collection[str], root: Path) -> list[Path]:
    """The baselines of tests that are not among these node ids, though their module is, or is no longer below `root`."""
    modules = {test.partition("::")[0] for test in tests}
    found = []
    for path in sorted(folder.rglob("*.json")):
        test = _test(path)
        module = test.partition("::")[0]
        if test and test not in tests and (module in modules or not (root / module).exists()):
            found.append(path)
    return found


def _test(path: Path) -> str:
    """The node id that a baseline names; '' for a file that is none."""
    try:
        return str(json.loads(path.read_text("utf-8"))["test"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def differences(old: Baseline, new: Baseline, *, exact: bool = False) -> list[str]:
    """What forbids to compare, a phrase each. Fewer examples of the same dataset may be compared with a baseline of more, unless
    they are to stand in one file (`exact`)."""
    fewer = not exact and old.settings.get("dataset") == new.settings.get("dataset") and new.examples() < old.examples()
    found = _apart("", _counted(old), _counted(new), fewer=fewer)
    added = [name for name in new.cells if name not in old.cells]
    for name, cell in old.cells.items():
        if name not in new.cells:
            found.append(f"{name} is no longer measured" + (f", {', '.join(added)} is" if added else ""))
        else:
            found += _apart(f"{name}: ", cell.settings, new.cells[name].settings)
    return found


def differences_before(old: Baseline, header: Mapping[str, Any]) -> list[str]:
    """What of `differences` a cell's header tells, before there are records."""
    shared, name = _shared(header) | {"n": header["n"]}, f"{header['defense']} × {header['attack']}"
    fewer = old.settings.get("dataset") == shared["dataset"] and header["n"] < len(old.examples())
    found = _apart("", _counted(old), shared, fewer=fewer)
    return found + (_apart(f"{name}: ", old.cells[name].settings, _own(header)) if name in old.cells else [])


def _counted(baseline: Baseline) -> dict[str, Any]:
    return {**baseline.settings, "n": len(baseline.examples())}


def _apart(place: str, old: Mapping[str, Any], new: Mapping[str, Any], *, fewer: bool = False) -> list[str]:
    allowed = ("n", *EXAMPLES) if fewer else ()
    return [f"{place}{name}: {then} then, now {now}" for name, then, now in differing(old, new, allowed)]


def _mend() -> str:
    return "write it again with --robust-update-baseline"
