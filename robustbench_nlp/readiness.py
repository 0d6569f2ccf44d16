"""What a run is refused for before anything is learned or attacked."""

from __future__ import annotations

from collections.abc import Iterable

from robustbench_nlp.defense import compose, rehearse, shown
from robustbench_nlp.errors import UsageError
from robustbench_nlp.grid import Member
from robustbench_nlp.unattacked import Unattacked
from robustbench_nlp.victim import Victim

__all__ = ["refuse_blind", "refuse_unfit"]


def refuse_unfit(defense: str, victim: Victim, train: Unattacked, members: Iterable[Member]) -> None:
    """Raises `UsageError` where the defense of a selector refuses the victim or what is left of the training split, and where
    one of its attackers can't meet what it makes."""
    try:
        met = rehearse(compose(defense), victim, train.examples)
    except UsageError as problem:
        if not train.left_out or train.examples:
            raise
        raise UsageError(f"all {train.left_out} training examples are attacked; {problem}") from problem
    refuse_blind(members, met, shown(defense), "leave one of the two out, or replay with --mode transfer")


def refuse_blind(members: Iterable[Member], victim: Victim, named: str, mend: str) -> None:
    """Raises `UsageError`, with how to `mend` it, for an attack by gradient on a victim that gives none, and for one by embeddings
    on a victim that reads nothing but text; the victim is `named` by what is to blame."""
    for member in members:
        if member.attack.threat.knowledge != "gradient":
            continue
        if not hasattr(victim, "gradients"):
            raise UsageError(f"attack {member.name} needs gradients, and {named} gives none; {mend}")
        if getattr(member.attack, "places_embeddings", False) and not _takes_embeddings(victim):
            raise UsageError(f"attack {member.name} puts embeddings in place of words, and {named} takes none; {mend}")


def _takes_embeddings(victim: Victim) -> bool:
    """Whether the gradients of no text at all can be had with embeddings."""
    try:
        victim.gradients([], [], placed=[])  # type: ignore[attr-defined]
    except (UsageError, TypeError):
        return False
    except Exception:  # no gradients of nothing: the attack will tell
        return True
    return True
