"""What a run would send to a server and what that would cost, before anything is sent.

The attacks run for nothing against two stand-ins, on the run's own first examples: one that is easily fooled, where searches
end early, and one that never is, where they go on to their end. A real victim most often lies between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Protocol, runtime_checkable

from robustbench_nlp.dry_run import Amount, DryRun, Tried
from robustbench_nlp.errors import UsageError
from robustbench_nlp.posting import Manners
from robustbench_nlp.report.flags import PROBED
from robustbench_nlp.runner import Runner
from robustbench_nlp.spending import FILE, Spending, Tariff
from robustbench_nlp.stand_ins import StandIn
from robustbench_nlp.victim import Victim

__all__ = ["CellEstimate", "Estimate", "estimate", "priced"]

TRIED, GLANCED = 16, 4
"""Examples of each cell that are attacked for nothing, for a whole estimate and for its one line."""


@runtime_checkable
class _Asked(Protocol):
    """A victim behind a URL."""

    manners: Manners
    spending: Spending


@dataclass(frozen=True, slots=True)
class CellEstimate:
    """One cell: the examples that are not on record yet, what they take where the victim is easily fooled and where it never is
    (whichever is less comes first), and the most inputs that the budget of queries allows (None: it has none)."""

    defense: str
    attack: str
    examples: int
    least: Amount
    most: Amount
    bound: float | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A run's cells, what is asked besides, and what is spent already."""

    cells: tuple[CellEstimate, ...]
    besides: Amount
    spending: Spending
    manners: Manners
    tried: int

    @property
    def least(self) -> Amount:
        return _sum([self.besides, *(cell.least for cell in self.cells)])

    @property
    def most(self) -> Amount:
        return _sum([self.besides, *(cell.most for cell in self.cells)])

    @property
    def bound(self) -> float | None:
        """The most inputs, requests that are sent twice aside; None where a cell has no bound."""
        bounds = [cell.bound for cell in self.cells]
        return None if None in bounds else self.besides.inputs + sum(bound for bound in bounds if bound is not None)

    def rows(self) -> list[tuple[str, ...]]:
        """Headings, a row a cell, and the sum."""
        tariff = self.spending.tariff
        made: list[tuple[str, ...]] = [("defense", "attack", "examples", "inputs", "at most", "cost")]
        made += [
            (cell.defense, cell.attack, f"{cell.examples:,}", *_figures(cell.least, cell.most, cell.bound, tariff))
            for cell in self.cells
        ]
        made.append(("all", "", "", *_figures(self.least, self.most, self.bound, tariff)))
        return made if tariff.price is not None else [row[:-1] for row in made]

    def lines(self) -> list[str]:
        """What the figures mean, and whether the budget holds."""
        tariff, manners = self.spending.tariff, self.manners
        requests = f"{_range(self.least.requests, self.most.requests)} requests of up to {manners.batch} inputs, "
        requests += f"{manners.concurrency} at a time"
        if manners.rate:
            seconds = [amount.requests / manners.rate for amount in (self.least, self.most)]
            requests += f"; at {manners.rate:g} a second they take at least {_time(*seconds)}"
        told = [f"{requests}.", *(line.format(self.tried) for line in _ASSUMED)]
        if self.bound is None:
            told.append("At most: an attack here has no bound; --max-queries gives it one.")
        if tariff.price is not None:
            told.append(f"Price: {tariff}." + self._budget())
        return told

    def line(self) -> str:
        """The sum in one line."""
        tariff = self.spending.tariff
        inputs, _, cost = _figures(self.least, self.most, self.bound, tariff)
        return f"estimate: {inputs} inputs, cost {cost} at {tariff}.{self._budget()}"

    def _budget(self) -> str:
        tariff, spent = self.spending.tariff, self.spending.cost
        if tariff.budget is None:
            return ""
        left = tariff.budget - spent
        least, most = sorted(tariff.cost(amount.inputs, amount.characters) for amount in (self.least, self.most))
        verdict = "is enough" if left >= most else "may end first" if left >= least else "ends before the run does"
        return f" The budget, of which {left:.4g} of {tariff.budget:g} is left, {verdict}."


_ASSUMED = (
    "Inputs: on the first {} examples, from a stand-in that is easily fooled to one that never is (or the other way round), "
    "scaled to all; every example counts as right at first.",
    "Requests that fail and are sent again come on top. Nothing was sent for this estimate.",
)


def priced(victim: Victim) -> bool:
    """Whether asking the victim costs money."""
    return isinstance(victim, _Asked) and victim.spending.tariff.price is not None


def estimate(runner: Runner, tried: int = TRIED) -> Estimate:
    """What is left of a run that is open, by attacks on `tried` examples of each cell. Raises `UsageError` for a victim that is asked for nothing, and where a defense can't be
    tried without the victim."""
    if not isinstance(runner.victim, _Asked):
        raise UsageError(f"an estimate is of what is sent to a server, and {runner.victim.name} is none; run it")
    manners, spent = runner.victim.manners, Spending(runner.victim.spending.tariff)
    if runner.resume:
        spent.keep(runner.folder / FILE)
    found: list[list[Tried]] = []
    for fooled in (True, False):
        victim = StandIn(label_names=runner.dataset.label_names, batch=manners.batch, fooled=fooled)
        trial = replace(runner, victim=victim, crew=None, on_table=None, on_cell=None)
        found.append(DryRun(trial, victim, tried).cells())
    cells = [
        CellEstimate(
            one.defense, one.attack, one.examples, min(one.sent, other.sent), max(one.sent, other.sent), one.bound
        )
        for one, other in zip(*found, strict=True)
    ]
    asked = runner.share[:PROBED]
    besides = 2 * len(asked) * (not runner.victim.random)
    length = sum(len(text) for example in asked for text in example.fields.values()) * 2
    return Estimate(tuple(cells), Amount(besides, length, 2 * ceil(len(asked) / manners.batch)), spent, manners, tried)


def _sum(amounts: Sequence[Amount]) -> Amount:
    total = Amount()
    for amount in amounts:
        total = total.plus(amount)
    return total


def _figures(least: Amount, most: Amount, bound: float | None, tariff: Tariff) -> tuple[str, str, str]:
    costs = [tariff.cost(amount.inputs, amount.characters) for amount in (least, most)]
    return (
        _range(least.inputs, most.inputs),
        "no bound" if bound is None else f"{bound:,.0f}",
        "–".join(dict.fromkeys(f"{cost:.3g}" for cost in sorted(costs))),
    )


def _range(least: float, most: float) -> str:
    return "–".join(dict.fromkeys(f"{value:,.0f}" for value in sorted([least, most])))


def _time(least: float, most: float) -> str:
    """Seconds, as what people say."""
    unit, size = ("h", 3600) if least > 7200 else ("min", 60) if least > 120 else ("s", 1)
    return f"{_range(least / size, most / size)} {unit}"
