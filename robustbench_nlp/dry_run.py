"""Attacks for nothing: what each cell of a run sends to a stand-in, scaled to the examples that are left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import NamedTuple

from robustbench_nlp import progress
from robustbench_nlp.data.example import Example, picked
from robustbench_nlp.defense import shown
from robustbench_nlp.engine import LIVE
from robustbench_nlp.errors import UsageError
from robustbench_nlp.grid import Member
from robustbench_nlp.records import Record, read
from robustbench_nlp.runner import Runner
from robustbench_nlp.stand_ins import StandIn
from robustbench_nlp.transfer import transferred
from robustbench_nlp.victim import Victim

__all__ = ["Amount", "DryRun", "Tried"]


class Amount(NamedTuple):
    """What is sent."""

    inputs: float = 0.0
    characters: float = 0.0
    requests: float = 0.0

    def plus(self, other: Amount) -> Amount:
        return Amount(*(a + b for a, b in zip(self, other, strict=True)))


class Tried(NamedTuple):
    """A cell: the examples that it has no record of, what they send, and the most inputs that the budget of queries allows
    (None: it has none): each query once in the search and once more by the referee, but the clean one."""

    defense: str
    attack: str
    examples: int
    sent: Amount
    bound: float | None


@dataclass(frozen=True)
class DryRun:
    """`runner` attacks `victim`, which it has in the place of its own, on the first `tried` examples of each cell."""

    runner: Runner
    victim: StandIn
    tried: int

    def cells(self) -> list[Tried]:
        """Every cell, in order. Raises `UsageError` for a defense that needs the victim itself."""
        made: list[Tried] = []
        direct: dict[str, list[Record]] = {}
        for selector in self.runner.benchmark.defenses:
            defense = shown(selector)
            try:
                defended = self.runner.defend(selector)
            except UsageError as problem:
                raise UsageError(f"no estimate with the defense {defense}: {problem}") from problem
            for attack in self.runner.grid.members:
                found = direct.get(attack.name)
                replayed = attack.attack if found is None else transferred(attack.attack, {"fingerprint": ""}, found)
                cell, records = self._cell(defended, defense, Member(attack.name, replayed))
                made.append(cell)
                if self.runner.benchmark.mode == "transfer":
                    direct.setdefault(attack.name, records)
        return made

    def _cell(self, defended: Victim, defense: str, member: Member) -> tuple[Tried, list[Record]]:
        """The cell, and the records of the examples that were tried, all of which count as right."""
        left = self._left(defense, member)
        tried = left[: self.tried]
        classes = defended.predict([example.input for example in tried]).argmax(axis=1).tolist() if tried else []
        sample = [replace(example, label=label) for example, label in zip(tried, classes, strict=True)]
        self.victim.forget()
        engine = self.runner.engine(defended, member)
        learned = self._sent()
        self.victim.forget()
        records: list[Record] = []
        with progress.task(f"estimating {defense} × {member.name}", len(sample)) as step:
            for record in engine.run(sample):
                records.append(record)
                step(1, "")
        queries = engine.threat.max_queries
        forwards = getattr(defended, "forwards_per_prediction", 1)
        bound = None if queries is None else len(left) * (2 * max(queries, 1) - 1) * forwards + learned.inputs
        return Tried(defense, member.name, len(left), self._scaled(sample, left).plus(learned), bound), records

    def _left(self, defense: str, member: Member) -> Sequence[Example]:
        """The examples that the cell has no record of."""
        path = self.runner.file(defense, member)
        found = read(path) if self.runner.resume and path.exists() else None
        records = found.records if found is not None else {}
        done = {identity for identity, record in records.items() if record.outcome != "error"}
        return picked(self.runner.share, lambda identity: identity not in done)

    def _sent(self) -> Amount:
        """What the stand-in was sent since it last forgot."""
        victim = self.victim
        requests = sum(ceil(inputs / victim.batch) for inputs in victim.calls) + victim.alone
        return Amount(sum(victim.calls) + victim.alone, victim.characters, requests)

    def _scaled(self, sample: Sequence[Example], left: Sequence[Example]) -> Amount:
        """What all the examples send where the sample sent that: more of them fill a round's requests better."""
        if not sample:
            return Amount()
        victim, sent = self.victim, self._sent()
        more, beside = len(left) / len(sample), min(LIVE, len(left))
        wider = beside / len(sample)
        rounds = sum(ceil(inputs * wider / victim.batch) for inputs in victim.calls) * len(left) / beside
        return Amount(sent.inputs * more, sent.characters * more, rounds + victim.alone * more)
