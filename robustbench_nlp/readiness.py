"""What a run is refused for before anything is learned or attacked."""

from __future__ import annotations

from robustbench_nlp.defense import compose, rehearse
from robustbench_nlp.errors import UsageError
from robustbench_nlp.unattacked import Unattacked
from robustbench_nlp.victim import Victim

__all__ = ["refuse_unfit"]


def refuse_unfit(defense: str, victim: Victim, train: Unattacked) -> None:
    """Raises `UsageError` where the defense of a selector refuses the victim or what is left of the training split."""
    try:
        rehearse(compose(defense), victim, train.examples)
    except UsageError as problem:
        if not train.left_out or train.examples:
            raise
        raise UsageError(f"all {train.left_out} training examples are attacked; {problem}") from problem
