"""What every test runs under: no hub, one way of tokenising, and no plug-in or cache left over from another test."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess, run

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def isolated_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder for one test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("ROBUSTBENCH_NLP_CACHE", str(folder))
    return folder


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Run `robustbench-nlp ARGUMENTS` as a process of its own, in the test's folder."""

    def call(*arguments: str, **settings: object) -> CompletedProcess[str]:
        line = [sys.executable, "-m", "robustbench_nlp.cli", *arguments]
        options = {"cwd": tmp_path, "capture_output": True, "text": True, "encoding": "utf-8", **settings}
        return run(line, check=False, **options)  # type: ignore[call-overload,no-any-return]

    return call
