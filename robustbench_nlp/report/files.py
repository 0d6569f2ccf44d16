"""The files of a report, made from the records of a run folder alone: no victim and no attack is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from robustbench_nlp.curves import curves
from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.recorded import Cell, recorded_cells
from robustbench_nlp.records import write_whole
from robustbench_nlp.report.latex import latex
from robustbench_nlp.report.model_index import model_index
from robustbench_nlp.report.ranks import ranking, ranking_markdown, ties
from robustbench_nlp.report.sheet import sheet
from robustbench_nlp.report.shown import markdown
from robustbench_nlp.report.table import row, table
from robustbench_nlp.report.valid import valid_markdown
from robustbench_nlp.report.web import web
from robustbench_nlp.run_files import manifest_of, table_of
from robustbench_nlp.validity import rechecked

__all__ = ["DEFAULTS", "FORMATS", "completed", "tabled", "written"]

Cells = Sequence[Cell]


@dataclass(frozen=True)
class Report:
    """What every format is made of: a run folder, its cells and their table (see `tabled`)."""

    folder: Path
    frame: pd.DataFrame
    cells: Cells

    @cached_property
    def valid(self) -> pd.DataFrame:
        """What stricter limits leave (`rechecked`), with the run's warnings."""
        found = rechecked(self.cells)
        found.attrs["flags"] = self.frame.attrs.get("flags", [])
        return found


def _csv(report: Report) -> Path:
    write_whole(report.folder / "table.csv", report.frame.to_csv(index=False, lineterminator="\n"))
    return report.folder / "table.csv"


def _md(report: Report) -> Path:
    write_whole(report.folder / "table.md", markdown(report.frame))
    return report.folder / "table.md"


def _latex(report: Report) -> Path:
    write_whole(report.folder / "table.tex", latex(report.frame))
    return report.folder / "table.tex"


def _parquet(report: Report) -> Path:
    try:
        report.frame.to_parquet(report.folder / "table.parquet", index=False)
    except ImportError as problem:
        raise UsageError("Parquet needs a package; pip install pyarrow") from problem
    return report.folder / "table.parquet"


def _ranking(report: Report) -> tuple[Path, Path]:
    found = ranking(report.cells)
    found.attrs["flags"] = report.frame.attrs.get("flags", [])
    write_whole(report.folder / "ranking.csv", found.to_csv(index=False, lineterminator="\n"))
    write_whole(report.folder / "ranking.md", ranking_markdown(found))
    return report.folder / "ranking.csv", report.folder / "ranking.md"


def _valid(report: Report) -> tuple[Path, Path]:
    found = report.valid
    write_whole(report.folder / "valid.csv", found.to_csv(index=False, lineterminator="\n"))
    write_whole(report.folder / "valid.md", valid_markdown(found))
    return report.folder / "valid.csv", report.folder / "valid.md"


def _curves(report: Report) -> Path:
    write_whole(report.folder / "curves.csv", curves(report.cells).to_csv(index=False, lineterminator="\n"))
    return report.folder / "curves.csv"


def _sheet(report: Report) -> Path:
    write_whole(report.folder / "examples.csv", sheet(report.cells))
    return report.folder / "examples.csv"


def _html(report: Report) -> Path:
    write_whole(report.folder / "report.html", web(report.frame, report.cells, report.valid))
    return report.folder / "report.html"


def _model_index(report: Report) -> Path:
    write_whole(report.folder / "model-index.yaml", model_index(report.frame))
    return report.folder / "model-index.yaml"


FORMATS: dict[str, Callable[[Report], Path | tuple[Path, ...]]] = {
    "csv": _csv,
    "md": _md,
    "latex": _latex,
    "parquet": _parquet,
    "ranking": _ranking,
    "valid": _valid,
    "curves": _curves,
    "html": _html,
    "model-index": _model_index,
    "sheet": _sheet,
}
DEFAULTS = ("csv", "md", "latex", "valid", "html")
"""What is written unless a user names formats."""


def written(folder: Path, formats: Sequence[str]) -> list[Path]:
    """Write the formats into the run folder; their paths. Columns that need the victim (costs, detection) are kept from the
    table that is there. Raises `UsageError` where there is no run, and for an unknown format."""
    for name in formats:
        if name not in FORMATS:
            raise unknown("format", name, FORMATS)
    report = Report(folder, *tabled(folder))
    made = [FORMATS[name](report) for name in formats]
    return [path for paths in made for path in (paths if isinstance(paths, tuple) else (paths,))]


def tabled(folder: Path) -> tuple[pd.DataFrame, list[Cell]]:
    """A run folder's table and the cells that it is computed from; its `attrs` hold floors, notes, the run's warnings (`flags`),
    ties, `versions` in words, and by column, attack and dataset, `versioned`: names with theirs, `name@version`. Raises
    `UsageError` where there is no run."""
    cells = recorded_cells(folder)
    return completed(cells, folder), cells


def completed(cells: Cells, folder: Path) -> pd.DataFrame:
    """The table of these cells of the folder, as `tabled` has it."""
    frame = _with_further(table([row(cell.header, cell.records.values()) for cell in cells]), folder)
    manifest = manifest_of(folder) if (folder / "manifest.json").exists() else {}
    if manifest:
        frame.attrs["flags"] = manifest.get("warnings", [])
    frame.attrs |= ties(cells) | {"versions": _versions(cells), "versioned": _versioned(cells, manifest)}
    return frame


def _with_further(frame: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """The frame with the further columns of the table that the run wrote, row by row."""
    if not (folder / "table.csv").exists():
        return frame
    old = table_of(folder)
    further = [name for name in old.columns if name not in frame.columns]
    keys = ["defense", "attack"]
    merged = frame.merge(old[[*keys, *further]].drop_duplicates(keys), on=keys, how="left") if further else frame
    merged.attrs = frame.attrs
    return merged


def _versioned(cells: Cells, manifest: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Names with the versions that they were recorded under; worst cases have that of their ensemble in theirs."""
    specs = {cell.name[1]: cell.header.get("spec", {}).get("attack") for cell in cells if not cell.members}
    attacks = {name: f"{name}@{spec[2]}" for name, spec in specs.items() if isinstance(spec, list) and len(spec) == 3}
    told = manifest.get("dataset", {})
    name = str(told.get("name"))
    return {"attack": attacks, "dataset": {name: f"{name}@{told['version']}"} if "version" in told else {}}


def _versions(cells: Cells) -> str:
    """What decides numbers beside the settings, in words; of cells that were recorded with several versions, all of them."""
    known: dict[str, list[str]] = {}
    for cell in cells:
        environment = cell.header.get("environment", {})
        versions = {"Python": environment.get("python"), **environment.get("packages", {})}
        for name in ("robustbench-nlp", "Python", "torch", "transformers"):
            if versions.get(name) and versions[name] not in known.setdefault(name, []):
                known[name].append(str(versions[name]))
    return ", ".join(f"{name} {' and '.join(found)}" for name, found in known.items())
