"""The API reference from docstrings, into build/docs: `python scripts/build_api_docs.py [FOLDER]`, or `make docs`.

A public name without a docstring, a name of an `__all__` that leads nowhere, a module that doesn't import and what pdoc warns
of are errors.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import warnings
from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import chain
from pathlib import Path
from pkgutil import walk_packages
from types import GenericAlias
from typing import ForwardRef
from unittest.mock import patch

import robustbench_nlp

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "scripts" / "api_docs"
"""An index of all modules: pdoc's own leads to the package's page, whose `__all__` names no modules."""
LEFT_OUT = ("robustbench_nlp.commands", "robustbench_nlp.cli")
"""What `robustbench-nlp COMMAND -h` documents."""


def modules() -> Iterator[str]:
    """Every module that others may import, the package first."""
    yield robustbench_nlp.__name__
    for found in walk_packages(robustbench_nlp.__path__, f"{robustbench_nlp.__name__}."):
        private = any(part.startswith("_") for part in found.name.split("."))
        if not private and not found.name.startswith(LEFT_OUT):
            yield found.name


def undocumented(name: str) -> list[str]:
    """The functions and classes of a module's `__all__` that say nothing of themselves, by their full names."""
    module = import_module(name)
    exported = {public: getattr(module, public) for public in getattr(module, "__all__", ())}
    return [
        f"{name}.{public}"
        for public, found in exported.items()
        if (inspect.isfunction(found) or inspect.isclass(found)) and _own(found, name) and not _says_something(found)
    ]


def _own(found: object, module: str) -> bool:
    """Whether a name is of the same package, not made by another library."""
    return found.__module__.partition(".")[0] == module.partition(".")[0]


def _says_something(found: object) -> bool:
    """Whether there is a docstring that a person wrote: dataclasses make one up."""
    own = (found.__doc__ or "").strip()
    made_up = dataclasses.is_dataclass(found) and own.startswith(f"{getattr(found, '__name__', '')}(")
    return bool(own) and not made_up


def _make_readable(name: str) -> None:
    """Say of a module's named tuples where their annotations are from, which Python leaves out: pdoc can't read them else."""
    for found in vars(import_module(name)).values():
        if inspect.isclass(found) and issubclass(found, tuple) and hasattr(found, "_fields"):
            for annotation in found.__new__.__annotations__.values():
                if isinstance(annotation, ForwardRef):
                    annotation.__forward_module__ = found.__module__


def built(folder: Path, names: Iterable[str]) -> int:
    """Write a page for each module; how many. Raises what is amiss, warnings too."""
    import pandas as pd
    import pdoc
    import pdoc.extract
    import pdoc.render

    wanted = list(names)
    if silent := [public for name in wanted for public in undocumented(name)]:  # imports all, with others' warnings
        raise SystemExit(f"without a docstring: {', '.join(silent)}")
    pdoc.render.configure(
        docformat="markdown",
        footer_text=f"robustbench-nlp {robustbench_nlp.__version__}",
        template_directory=TEMPLATES,
    )
    generic = classmethod(GenericAlias)  # `Series[bool]` is one for mypy alone
    with warnings.catch_warnings(), patch.object(pd.Series, "__class_getitem__", generic, create=True):
        warnings.simplefilter("error")
        brought: dict[str, list[str]] = {}
        for name in wanted:  # pdoc finds a package's modules by itself, and warns of those that are named, too
            if name not in chain.from_iterable(brought.values()):
                brought[name] = pdoc.extract.walk_specs([name])
        for name in chain.from_iterable(brought.values()):
            _make_readable(name)
        pdoc.pdoc(*brought, output_directory=folder)
    return len(wanted)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "build" / "docs"
    print(f"{built(target, modules())} modules: {target / 'index.html'}")
