"""The files beside a run folder's records, as anybody may have left them: read, or told in one line what is wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from robustbench_nlp.data import Dataset
from robustbench_nlp.environment import environment
from robustbench_nlp.errors import UsageError
from robustbench_nlp.grid import Benchmark
from robustbench_nlp.settings_file import plain_yaml
from robustbench_nlp.shapes import shape, unfit

__all__ = ["benchmark_of", "manifest", "manifest_of", "table_of"]

AGAIN = "the same run command writes it again"
MANIFEST = shape({"warnings": list[str], "dataset": dict[str, Any]})
"""What is taken from `manifest.json`."""
INCOMPLETE = "# Not complete "
"""How `run.yaml` begins where Python objects stood for selectors."""


def benchmark_of(folder: Path) -> tuple[Benchmark, str]:
    """The settings of `run.yaml`, and what its first line says that they lack, '' for nothing. Raises `UsageError`, and `OSError`
    where there is none."""
    path = folder / "run.yaml"
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as problem:
        raise UsageError(f"{path} is not YAML: {problem}; {AGAIN}") from problem
    first = text.partition("\n")[0]
    lacks = first.removeprefix(INCOMPLETE) if first.startswith(INCOMPLETE) else ""
    return Benchmark.of(plain_yaml(text, str(path))), lacks


def manifest(dataset: Dataset, cells: Iterable[tuple[Mapping[str, Any], Mapping[str, int]]]) -> dict[str, Any]:
    """What `manifest.json` says of a run: its command, environment and data set, and its cells by header and count of outcomes."""
    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "environment": environment(),
        "dataset": {name: getattr(dataset, name) for name in ("name", "version", "source", "licence")},
        "cells": [
            {
                "defense": header["defense"],
                "attack": header["attack"],
                "fingerprint": header["fingerprint"],
                "seconds": round(header["seconds"], 3),
                "outcomes": dict(outcomes),
            }
            for header, outcomes in cells
        ],
    }


def manifest_of(folder: Path) -> dict[str, Any]:
    """`manifest.json`; its `warnings` are lines, none until the run has ended. Raises `UsageError` where it is damaged, `OSError`
    where there is none."""
    path = folder / "manifest.json"
    try:
        content = json.loads(path.read_text("utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it is no JSON object")
        if wrong := unfit({"warnings": [], "dataset": {}, **content}, MANIFEST):
            raise ValueError(wrong)
    except (ValueError, RecursionError) as problem:
        raise UsageError(f"{path} is damaged ({problem}); {AGAIN}") from problem
    return content


def table_of(folder: Path) -> pd.DataFrame:
    """`table.csv`. Raises `UsageError` where it is damaged, `OSError` where there is none."""
    path = folder / "table.csv"
    try:
        frame = pd.read_csv(path, dtype={"fingerprint": str})
    except (ValueError, pd.errors.ParserError) as problem:  # no text in UTF-8, no columns, or torn lines
        raise UsageError(f"{path} is damaged ({problem}); {AGAIN}") from problem
    if lacking := [name for name in ("defense", "attack") if name not in frame.columns]:
        raise UsageError(f"{path} is damaged (it has no column '{lacking[0]}'); {AGAIN}")
    return frame
