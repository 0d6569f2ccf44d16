"""The recipes of other libraries, and whether each can run here: what it needs stands in `adapters.toml`."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from robustbench_nlp.plugins import Choice

__all__ = ["RUNS", "Library", "nltk_folders", "state", "states"]

Library = Literal["textattack", "nlpaug"]
RUNS = "runs offline"


@cache
def _tables() -> dict[str, Any]:
    return tomllib.loads(files("robustbench_nlp").joinpath("adapters.toml").read_text("utf-8"))


def states(library: Library) -> list[Choice]:
    """Every recipe with its state, those that run first; nothing is imported."""
    found = [Choice(name, state(library, name)) for name in _tables()[library]]
    return sorted(found, key=lambda choice: (choice.line != RUNS, choice.line.startswith("can't"), choice.argument))


def state(library: Library, recipe: str) -> str:
    """`runs offline`, `needs …` or `can't run: …`."""
    facts = _tables()[library][recipe]
    if "never" in facts:
        return f"can't run: {facts['never']}"
    missing = [] if find_spec(library) else [f"the library (pip install 'robustbench-nlp[{library}]')"]
    needs = (_tables()["needs"][need] for need in facts["needs"])
    missing += [need["what"] for need in needs if not _here(need)]
    return f"needs {', '.join(missing)}" if missing else RUNS


def _here(need: Mapping[str, Any]) -> bool:
    if "nltk" in need:
        return all(any(map(Path.exists, _nltk_places(name))) for name in need["nltk"])
    home = Path("~/.cache").expanduser()
    if "textattack" in need:
        return Path(os.environ.get("TA_CACHE_DIR", home / "textattack"), need["textattack"]).exists()
    if "hub" in need:
        hub = os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or home / "huggingface") / "hub"
        return Path(hub, f"models--{need['hub'].replace('/', '--')}", "snapshots").exists()
    return find_spec("tensorflow_hub") is not None


def _nltk_places(name: str) -> Iterator[Path]:
    for folder in nltk_folders():
        yield from (folder / name, folder / f"{name}.zip")


def nltk_folders() -> list[Path]:
    """Where NLTK looks, and the cache."""
    from robustbench_nlp.cache import folder

    given = [Path(part) for part in os.environ.get("NLTK_DATA", "").split(os.pathsep) if part]
    own = [Path(sys.prefix, *part, "nltk_data") for part in ((), ("share",), ("lib",))]
    shared = [Path(part, "nltk_data") for part in ("/usr/share", "/usr/local/share", "/usr/lib", "/usr/local/lib")]
    return [folder() / "nltk_data", *given, Path("~/nltk_data").expanduser(), *own, *shared]
