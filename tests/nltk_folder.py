"""NLTK's data for the tests that run TextAttack, built into the cache once by the project's own script."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from robustbench_nlp import cache

SCRIPT = Path(__file__).parents[1] / "scripts" / "build_nltk_data.py"


def script() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("build_nltk_data", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ensure() -> Path:
    """The folder where the adapter looks; needs a package index the first time."""
    folder: Path = script().build(cache.folder() / "nltk_data")
    return folder
