"""`verify`: does a run folder say what its victim, its threats and its records say?

Every text that is on record is predicted again and held against the threat from the original; the table is computed again
from the records. What can't be checked without running the attacks again is that a failed search looked for long enough.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robustbench_nlp.api import Pairs, opened
from robustbench_nlp.attack import Attack
from robustbench_nlp.data import Dataset
from robustbench_nlp.data.example import content_hash
from robustbench_nlp.defense import shown
from robustbench_nlp.differing import differing
from robustbench_nlp.engine import Engine
from robustbench_nlp.errors import UsageError
from robustbench_nlp.grid import Member
from robustbench_nlp.recorded import Cell, cell_in, no_run
from robustbench_nlp.records import SCHEMA, Record
from robustbench_nlp.report.table import WORST_CASE
from robustbench_nlp.report.worst_case import worst_case_row
from robustbench_nlp.run_files import benchmark_of, table_of
from robustbench_nlp.runner import Runner, replayed
from robustbench_nlp.verification_records import rechecked
from robustbench_nlp.verification_tables import published
from robustbench_nlp.victim import Victim, refuse_code

__all__ = ["Check", "Verification", "verify"]

NAMES = ("split", "defense", "attack", "mode", "threat")
"""Of a header beside its `spec`: what tables print."""
Source = Callable[[str, Member], Cell]
"""What is on record of a defense, as tables print it, under a member. Raises `UsageError` where nothing is to be had."""


@dataclass(frozen=True)
class Verification:
    """What was checked: `texts` that were predicted again, examples `attacked` again, and the `differences`, a line each; none:
    the run holds. Recorded `errors` can't be checked."""

    folder: Path
    cells: int
    texts: int
    differences: tuple[str, ...]
    attacked: int = 0
    errors: int = 0

    @property
    def holds(self) -> bool:
        return not self.differences


def verify(
    folder: str | Path,
    *,
    victim: str | Victim | Callable[[list[str]], Any] | None = None,
    dataset: str | Dataset | Pairs | None = None,
    attacks: Sequence[str | Attack] | None = None,
    device: str = "auto",
    sample: int | None = None,
    attack: int | None = None,
    trust: bool = False,
) -> Verification:
    """Check a run folder, or an entry of a leaderboard by its JSON file. `victim`, `dataset` and `attacks` stand in for what
    `run.yaml` names, for models that lie elsewhere and for Python objects; `sample` checks the first so many attempted examples
    of each cell only; `attack`, for an entry, runs its attacks again on so many examples that withstood them, drawn at random.
    Without `trust`, a victim that the run or entry names is refused where it would run code or talk to a server.

    Raises `UsageError` where there is no run, and for what can't be had any more.
    """
    place = Path(folder)
    if (place.is_file() or place.suffix == ".json") and attacks is None:
        from robustbench_nlp.leaderboard.checking import verify_entry  # which builds on this module

        return verify_entry(
            place, victim=victim, dataset=dataset, device=device, sample=sample, attack=attack, trust=trust
        )
    if attack is not None:
        raise UsageError("attack is for entries of a leaderboard; run a run's run.yaml again with another --output")
    try:
        benchmark, lacks = benchmark_of(place)
        recorded = table_of(place)
    except OSError as problem:
        lacks = Path(str(problem.filename)).name
        raise no_run(place, lacks, "; nor a leaderboard: it holds no entries") from problem
    if victim is None and not trust:
        refuse_code(benchmark.victim, place)
    if not any((place / "records").glob("*.jsonl")):
        raise UsageError(
            f"{place} holds no records, so that there is nothing to check; robustbench-nlp run {place / 'run.yaml'} --output DIR makes them"
        )
    if lacks and victim is dataset is attacks is None:
        raise UsageError(f"{place} was made {lacks}; hand them to robustbench_nlp.verify")
    runner = opened(
        benchmark,
        victim=benchmark.victim if victim is None else victim,
        dataset=benchmark.dataset if dataset is None else dataset,
        attacks=benchmark.attacks if attacks is None else attacks,
        device=device,
        folder=place,
    )
    told = [name for name, given in (("victim", victim), ("dataset", dataset)) if given is None]
    check = Check(
        runner, sample, lambda defense, member: _on_record(runner.file(defense, member)), names=(*NAMES, *told)
    )
    differences = [*check.differences(), *published(place, recorded, check.found, check.lost)]
    return Verification(place, check.cells, check.texts, tuple(differences), errors=check.errors)


def _on_record(path: Path) -> Cell:
    if (cell := cell_in(path) if path.exists() else None) is None:
        raise UsageError(f"no records in {path.name}")
    return cell


@dataclass
class Check:
    """The check of what `source` has on record of a run; counts what it looked at, and keeps the cells that it `found`."""

    runner: Runner
    sample: int | None
    source: Source
    ignored: tuple[str, ...] = ()
    """Settings that may differ from the recorded ones."""
    names: tuple[str, ...] = NAMES
    """What else of a header may not."""
    texts: int = 0
    errors: int = 0
    found: list[Cell] = field(default_factory=list)
    """With the worst cases, in the table's order."""
    victims: dict[str, Victim] = field(default_factory=dict)
    """What each defense made, by its selector."""

    @property
    def cells(self) -> int:
        """How many cells were found, worst cases aside."""
        return sum(not cell.members for cell in self.found)

    @property
    def lost(self) -> set[tuple[str, str]]:
        """The cells and worst cases that aren't to be had; each has one line that says why, and what follows from it has none."""
        grid = self.runner.grid
        attacks = [*(member.name for member in grid.members), *(f"{WORST_CASE}{name}" for name in grid.worst_cases)]
        wanted = {(shown(defense), attack) for defense in self.runner.benchmark.defenses for attack in attacks}
        return wanted - {cell.name for cell in self.found}

    def differences(self) -> Iterator[str]:
        """A line for each header, text, threat and outcome that isn't as it should be, as it is found."""
        direct: dict[str, tuple[dict[str, Any], Mapping[str, Record]]] = {}  # what a transfer replays
        replays = False
        for defense in self.runner.benchmark.defenses:
            defended = self.victims[defense] = self.runner.defend(defense)
            own: dict[str, Cell] = {}
            for attack in self.runner.grid.members:
                if replays and attack.name not in direct:
                    continue
                where = f"{shown(defense)} × {attack.name}"
                try:
                    cell = self.source(shown(defense), attack)
                except UsageError as problem:
                    yield f"{where}: {problem}"
                    continue
                member = replayed(attack, direct)
                yield from (f"{where}: {line}" for line in self._cell(cell, defended, defense, member, own))
                own[attack.name] = cell
            self.found += own.values()
            yield from self._worst_cases(own)
            if self.runner.benchmark.mode == "transfer" and not replays:
                direct, replays = {name: (dict(cell.header), cell.records) for name, cell in own.items()}, True

    def _worst_cases(self, own: Mapping[str, Cell]) -> Iterator[str]:
        """Put one defense's worst cases together, where their members are there."""
        for name, names in self.runner.grid.worst_cases.items():
            members = [own[each] for each in names if each in own]
            if len(members) < len(names):
                continue
            try:
                header, worst = worst_case_row([(cell.header, cell.records) for cell in members], name)
                self.found.append(Cell(header, worst, tuple(members)))
            except UsageError as problem:
                yield f"{members[0].name[0]} × worst case {name}: {problem}"

    def _cell(
        self, cell: Cell, victim: Victim, defense: str, member: Member, before: Mapping[str, Cell]
    ) -> Iterator[str]:
        yield from self._header(cell.header, self.runner.header(victim, defense, member))
        yield from self._examples(cell.records)
        yield from self._records(cell.records.values(), self.runner.engine(victim, member))
        names = [each.name for each in self.runner.grid.members]
        if [*before] == names[: names.index(member.name)]:
            yield from _settled(cell.records, before.values())

    def _header(self, told: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
        """The settings that are recorded are those of the run, and the fingerprint is theirs."""
        here, there = (
            {"n": header.get("n"), **{f"the {name} by name": header.get(name) for name in self.names}, **header["spec"]}
            for header in (wanted, told)
        )
        for name, mine, recorded in differing(here, there, self.ignored):
            yield f"{name} is {mine} here and {recorded} on record"
        if told["fingerprint"] != content_hash(SCHEMA, told["spec"])[:16]:
            yield f"the fingerprint {told['fingerprint']} is not that of the recorded settings"

    def _examples(self, records: Mapping[str, Record]) -> Iterator[str]:
        """Every example of the benchmark is on record, as it is in the data set."""
        examples = {example.id: example for example in self.runner.examples}
        for identity in [identity for identity in examples if identity not in records]:
            yield f"example {identity} has no record"
        for identity, record in records.items():
            example = examples.get(identity)
            if example is None:
                yield f"example {identity} is none of the benchmark's"
            elif record.original != example.input or record.label != example.label:
                yield f"example {identity} has another text or label in the data set"

    def _records(self, records: Collection[Record], engine: Engine) -> Iterator[str]:
        """The records that tell of a prediction, `sample` of them, checked again."""
        examples = {example.id: example for example in self.runner.examples}
        judged = [
            record
            for record in records
            if record.example_id in examples
            and (record.outcome in ("success", "failed", "skipped") or record.clean_prediction is not None)
        ][: self.sample]
        self.texts += len(judged)
        self.errors += sum(record.outcome == "error" for record in records)
        exact = not engine.predictor.victim.random and self.runner.benchmark.dtype == "float32"
        yield from rechecked(engine, examples, judged, exact=exact, measured="similarity" not in self.ignored)


def _settled(records: Mapping[str, Record], before: Iterable[Cell]) -> Iterator[str]:
    """In a cascade, what an earlier member broke is settled, and nothing else."""
    broken = {r.example_id for cell in before for r in cell.records.values() if r.outcome == "success"}
    for identity, record in records.items():
        if record.outcome == "settled" and identity not in broken:
            yield f"example {identity} is settled, and no attack before broke it"
