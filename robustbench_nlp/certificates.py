"""Certificates: what a victim guarantees of one input, by how many samples, and with which chance of being wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from robustbench_nlp.data.example import Input
from robustbench_nlp.errors import UsageError
from robustbench_nlp.stats import least_share

__all__ = ["DEFAULT_SAMPLING", "Certificate", "Certified", "Sampling", "from_votes"]

_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """What a certificate may cost and how far it may be trusted: `n0` draws guess the class, `n` others bound its share,
    and the bound is wrong for at most `alpha` of all inputs. Exact certificates need none of it."""

    n0: int = 100
    n: int = 1000
    alpha: float = 0.001
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("n0", "n"):
            if getattr(self, name) < 1:
                raise UsageError(f"a certificate's {name} is {getattr(self, name)}; give at least 1")
        if not 0 < self.alpha < 0.5:
            raise UsageError(
                f"a certificate's alpha is {self.alpha}; give a share above 0 and below 0.5, such as 0.001"
            )


DEFAULT_SAMPLING = Sampling()


class Certificate(NamedTuple):
    """`prediction` (None: abstained) holds for every text of at most `radius` edits of the victim's `certified_edits`.

    `low` bounds the probability of the predicted class from below; `votes` are the draws by class, () where none were
    needed.
    """

    prediction: int | None
    radius: int
    low: float = 1.0
    votes: tuple[int, ...] = ()

    @property
    def majority(self) -> int | None:
        """The class with the most votes, also where the certificate abstains."""
        return self.votes.index(max(self.votes)) if self.votes else self.prediction


@runtime_checkable
class Certified(Protocol):
    """The optional capability of a victim to certify. `certified_edits` says in words what one edit is."""

    @property
    def certified_edits(self) -> str: ...

    def certify(self, item: Input, sampling: Sampling = DEFAULT_SAMPLING) -> Certificate:
        """The certificate of one input."""
        ...

    def edits(self, original: Input, changed: Input) -> int | None:
        """How many edits of that kind make one input of the other; None where they can't, so that no certificate speaks."""
        ...


def from_votes(guess: int, votes: Sequence[int], overlaps: Sequence[float], alpha: float) -> Certificate:
    """The certificate that independent draws give for the class that others guessed.

    `overlaps[d]`, falling, is the least probability that the draws of a text and of any other at `d` edits can be made to
    be equal; a class drawn with probability p in one is drawn with at least p − (1 − overlap) in the other. The
    one-sided Clopper-Pearson bound stands for p, and the class must keep more than half. Raises `ValueError` without draws.
    """
    low = least_share(votes[guess], sum(votes), alpha)
    held = [d for d, overlap in enumerate(overlaps) if low - (1 - overlap) > 0.5 + _ROUNDING]
    return Certificate(guess if held else None, max(held, default=0), low, tuple(votes))
