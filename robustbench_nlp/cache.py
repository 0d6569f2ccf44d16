"""The cache folder: what is built once (trained victims, prepared datasets), each under the hash of its recipe."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from platformdirs import user_cache_path

from robustbench_nlp.data.example import content_hash

__all__ = ["built", "folder"]


def folder() -> Path:
    """`$ROBUSTBENCH_NLP_CACHE`, else the user's cache folder."""
    chosen = os.environ.get("ROBUSTBENCH_NLP_CACHE")
    return Path(chosen) if chosen else user_cache_path("robustbench-nlp")


def built(kind: str, recipe: object, build: Callable[[Path], None]) -> Path:
    """The folder of `recipe` (anything JSON-able), made by `build(empty folder)` unless it is there already.

    The folder appears by one rename when `build` has returned, so an interrupted build leaves nothing half done, and of
    two processes that build the same thing the second one's copy is dropped.
    """
    target = folder() / kind / content_hash(recipe)[:16]
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        build(scratch)
        try:
            scratch.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target
