"""Datasets through the `datasets` library: from the hub, or from a folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from robustbench_nlp.errors import UsageError

__all__ = ["fetch"]


def fetch(argument: str, revision: str | None = None) -> Mapping[str, Any]:
    """The splits by name of ID, ID:CONFIG, or a folder of data files or saved by `datasets`.

    A folder saved without splits gives {"all": …}. Raises `UsageError` without the `datasets` library, and for whatever
    keeps the dataset from being loaded.
    """
    try:
        import datasets
    except ImportError:
        raise UsageError("hub datasets need the `datasets` library: pip install 'robustbench-nlp[hub]'") from None
    try:
        with _quiet("huggingface_hub"):
            if any((Path(argument) / name).is_file() for name in ("dataset_dict.json", "state.json")):
                found = datasets.load_from_disk(argument)
            else:
                identifier, _, config = (argument, "", "") if Path(argument).exists() else argument.partition(":")
                found = datasets.load_dataset(identifier, config or None, revision=revision)
    except Exception as problem:  # the client raises its transport's and its file formats' errors too
        reason = " ".join(str(problem).split())[:300]
        raise UsageError(
            f"cannot load hf:{argument} ({type(problem).__name__}: {reason}); check the name, the files, the connection"
        ) from problem
    return found if isinstance(found, Mapping) else {"all": found}


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keep a logger's warnings (a line for each retry) from drowning the one error that follows them."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
