"""Runs the cells of a grid: defended victim by defended victim, attack by attack, record by record.

The run folder holds `run.yaml` (running it again reproduces the run), `manifest.json`, `records/<cell>.jsonl`,
`table.csv` and `table.md`. A run that was interrupted anywhere goes on from its records.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from robustbench_nlp import progress
from robustbench_nlp.attack import Attack, Encode
from robustbench_nlp.compact import Compact
from robustbench_nlp.console import printable
from robustbench_nlp.costs import READ, costs
from robustbench_nlp.data import Dataset, Example
from robustbench_nlp.data.example import content_hash, ids_of, labels_of, listed_hash, picked
from robustbench_nlp.defense import compose, defend, knows, shown
from robustbench_nlp.detection import Detecting, rejection
from robustbench_nlp.engine import Engine
from robustbench_nlp.environment import environment
from robustbench_nlp.errors import UsageError
from robustbench_nlp.grid import Benchmark, Grid, Member
from robustbench_nlp.helpers import Helpers
from robustbench_nlp.on_disk import listed, taken
from robustbench_nlp.predictor import JUDGED
from robustbench_nlp.preparation import prepares, refuse_untaught
from robustbench_nlp.readiness import refuse_unfit
from robustbench_nlp.records import SCHEMA, Record, RecordFile, file_name, write_whole
from robustbench_nlp.report.flags import Flag, few_draws
from robustbench_nlp.report.shown import write
from robustbench_nlp.report.table import row, table
from robustbench_nlp.report.worst_case import worst_case_row
from robustbench_nlp.run_files import manifest, manifest_of
from robustbench_nlp.shards import Shard, take_in
from robustbench_nlp.spending import Spending
from robustbench_nlp.tasks import classification
from robustbench_nlp.threat import Threat
from robustbench_nlp.transfer import transferred
from robustbench_nlp.unattacked import Unattacked, unattacked
from robustbench_nlp.victim import Victim
from robustbench_nlp.workers import Workers

__all__ = ["HOPELESS", "Runner", "replayed"]

DEV = 200
"""Dev examples that an attack learns from."""
HOPELESS = 20
"""After this many errors and nothing else the run stops: the victim is broken, not an example."""

Header = dict[str, Any]
Cell = tuple[Header, Mapping[str, Record]]
"""A cell's header, and its records by example id in the examples' order."""
OnTable = Callable[[pd.DataFrame], None]
OnCell = Callable[[Header], None]


@dataclass
class Runner:
    """One benchmark with everything it needs at hand: the dataset, the victim, the grid of attacks, helper models."""

    benchmark: Benchmark
    dataset: Dataset
    victim: Victim
    grid: Grid
    helpers: Helpers
    folder: Path
    resume: bool = True
    batch_size: int | None = None
    on_table: OnTable | None = None
    objects: tuple[tuple[str, str], ...] = ()
    """(kind, name) of what was handed over as a Python object: `run.yaml` alone cannot make it again."""
    searches: bool = True
    """False where only texts are checked, so that the models that a search asks needn't be here."""
    crew: Workers | None = None
    """The processes that attack; None: this one."""
    shard: Shard | None = None
    """The part of the examples that is attacked here; None: all, and what shards of the run found is taken in first."""
    on_cell: OnCell | None = None
    """Hears each cell's header before its attacks run; what it raises ends the run."""
    flags: list[Flag] = field(default_factory=list, init=False)
    """What is to be said below the table that no record tells."""

    def run(self) -> pd.DataFrame:
        """Run every cell that isn't on record yet; the table, written after each cell."""
        with self.crew or nullcontext():
            return self._run()

    def _run(self) -> pd.DataFrame:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.crew is None and (keep_in := getattr(self.victim, "keep_in", None)) is not None:
            keep_in(self.folder, resume=self.resume)
        write_whole(self.folder / "run.yaml", self._run_yaml())
        for member in self.grid.members:
            if prepares(member.attack):
                refuse_untaught(member.name, self.dev)
            self._helper_models(member.attack)  # what can't be had is told before anything runs
        meeting = self.grid.members if self.benchmark.mode == "adaptive" else ()
        self.flags = []
        for defense in self.benchmark.defenses:
            refuse_unfit(defense, self.victim, self._learned(defense), meeting)
            self.flags = self.flags or self._learned(defense).flags()
        done: list[dict[str, Any]] = []
        cells: list[tuple[Header, Counter[str]]] = []
        frame = table([])
        total = len(self.benchmark.defenses) * len(self.grid.members)
        direct: dict[str, Cell] = {}
        for defense in self.benchmark.defenses:
            defended = self.defend(defense)
            self.flags += few_draws(shown(defense), self.benchmark.draws) if defended.random else ()
            told = self._told(defense, defended)
            members: dict[str, Cell] = {}
            for attack in self.grid.members:
                member = replayed(attack, direct)
                label = f"[{len(cells) + 1}/{total}] {shown(defense)} × {member.name}"
                header, records = self._cell(defended, defense, member, list(members.values()), label)
                members[member.name] = header, records
                cells.append((header, Counter(record.outcome for record in records.values())))
                done.append(row(header, records.values()) | told([attack]) | self._rejected(defended, [records]))
                frame = self._publish(done, cells)
            for name, names in self.grid.worst_cases.items():
                header, records = worst_case_row([members[member] for member in names], name)
                own = [member for member in self.grid.members if member.name in names]
                full = [] if self.grid.cascade else [members[member][1] for member in names]
                done.append(row(header, records.values()) | told(own) | self._rejected(defended, full))
            if self.benchmark.mode == "transfer":
                direct = direct or members
            if self.grid.worst_cases:
                frame = self._publish(done, cells)
        return frame

    @property
    def spending(self) -> Spending | None:
        """What asking the victim costs; None where it is free, and where workers ask and each counts for itself."""
        return None if self.crew is not None else getattr(self.victim, "spending", None)

    def _run_yaml(self) -> str:
        missing = ", ".join(f"{kind} {name}" for kind, name in self.objects)
        missing = " ".join(printable(missing).split())  # one line, whatever an object is called
        note = f"# Not complete without these Python objects: {missing}\n" if missing else ""
        return note + yaml.safe_dump(self.benchmark.settings(), sort_keys=False, allow_unicode=True)

    @cached_property
    def examples(self) -> Sequence[Example]:
        """The examples under attack, in content order."""
        return self.dataset.head(self.benchmark.limit)

    @cached_property
    def share(self) -> Sequence[Example]:
        """Those of the examples that are attacked here. Raises `UsageError` for a shard without any."""
        if self.shard is None:
            return self.examples
        share = picked(self.examples, self.shard.holds)
        if not share:
            raise UsageError(
                f"shard {self.shard.number}/{self.shard.of} has none of the {len(self.examples)} examples; take fewer shards"
            )
        return share

    @cached_property
    def train(self) -> Unattacked:
        """The training split for defenses; empty where the dataset has none and no other is named."""
        return self._unattacked(self.benchmark.train, "train")

    @cached_property
    def dev(self) -> tuple[Example, ...]:
        """The dev split's first examples, for attacks that learn before they meet the test split."""
        return tuple(self._unattacked(None, "dev").examples[:DEV])

    def _unattacked(self, source: str | None, split: str) -> Unattacked:
        """The split of the source that is named, else of the dataset, where it has splits."""
        own = None if self.dataset.split == "all" or self._given else self.benchmark.dataset
        return unattacked(source or own, split, self.examples, self.victim, self.benchmark.label_map)

    @cached_property
    def _hashes(self) -> tuple[str, str]:
        """What tells the examples under attack, and their labels."""
        return (
            listed_hash(items=ids_of(self.examples))[:16],
            listed_hash(items=labels_of(self.examples))[:16],
        )

    @property
    def _given(self) -> bool:
        """Whether the dataset came as an object: its name says nothing about other splits."""
        return any(kind == "dataset" for kind, _ in self.objects)

    def defend(self, defense: str) -> Victim:
        return defend(self.victim, defense, self._learned(defense).examples, self.benchmark.seed)

    def _learned(self, defense: str) -> Unattacked:
        return Unattacked() if shown(defense) == "none" else self.train

    def _rejected(self, defended: Victim, cells: Sequence[Mapping[str, Record]]) -> dict[str, float]:
        """What a detecting victim's rejections give under all of the attacks; nothing where no defense of the run detects, nor for a
        cascade, whose later members never tried what the detector would have let through."""
        return rejection(defended, *map(listed, cells)) if cells and isinstance(defended, Detecting) else {}

    def _told(self, defense: str, defended: Victim) -> Callable[[Sequence[Member]], dict[str, Any]]:
        """What a table of defenses says besides: costs, and whether the defense learned from any of a row's attacks or its words."""
        draws = {"draws": self._draws(defended)}
        if self.benchmark.defenses == ("none",):
            return lambda members: draws if defended.random else {}
        asked = [example.input for example in self.examples[:READ]]
        spent = costs(defended, self.victim, asked, draws=self.benchmark.draws)._asdict() | draws
        made = compose(defense)

        def told(members: Sequence[Member]) -> dict[str, Any]:
            return spent | {"known": any(knows(made, member.name, member.attack) for member in members)}

        return told

    def _cell(self, victim: Victim, defense: str, member: Member, before: Sequence[Cell], label: str) -> Cell:
        """One cell's header and records, from the file as far as it goes; earlier cells settle examples in a cascade."""
        header = self.header(victim, defense, member)
        if self.on_cell is not None:
            self.on_cell(header)
        path = self.file(header["defense"], member)
        with RecordFile(path, header, resume=self.resume) as file:
            if self.shard is None:
                take_in(file, header, self.folder)
            done = Compact(
                ((i, r.outcome == "failed") for i, r in file.records.items() if r.outcome != "error"), kind=bool
            )
            missing = picked(self.share, lambda identity: identity not in done)
            right, judged, hopeless = sum(done.values()), len(done), not done
            start = time.perf_counter()
            with progress.task(label, len(self.share), len(self.share) - len(missing)) as step:
                kept = "robust" if classification.goal_of(member.attack).fools else "not reduced"
                for record in self._attack(victim, defense, member, missing, before):
                    file.append(record)
                    right += record.outcome == "failed"
                    judged += 1
                    spent = f", {self.spending.told()}" if self.spending is not None else ""
                    step(1, f"{kept} {right / judged:.1%}{spent}")
                    hopeless = hopeless and record.outcome == "error"
                    if hopeless and len(file.records) >= min(HOPELESS, len(self.share)):
                        first = next(iter(file.records.values()))
                        raise UsageError(f"every one of the first {len(file.records)} examples failed: {first.error}")
            header["seconds"] = time.perf_counter() - start
            records = file.records
        del file  # with the places that it gathered
        return header, taken(records, ids_of(self.share))

    def file(self, defense: str, member: Member) -> Path:
        """Where a cell's records lie; the defense as tables print it."""
        return self.folder / "records" / f"{file_name(defense)}__{file_name(member.name)}.jsonl"

    def _attack(
        self, victim: Victim, defense: str, member: Member, examples: Sequence[Example], before: Sequence[Cell]
    ) -> Iterator[Record]:
        """The examples' records as they come; in a cascade first of those that an earlier member broke, with the winner."""
        last = before[-1][1] if self.grid.cascade and before else {}  # an example that was settled stays so
        broken = Compact(
            ((i, True) for i, record in last.items() if record.outcome in ("success", "settled")), kind=bool
        )
        for example in picked(examples, broken.__contains__):
            yield Record(
                example_id=example.id,
                label=example.label,
                original=example.input,
                outcome="settled",
                winner=last[example.id].winner or "",
                seed=self.benchmark.seed,
            )
        left = picked(examples, lambda identity: identity not in broken)
        if not left:
            return
        if self.crew is None:
            yield from self.engine(victim, member).run(left)
        else:
            yield from self.crew.run(defense, member, left)

    def engine(self, victim: Victim, member: Member, each_round: Callable[[], None] = lambda: None) -> Engine:
        """What attacks, or checks, one cell; `each_round` as there."""
        return Engine(
            member.attack,
            victim,
            name=member.name,
            seed=self.benchmark.seed,
            max_queries=self._threat(victim, member).max_queries,
            draws=self.benchmark.draws,
            batch_size=self.batch_size,
            helpers=self.helpers,
            similarity=None if self.benchmark.similarity == "none" else self.benchmark.similarity,
            dev=self.dev if prepares(member.attack) else (),
            each_round=each_round,
        )

    def _threat(self, victim: Victim, member: Member) -> Threat:
        """The member's threat with the budget that it has against this victim: a random one's draws, each a query, have it each."""
        threat, most = member.attack.threat, self.benchmark.max_queries
        most = threat.max_queries if most is None else most
        return threat if most is None else replace(threat, max_queries=most * self._draws(victim))

    def _draws(self, victim: Victim) -> int:
        """How many draws an answer of the victim is the mean of."""
        return self.benchmark.draws if victim.random else 1

    def header(self, victim: Victim, defense: str, member: Member) -> Header:
        """What stands in a cell's first line: the table's columns, the whole `spec` and its fingerprint, the environment."""
        benchmark = self.benchmark
        threat = self._threat(victim, member)
        mode = "cascade" if self.grid.cascade else getattr(member.attack, "mode", "adaptive")
        spec: dict[str, Any] = {
            "dataset": self.dataset.fingerprint,
            "examples": self._hashes[0],
            "labels": [list(self.dataset.label_names), self._hashes[1]],
            "victim": victim.fingerprint,
            "defense": shown(defense),
            "attack": [member.name, repr(member.attack), getattr(member.attack, "version", 1)],
            "threat": asdict(threat),
            "task": [benchmark.task, classification.VERSION],
            "seed": benchmark.seed,
            "draws": self._draws(victim),
            "mode": mode,
            "members before": [m.name for m in self.grid.members[: self.grid.members.index(member)]]
            if self.grid.cascade
            else [],
            "dtype": benchmark.dtype,
            "similarity": benchmark.similarity,
            "learned from": content_hash([example.id for example in self.dev])[:16]
            if prepares(member.attack)
            else None,
        }
        if victim.random:
            spec["judged"] = JUDGED
        if models := self._helper_models(member.attack):
            spec["helper models"] = models
        spec = json.loads(json.dumps(spec))  # as it will be read back
        return {
            "task": benchmark.task,
            "dataset": self.dataset.name,
            "split": self.dataset.split,
            "victim": victim.name,
            "defense": shown(defense),
            "attack": member.name,
            "mode": mode,
            "threat": str(threat),
            "max_queries": threat.max_queries,
            "n": len(self.examples),
            "seed": benchmark.seed,
            "schema": SCHEMA,
            "label_names": list(self.dataset.label_names),
            "note": self._note(),
            "fingerprint": content_hash(SCHEMA, spec)[:16],
            "spec": spec,
            "environment": environment(),
        }

    def _helper_models(self, attack: Attack) -> list[list[str]]:
        """Kind, name and identity of each model beside the victim that decides what the attack finds."""
        if not self.searches:
            return []
        asked = {(kind, name) for kind, name in getattr(attack, "helpers", ())}
        judging = attack.threat.similarity_model or self.benchmark.similarity
        if attack.threat.min_similarity is not None and judging != "none":
            asked.add((Encode, judging))
        return sorted([kind.__name__, name, self.helpers.identity(kind, name)] for kind, name in asked)

    def _note(self) -> str:
        """The dataset's own note, and what holds for victims without label names."""
        order = f"{self.victim.name} names no labels: its classes are read as {', '.join(self.dataset.label_names)}."
        return " ".join(filter(None, [self.dataset.note, "" if self.victim.label_names else order]))

    def note(self, **facts: Any) -> None:
        """Add what is known of the finished run to its manifest."""
        path = self.folder / "manifest.json"
        write_whole(path, json.dumps(manifest_of(self.folder) | facts, indent=2) + "\n")

    def _publish(self, rows: list[dict[str, Any]], cells: Sequence[tuple[Header, Counter[str]]]) -> pd.DataFrame:
        """Write the table and the manifest, and show the table to who listens."""
        frame = table(rows)
        write(frame, self.folder)
        write_whole(self.folder / "manifest.json", json.dumps(manifest(self.dataset, cells), indent=2) + "\n")
        if self.on_table is not None:
            self.on_table(frame)
        return frame


def replayed(member: Member, direct: Mapping[str, Cell]) -> Member:
    """In a transfer the member that shows what the attack found `direct`ly, in the undefended victim's cells; else itself."""
    if not direct:
        return member
    header, records = direct[member.name]
    return replace(member, attack=transferred(member.attack, header, records.values()))
