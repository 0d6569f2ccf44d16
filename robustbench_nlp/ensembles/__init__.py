"""Versioned ensembles: the fixed attacks, settings and budgets behind `worst_case:NAME`, a YAML file each.

A published file never changes (its hash is tested); a better ensemble is a new version.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any, NamedTuple

import yaml

from robustbench_nlp.errors import unknown

__all__ = ["Ensemble", "EnsembleMember", "ensemble_names", "load_ensemble"]


class EnsembleMember(NamedTuple):
    """One attack of an ensemble: its selector, its budget of queries per example (None: the attack's own), what its threat
    has other than the attack's own, and the version of the attack that it was measured with, the first where the file names
    none."""

    attack: str
    max_queries: int | None = None
    threat: Mapping[str, Any] = {}
    version: int = 1


class Ensemble(NamedTuple):
    """Members in the order of the cascade, cheapest first."""

    name: str
    description: str
    members: tuple[EnsembleMember, ...]


def ensemble_names() -> list[str]:
    """Every known name, sorted."""
    return sorted(path.name.removesuffix(".yaml") for path in files(__name__).iterdir() if path.name.endswith(".yaml"))


def load_ensemble(name: str) -> Ensemble:
    """Read an ensemble by name, `standard-1`. Raises `UsageError` for an unknown one."""
    name = name.replace("_", "-")
    if name not in ensemble_names():
        raise unknown("ensemble", name, ensemble_names())
    content = yaml.safe_load((files(__name__) / f"{name}.yaml").read_text("utf-8"))
    members = tuple(EnsembleMember(**member) for member in content["members"])
    return Ensemble(name, content["description"], members)
