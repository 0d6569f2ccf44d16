"""Benchmarks the adversarial robustness of language models.

The public names load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robustbench_nlp.api import Run, evaluate
    from robustbench_nlp.comparison import Comparison, compare
    from robustbench_nlp.data import Dataset, Example, load_dataset
    from robustbench_nlp.errors import UsageError
    from robustbench_nlp.leaderboard.submission import submit
    from robustbench_nlp.ranking import rank
    from robustbench_nlp.seeds import over_seeds
    from robustbench_nlp.validity import recheck
    from robustbench_nlp.verification import Verification, verify
    from robustbench_nlp.victim import Victim, open_victim

__all__ = [
    "Comparison",
    "Dataset",
    "Example",
    "Run",
    "UsageError",
    "Verification",
    "Victim",
    "__version__",
    "compare",
    "evaluate",
    "load_dataset",
    "open_victim",
    "over_seeds",
    "rank",
    "recheck",
    "submit",
    "verify",
]

__version__ = "0.1.0"

_HOMES = {
    "api": ("Run", "evaluate"),
    "comparison": ("Comparison", "compare"),
    "data": ("Dataset", "Example", "load_dataset"),
    "errors": ("UsageError",),
    "leaderboard.submission": ("submit",),
    "ranking": ("rank",),
    "seeds": ("over_seeds",),
    "validity": ("recheck",),
    "verification": ("Verification", "verify"),
    "victim": ("Victim", "open_victim"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
