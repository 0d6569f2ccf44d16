"""What a gate decides from the verdicts of one cell then and now: the one-sided bound of the paired drop against a tolerance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from robustbench_nlp.power import gate_needed
from robustbench_nlp.stats import Interval, paired_difference

__all__ = ["FIELDS", "Outcome", "Verdict", "judged"]

Outcome = Literal["pass", "inconclusive", "fail"]
BOTH_SIDES = 0.90
"""The confidence of a two-sided interval each of whose ends is a one-sided bound of 95 %."""
MEND_BLIND = "give a smaller tolerance or a weaker attack"

FIELDS: dict[str, Callable[[str], bool | None]] = {
    "robust_accuracy": {"robust": True, "broken": False, "wrong": False}.get,
    "clean_accuracy": {"robust": True, "broken": True, "wrong": False}.get,
    "attack_success_rate": {"robust": True, "broken": False}.get,
}
"""What can be compared, each with what an example's verdict is to it: well, ill, or (None) no part of it. A success rate is
compared on the examples that are attempted both times; an error is a part of nothing."""


@dataclass(frozen=True)
class Verdict:
    """One field of one cell: its worth then and now in [0, 1] and the 90 % interval of how much worse it became; `n` pairs, the
    examples that became worse, how many became better; where it is inconclusive, why, and the number of examples that would
    settle it (None: none would)."""

    field: str
    outcome: Outcome
    before: float
    now: float
    worse: Interval
    tolerance: float
    n: int
    lost: tuple[str, ...]
    won: int
    doubt: str = ""
    needed: int | None = None

    def told(self) -> str:
        """One line for a developer, in percent and percentage points."""
        if not self.n:
            return f"{_named(self.field)}: {self.doubt}"
        change = self.now - self.before if self.field == "attack_success_rate" else self.before - self.now
        word = "rise" if self.field == "attack_success_rate" else "drop"
        bounds = f"[{100 * self.worse.low:.1f}, {100 * self.worse.high:.1f}]"
        line = (
            f"{_named(self.field)} {self.before:.1%} → {self.now:.1%}: a {word} of {100 * change:.1f} points {bounds}"
        )
        line += f", tolerance {100 * self.tolerance:.1f}, n = {self.n} ({len(self.lost)} worse, {self.won} better)"
        return f"{line}; {self.doubt}" if self.doubt else line

    def doubted(self) -> str:
        """Why it is inconclusive, in a few words."""
        return f"{_named(self.field)} is inconclusive with n = {self.n}: {self.doubt}"


def judged(field: str, before: Mapping[str, str], now: Mapping[str, str], tolerance: float) -> Verdict:
    """Compare the examples of `now` with their verdicts before; both map example ids to verdicts.

    A failure where the drop's lower 95 % bound lies beyond the tolerance, a pass where its upper bound does not, else
    inconclusive: with `needed` examples, if as many flip, a victim that became no worse passes, and one that is worse by twice
    the tolerance fails, four times in five; where there are so many, as many as settle a drop like the one seen.
    Inconclusive too where losing everything would not be a failure, since a gate that can't fail says nothing; but not where
    it surely became better.
    """
    well = FIELDS[field]
    pairs = {identity: (well(before.get(identity, "")), well(word)) for identity, word in now.items()}
    pairs = {identity: pair for identity, pair in pairs.items() if None not in pair}
    first, second = [bool(a) for a, _ in pairs.values()], [bool(b) for _, b in pairs.values()]
    n = len(pairs)
    worse = paired_difference(first, second, BOTH_SIDES)
    outcome: Outcome = "fail" if worse.low > tolerance else "pass" if worse.high <= tolerance else "inconclusive"
    doubt, needed = "", None
    if not n:
        doubt = "no example has a verdict both times"
    elif worse.high > 0 and paired_difference(first, [False] * n, BOTH_SIDES).low <= tolerance:
        outcome = "inconclusive"
        needed = _needed(first, [False] * n, tolerance) if sum(first) > tolerance * n else None
        doubt = "a loss of everything would not fail it: " + (f"needs n ≥ {needed}" if needed else MEND_BLIND)
    elif outcome == "inconclusive":
        doubt, needed = _settling(first, second, tolerance)
    lost = tuple(identity for identity, (a, b) in pairs.items() if a and not b)
    won = sum(bool(b) and not a for a, b in pairs.values())
    shares = [sum(side) / n if n else 0.0 for side in (first, second)]
    if field == "attack_success_rate":
        shares = [1 - share for share in shares]
    return Verdict(field, outcome, shares[0], shares[1], worse, tolerance, n, lost, won, doubt, needed)


def _settling(first: list[bool], second: list[bool], tolerance: float) -> tuple[str, int | None]:
    """Why it is open, and the n that would close it: first that of the tolerance, then, if there are so many, of the drop."""
    needed = _needed(first, second, tolerance, 0.0)
    if needed and needed > len(first):
        return f"needs n ≥ {needed}", needed
    needed = _needed(first, second, tolerance)
    return "it is near the tolerance: " + (f"needs n ≥ {needed}" if needed else "no n settles it"), needed


def _needed(first: list[bool], second: list[bool], tolerance: float, drop: float | None = None) -> int | None:
    """The examples that settle a drop (that of the two sides, if none is given) where as many flip; one more flip than was seen
    is counted, since none in a few examples does not mean none."""
    n = len(first)
    flips = sum(a != b for a, b in zip(first, second, strict=True))
    seen = (sum(first) - sum(second)) / n
    return gate_needed(seen if drop is None else drop, tolerance, (flips + 1) / (n + 1))


def _named(field: str) -> str:
    return field.replace("_", " ")
