"""What is installed, what is missing and how to get it: what `robustbench-nlp doctor` shows."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

from robustbench_nlp import cache, resources
from robustbench_nlp.environment import environment

__all__ = ["Diagnosis", "diagnose", "resource_rows", "told"]

DISTRIBUTION = "robustbench-nlp"
DEVELOPMENT = ("all", "lint", "test")
"""Extras that bring nothing of their own to a user."""


class Diagnosis(NamedTuple):
    """What to show, as (heading, value) rows, and whether everything that is always needed is there."""

    lines: list[tuple[str, str]]
    healthy: bool


def diagnose() -> Diagnosis:
    """Versions, devices, each extra, and the cache folder with its size."""
    requirements = [Requirement(line) for line in requires(DISTRIBUTION) or ()]
    needed = [problem for r in requirements if r.marker is None and (problem := _problem(r))]
    lines = [(name, found or "-") for name, found in _versions()]
    lines.append(("device", _devices()))
    lines += _extras(requirements)
    lines.append(("cache", _cache()))
    if needed:
        lines.append(("broken", f"{', '.join(needed)}; reinstall: pip install --upgrade {DISTRIBUTION}"))
    return Diagnosis(lines, not needed)


def _versions() -> list[tuple[str, str | None]]:
    found = environment()
    return [("python", found["python"]), *found["packages"].items()]


def _problem(requirement: Requirement) -> str:
    """What is wrong with one requirement, in a phrase; '' when it is met."""
    try:
        installed = version(requirement.name)
    except PackageNotFoundError:
        return f"no {requirement.name}"
    if requirement.specifier.contains(installed, prereleases=True):
        return ""
    return f"{requirement.name} {installed} is not {requirement.specifier}"


def _extras(requirements: list[Requirement]) -> list[tuple[str, str]]:
    by_extra: dict[str, list[Requirement]] = {}
    for requirement in requirements:
        for extra in _extras_of(requirement):
            by_extra.setdefault(extra, []).append(requirement)
    rows = []
    for extra, wanted in sorted(by_extra.items()):
        problems = [problem for r in wanted if (problem := _problem(r))]
        how = f"missing ({', '.join(problems)}): pip install '{DISTRIBUTION}[{extra}]'"
        rows.append((f"[{extra}]", how if problems else "installed"))
    return rows


def _extras_of(requirement: Requirement) -> list[str]:
    """The extras that ask for a requirement, those of developers left out."""
    marker = requirement.marker
    if marker is None or requirement.name == DISTRIBUTION:
        return []
    named = [word for word in str(marker).replace("'", '"').split('"')[1::2] if marker.evaluate({"extra": word})]
    return [name for name in named if name not in DEVELOPMENT]


def _devices() -> str:
    try:
        import torch
    except ImportError as problem:
        return f"torch does not load: {problem}"
    devices = [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append("mps")
    return ", ".join([*devices, f"cpu with {torch.get_num_threads()} threads"])


def resource_rows(*, verify: bool = False) -> list[tuple[str, ...]]:
    """Headings, and a row on every data file and model: by size, or checked by hash."""
    rows: list[tuple[str, ...]] = [("resource", "size", "sha256", "state", "licence", "for, or how to get it")]
    for resource in resources.resources():
        found = resources.inspect(resource, verify=verify)
        size = (
            f"{'' if found.ready else 'about '}{_size(found.bytes)}" if resource.kind == "built" else _size(found.bytes)
        )
        purpose = resource.purpose if found.ready and not found.remark else found.remark
        rows.append((resource.name, size, found.sha256[:12] or "-", found.state, resource.licence, purpose))
    return rows


def told(resource: resources.Resource, found: resources.Status) -> str:
    """A fetched resource in a phrase."""
    return f"{found.state}, {_size(found.bytes)}, sha256 {found.sha256[:12] or 'not known'}" + (
        f" ({found.remark})" if found.remark else ""
    )


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def _megabytes(folder: Path) -> str:
    return f"{sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) / 1e6:.0f} MB"


def _cache() -> str:
    folder = cache.folder()
    kinds = ", ".join(f"{_count(part)} {part.name}" for part in sorted(folder.glob("*")) if part.is_dir())
    return f"{folder}, {_megabytes(folder)}" + (f" ({kinds})" if kinds else "")


def _count(folder: Path) -> int:
    return sum(not path.name.startswith(".") for path in folder.iterdir())
