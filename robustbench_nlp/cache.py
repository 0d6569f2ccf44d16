"""The cache folder: what is built once (trained victims, prepared datasets), each under the hash of its recipe."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from platformdirs import user_cache_path

from robustbench_nlp.data.example import content_hash
from robustbench_nlp.hashes import stamp

__all__ = ["built", "folder", "place"]


def folder() -> Path:
    """`$ROBUSTBENCH_NLP_CACHE`, else the user's cache folder."""
    chosen = os.environ.get("ROBUSTBENCH_NLP_CACHE")
    return Path(chosen) if chosen else user_cache_path("robustbench-nlp")


def place(kind: str, recipe: object) -> Path:
    """Where the folder of `recipe` (anything JSON-able) stands once it is built."""
    return folder() / kind / content_hash(recipe)[:16]


def built(kind: str, recipe: object, build: Callable[[Path], None]) -> Path:
    """The folder of `recipe`, made by `build(empty folder)` unless it is there already.

    Its files are hashed; the folder appears by one rename when `build` has returned, so an interrupted build leaves nothing half done, and of
    two processes that build the same thing the second one's copy is dropped.
    """
    target = place(kind, recipe)
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        build(scratch)
        stamp(scratch)
        try:
            scratch.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target
