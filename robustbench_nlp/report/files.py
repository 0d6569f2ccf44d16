"""The files of a report, made from the records of a run folder alone: no victim and no attack is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


def _csv(frame: pd.DataFrame, cells: Cells, folder: Path) -> Path:
    write_whole(folder / "table.csv", frame.to_csv(index=False, lineterminator="\n"))
    return folder / "table.csv"


def _md(frame: pd.DataFrame, cells: Cells, folder: Path) -> Path:
    write_whole(folder / "table.md", markdown(frame))
    return folder / "table.md"


def _latex(frame: pd.DataFrame, cells: Cells, folder: Path) -> Path:
    write_whole(folder / "table.tex", latex(frame))
    return folder / "table.tex"


def _parquet(frame: pd.DataFrame, cells: Cells, folder: Path) -> Path:
    try:
        frame.to_parquet(folder / "table.parquet", index=False)
    except ImportError as problem:
        raise UsageError("Parquet needs a package; pip install pyarrow") from problem
    return folder / "table.parquet"


def _ranking(frame: pd.DataFrame, cells: Cells, folder: Path) -> tuple[Path, Path]:
    found = ranking(cells)
    found.attrs["flags"] = frame.attrs.get("flags", [])
    write_whole(folder / "ranking.csv", found.to_csv(index=False, lineterminator="\n"))
    write_whole(folder / "ranking.md", ranking_markdown(found))
    return folder / "ranking.csv", folder / "ranking.md"


def _valid(frame: pd.DataFrame, cells: Cells, folder: Path) -> tuple[Path, Path]:
    found = rechecked(cells)
    found.attrs["flags"] = frame.attrs.get("flags", [])
    write_whole(folder / "valid.csv", found.to_csv(index=False, lineterminator="\n"))
    write_whole(folder / "valid.md", valid_markdown(found))
    return folder / "valid.csv", folder / "valid.md"


def _curves(frame: pd.DataFrame, cells: Cells, folder: Path) -> Path:
    write_whole(folder / "curves.csv", curves(cells).to_csv(index=False, lineterminator="\n"))
    return folder / "curves.csv"


def _sheet(frame: pd.DataFrame, cells: Cells, folder: Path) -> Path:
    write_whole(folder / "examples.csv", "\ufeff" + sheet(cells))  # the mark tells spreadsheets that it is UTF-8
    return folder / "examples.csv"


def _html(frame: pd.DataFrame, cells: Cells, folder: Path) -> Path:
    write_whole(folder / "report.html", web(frame, cells))
    return folder / "report.html"


def _model_index(frame: pd.DataFrame, cells: Cells, folder: Path) -> Path:
    write_whole(folder / "model-index.yaml", model_index(frame))
    return folder / "model-index.yaml"


FORMATS: dict[str, Callable[[pd.DataFrame, Cells, Path], Path | tuple[Path, ...]]] = {
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
    frame, cells = tabled(folder)
    made = [FORMATS[name](frame, cells, folder) for name in formats]
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
