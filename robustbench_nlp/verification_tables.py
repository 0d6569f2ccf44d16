"""`verify`, file by file: do a run folder's table and manifest say what its records say?"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pandas as pd

from robustbench_nlp.errors import UsageError, apart
from robustbench_nlp.recorded import Cell
from robustbench_nlp.report.files import completed
from robustbench_nlp.report.shown import markdown
from robustbench_nlp.report.table import UNTOLD, row, table
from robustbench_nlp.run_files import manifest_of

__all__ = ["COSTS", "published", "same"]

COSTS = ("seconds",)
"""Columns that may differ from machine to machine."""
AGAIN = "robustbench-nlp report --formats md writes it again"
_RELEASE = re.compile(r"robustbench-nlp \S+, records schema")

Names = Collection[tuple[str, str]]


def published(folder: Path, recorded: pd.DataFrame, cells: Sequence[Cell], lost: Names) -> Iterator[str]:
    """A line for whatever of `recorded`, the folder's table.csv, of manifest.json and of table.md the `cells` don't give. Nothing is
    said of the `lost` cells, by defense and attack; and of table.md, the same table for readers, only where all else holds."""
    made = table([row(cell.header, cell.records.values()) for cell in cells])
    found = [*_table(recorded, made, lost), *_manifest(folder, cells, lost)]
    yield from found
    if not found and not lost:
        yield from _markdown(folder, completed(cells, folder))


def _table(recorded: pd.DataFrame, computed: pd.DataFrame, lost: Names) -> Iterator[str]:
    """The rows and cells in which the published table isn't the one that the records give."""
    keys = ["defense", "attack"]
    told = {tuple(row[key] for key in keys): row for row in recorded.to_dict("records")}
    made = {tuple(row[key] for key in keys): row for row in computed.to_dict("records")}
    for key in dict.fromkeys([*told, *made]):
        where = f"table.csv, {key[0]} × {key[1]}"
        if key in lost:
            continue
        if key not in told or key not in made:
            yield f"{where}: {'no such row' if key not in told else 'no records give this row'}"
            continue
        for name in computed.columns:
            if name not in COSTS and not same(told[key].get(name), made[key][name]):
                yield f"{where}: {name} is {told[key].get(name)}, the records give {made[key][name]}"


def same(one: Any, other: Any) -> bool:
    """Whether two values of a table are equal, numbers but for the last digits; what is missing equals what is missing."""
    if pd.isna(one) or pd.isna(other):
        return bool(pd.isna(one) and pd.isna(other))
    if isinstance(one, float | int) and isinstance(other, float | int):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return str(one) == str(other)


def _manifest(folder: Path, cells: Sequence[Cell], lost: Names) -> Iterator[str]:
    """The cells whose outcomes or fingerprint the manifest has otherwise."""
    try:
        told = {
            (cell["defense"], cell["attack"]): (cell["fingerprint"], _counted(cell["outcomes"]))
            for cell in manifest_of(folder)["cells"]
        }
    except FileNotFoundError:
        yield "there is no manifest.json"
        return
    except UsageError as problem:
        yield str(problem)
        return
    except (KeyError, TypeError, AttributeError) as problem:
        yield f"manifest.json doesn't count the outcomes of cells ({problem})"
        return
    made = {
        cell.name: (cell.header["fingerprint"], _counted(Counter(r.outcome for r in cell.records.values())))
        for cell in cells
        if not cell.members
    }
    for name in dict.fromkeys([*told, *made]):
        says, gives = told.get(name, ("none", "none")), made.get(name, ("none", "none"))
        for part, one, other in zip(("the fingerprint", "outcomes"), says, gives, strict=True):
            if one != other and name not in lost:
                yield f"manifest.json, {name[0]} × {name[1]}: {part} {one}, the records give {other}"


def _counted(outcomes: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items()))


def _markdown(folder: Path, frame: pd.DataFrame) -> Iterator[str]:
    """The first line of table.md that isn't as the records, and what table.csv says of costs, give it; a folder may be without."""
    try:
        told = (folder / "table.md").read_text("utf-8", "replace")
    except FileNotFoundError:
        return
    if UNTOLD in frame.attrs:
        yield f"table.md can't be checked: {frame.attrs[UNTOLD]}"
        return
    sides = [_RELEASE.sub("", text).splitlines() for text in (told, markdown(frame))]
    for number, (one, other) in enumerate(zip_longest(*sides, fillvalue="nothing"), 1):
        if one != other:
            says, gives = apart(one, other)
            yield f"table.md, line {number}: it says {says}, the records give {gives}; {AGAIN}"
            return
