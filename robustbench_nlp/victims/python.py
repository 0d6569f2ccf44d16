"""python:MODULE:CALLABLE: a function of your own, list of texts -> (n, classes), or an object with the Victim methods.

A function names no labels: its columns follow the dataset's sorted label names, as the table's caption says. A change of
the function's own file starts its records anew; where weights change elsewhere (another file, a server), `--no-resume`
does it.
"""

from __future__ import annotations

import importlib
import sys
from functools import reduce
from pathlib import Path

from robustbench_nlp.errors import UsageError
from robustbench_nlp.victim import FunctionVictim, Victim, VictimOptions

__all__ = ["load"]


def load(argument: str, options: VictimOptions) -> Victim:
    """Import the named object, from the current folder too; of the options only a function's timeout is heard. Raises `UsageError`."""
    module_name, _, name = argument.partition(":")
    if not module_name or not name:
        raise UsageError(f"cannot read 'python:{argument}'; write python:MODULE:CALLABLE")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except Exception as problem:
        if (
            isinstance(problem, ModuleNotFoundError)
            and problem.name
            and f"{module_name}.".startswith(f"{problem.name}.")
        ):
            raise UsageError(f"no module '{module_name}'; run from its folder or install it") from problem
        raise UsageError(f"importing '{module_name}' failed: {type(problem).__name__}: {problem}") from problem
    try:
        found = reduce(getattr, name.split("."), module)
    except AttributeError as problem:
        raise UsageError(f"module '{module_name}' has no '{name}'") from problem
    if isinstance(found, Victim):
        return found
    if not callable(found):
        raise UsageError(
            f"'{name}' in '{module_name}' is no callable; it must take a list of texts and return (n, classes)"
        )
    return FunctionVictim(found, f"python:{argument}", options.timeout)
