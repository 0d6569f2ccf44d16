"""What warnings are computed from: a run's rows with their records, and the attacks that made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import pandas as pd

from robustbench_nlp.attack import Attack
from robustbench_nlp.compact import Compact
from robustbench_nlp.grid import attack_named
from robustbench_nlp.records import Record
from robustbench_nlp.report.table import REDUCTION

__all__ = ["Evidence", "EvidenceCell", "Evidenced", "evidence_cells"]


class Evidenced(Protocol):
    """What flags are computed from: a `Run`, or an `Evidence`."""

    @property
    def table(self) -> pd.DataFrame: ...

    @property
    def records(self) -> Mapping[tuple[str, str], Sequence[Record]]: ...


class Evidence(NamedTuple):
    """A table of one victim on one dataset (the columns of table.csv) with its records by (defense, attack)."""

    table: pd.DataFrame
    records: Mapping[tuple[str, str], Sequence[Record]]


@dataclass(frozen=True, slots=True)
class EvidenceCell:
    """A row of the table with its records; `draws` are those behind a score, each a query; `attack` is None where the name makes no attack here (an object, an extra)."""

    defense: str
    name: str
    mode: str
    threat: str
    max_queries: int | None
    draws: int
    records: Sequence[Record]
    attack: Attack | None

    @property
    def unit(self) -> str | None:
        return self.attack.threat.unit if self.attack else None

    @property
    def knowledge(self) -> str | None:
        return self.attack.threat.knowledge if self.attack else None

    @property
    def blind(self) -> bool:
        """Whether the attack never looks at an answer: noise, or a random search."""
        noise = "noise" in (self.mode, getattr(self.attack, "mode", None))  # in a cascade the row says cascade
        return noise or getattr(self.attack, "search", None) == "random"

    @property
    def verdicts(self) -> Mapping[str, bool]:
        """Of each attempted example, whether it was broken."""
        attempted = (record for record in self.records if record.outcome in ("success", "failed"))
        return Compact(((record.example_id, record.outcome == "success") for record in attempted), kind=bool)

    @property
    def settled(self) -> Set[str]:
        """Examples that an earlier member of a cascade broke, so that nobody knows what this attack would have done."""
        return Compact(((r.example_id, True) for r in self.records if r.outcome == "settled"), kind=bool).keys()

    @property
    def right(self) -> int:
        """How many examples are right under the attack."""
        return sum(record.outcome == "failed" for record in self.records)

    def __str__(self) -> str:
        return f"{self.defense} × {self.name} ({self.threat})"


def evidence_cells(run: Evidenced) -> list[EvidenceCell]:
    """The table's rows that have records of their own, so no worst cases."""
    records = run.records  # read once
    return [
        EvidenceCell(
            str(row["defense"]),
            str(row["attack"]),
            str(row["mode"]),
            str(row["threat"]),
            None if pd.isna(row["max_queries"]) else int(row["max_queries"]),
            1 if pd.isna(draws := row.get("draws")) else int(draws),
            records[row["defense"], row["attack"]],
            attack_named(str(row["attack"])),
        )
        for row in run.table.to_dict("records")
        if (row["defense"], row["attack"]) in records and row["mode"] != REDUCTION
    ]
