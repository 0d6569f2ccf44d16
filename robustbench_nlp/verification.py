"""`verify`: does a run folder say what its victim, its threats and its records say?

Every text that is on record is predicted again and held against the threat from the original; the table is computed again
from the records. What can't be checked without running the attacks again is that a failed search looked for long enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from robustbench_nlp import progress
from robustbench_nlp.api import Pairs, opened
from robustbench_nlp.attack import Attack
from robustbench_nlp.data import Dataset
from robustbench_nlp.data.example import Example, content_hash
from robustbench_nlp.defense import shown
from robustbench_nlp.differing import differing
from robustbench_nlp.engine import Engine
from robustbench_nlp.errors import UsageError, VictimError
from robustbench_nlp.grid import Member
from robustbench_nlp.recorded import cell_in, no_run
from robustbench_nlp.records import SCHEMA, CellRecords, Record
from robustbench_nlp.report.table import COLUMNS, row, table
from robustbench_nlp.report.worst_case import worst_case_row
from robustbench_nlp.run_files import benchmark_of, table_of
from robustbench_nlp.runner import Runner, replayed
from robustbench_nlp.tasks.classification import judge, right
from robustbench_nlp.threat import measure
from robustbench_nlp.victim import Victim, refuse_code

__all__ = ["COSTS", "Check", "Verification", "same", "verify"]

COSTS = ("seconds",)
"""Columns that may differ from machine to machine."""
TOLERANCE = 0.01
"""By how much a probability may differ from the recorded one: more than another machine's rounding makes of it."""

Cells = dict[str, tuple[dict[str, Any], Mapping[str, Record]]]
Source = Callable[[str, Member], CellRecords[Record] | None]
"""What is on record of a defense, as tables print it, under a member; None where nothing is. May raise `UsageError`."""


@dataclass(frozen=True)
class Verification:
    """What was checked: `texts` that were predicted again, examples `attacked` again, and the `differences`, a line each; none:
    the run holds."""

    folder: Path
    cells: int
    texts: int
    differences: tuple[str, ...]
    attacked: int = 0

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
    check = Check(runner, sample, lambda defense, member: _from_folder(runner.file(defense, member)))
    differences = [*check.differences(), *_table(recorded, table(check.rows))]
    return Verification(place, check.cells, check.texts, tuple(differences))


def _from_folder(path: Path) -> CellRecords[Record] | None:
    cell = cell_in(path) if path.exists() else None
    return None if cell is None else CellRecords(dict(cell.header), cell.records, 0)


@dataclass
class Check:
    """The check of what `source` has on record of a run; counts what it looked at, and keeps the table's `rows`."""

    runner: Runner
    sample: int | None
    source: Source
    ignored: tuple[str, ...] = ()
    """Settings that may differ from the recorded ones."""
    cells: int = 0
    texts: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    victims: dict[str, Victim] = field(default_factory=dict)
    """What each defense made, by its selector."""

    def differences(self) -> Iterator[str]:
        """A line for each header, text, threat and outcome that isn't as it should be, as it is found."""
        direct: Cells = {}
        for defense in self.runner.benchmark.defenses:
            defended = self.victims[defense] = self.runner.defend(defense)
            found: Cells = {}
            for attack in self.runner.grid.members:
                try:
                    member = replayed(attack, direct)
                    file = self.source(shown(defense), member)
                except (UsageError, KeyError) as problem:
                    yield str(problem)
                    continue
                where = f"{shown(defense)} × {member.name}"
                if file is None:
                    yield f"{where}: no records in {self.runner.file(shown(defense), member).name}"
                    continue
                self.cells += 1
                yield from (f"{where}: {line}" for line in self._header(file, defended, defense, member))
                yield from (f"{where}: {line}" for line in self._examples(file.records))
                yield from (f"{where}: {line}" for line in self._texts(defended, member, file.records.values(), found))
                found[member.name] = file.header, file.records
                self.rows.append(row(file.header, file.records.values()))
            if self.runner.benchmark.mode == "transfer":
                direct = direct or found
            for name, names in self.runner.grid.worst_cases.items():
                where = f"{shown(defense)} × worst case {name}"
                if lacks := [each for each in names if each not in found]:
                    yield f"{where}: no records of {', '.join(lacks)}"
                    continue
                try:
                    header, worst = worst_case_row([found[each] for each in names], name)
                    self.rows.append(row(header, worst.values()))
                except UsageError as problem:
                    yield f"{where}: {problem}"

    def _header(self, file: CellRecords[Record], victim: Victim, defense: str, member: Member) -> Iterator[str]:
        """The settings that are recorded are those of the run, and the fingerprint is theirs."""
        wanted = self.runner.header(victim, defense, member)
        mine, told = ({"n": header.get("n"), **header["spec"]} for header in (wanted, file.header))
        for name, here, there in differing(mine, told, self.ignored):
            yield f"{name} is {here} here and {there} on record"
        if file.header["fingerprint"] != content_hash(SCHEMA, file.header["spec"])[:16]:
            yield f"the fingerprint {file.header['fingerprint']} is not that of the recorded settings"

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

    def _texts(self, victim: Victim, member: Member, records: Iterable[Record], before: Cells) -> Iterator[str]:
        """Clean and attacked texts predicted again, threats rechecked, outcomes told from both."""
        engine = self.runner.engine(victim, member)
        exact = not victim.random and self.runner.benchmark.dtype == "float32"
        examples = {example.id: example for example in self.runner.examples}
        known = [record for record in records if record.example_id in examples]
        judged = [record for record in known if record.outcome in ("success", "failed", "skipped")][: self.sample]
        answers = engine.predictor.predict([examples[record.example_id].input for record in judged])
        with progress.task(f"verify {member.name}", len(judged)) as step:
            for record, output in zip(judged, answers.outputs, strict=True):
                example = examples[record.example_id]
                yield from (f"example {record.example_id} {line}" for line in _clean(record, output))
                if record.outcome != "skipped":
                    yield from (
                        f"example {record.example_id} {line}"
                        for line in _attacked(engine, example, record, exact=exact)
                    )
                self.texts += 1
                step(1, "")
        broken = {r.example_id for _, cell in before.values() for r in cell.values() if r.outcome == "success"}
        for record in known:
            if record.outcome == "settled" and record.example_id not in broken:
                yield f"example {record.example_id} is settled, and no attack before broke it"


def _clean(record: Record, output: Any) -> Iterator[str]:
    prediction = int(np.argmax(output))
    if prediction != record.clean_prediction:
        yield f"is predicted {prediction} without an attack, {record.clean_prediction} on record"
    elif record.clean_output is None or not np.allclose(output, record.clean_output, atol=TOLERANCE):
        yield f"has the clean output {np.round(output, 3).tolist()}, {record.clean_output} on record"
    if record.clean_output is not None:
        margin = float(judge(np.array([record.clean_output], np.float32), [record.label]).margin[0])
        if (record.outcome == "skipped") == right(margin):
            yield f"is recorded as {record.outcome} with the prediction {record.clean_prediction} and the label {record.label}"


def _attacked(engine: Engine, example: Example, record: Record, *, exact: bool) -> Iterator[str]:
    """What differs of an attempted example; a search that isn't `exact`, in low precision or by random draws, may miss what the
    referee would have credited."""
    name = engine.field or next(iter(example.fields))
    adversarial = record.adversarial
    if adversarial is None:
        yield f"is recorded as {record.outcome} without a text"
        return
    string = adversarial if isinstance(adversarial, str) else adversarial[list(example.fields).index(name)]
    if example.with_field(name, string) != adversarial:
        yield f"has a text that differs outside its field {name}"
    try:
        verdict = engine.referee.judge(example, name, string)
    except VictimError as problem:
        yield f"cannot be predicted again: {problem}"
        return
    if exact and verdict.success and record.outcome == "failed":
        yield "is recorded as failed, and its text is a success"
    if not verdict.success and record.outcome == "success":
        yield f"is recorded as a success: {verdict.reason}"
    if record.outcome == "success" and abs((verdict.margin or 0.0) - (record.margin or 0.0)) > 2 * TOLERANCE:
        yield f"has the margin {verdict.margin}, {record.margin} on record"
    changes = measure(example.fields[name], string)
    for count in ("words_changed", "words_total", "edits_chars"):
        if getattr(changes, count) != getattr(record, count):
            yield f"has {count} {getattr(changes, count)}, {getattr(record, count)} on record"
    most = engine.threat.max_queries
    if most is not None and record.queries > most:
        yield f"spent {record.queries} queries, at most {most} were allowed"


def _table(recorded: pd.DataFrame, computed: pd.DataFrame) -> Iterator[str]:
    """The rows and cells in which the published table isn't the one that the records give."""
    keys = ["defense", "attack"]
    told = {tuple(row[key] for key in keys): row for row in recorded.to_dict("records")}
    made = {tuple(row[key] for key in keys): row for row in computed.to_dict("records")}
    for key in dict.fromkeys([*told, *made]):
        where = f"table.csv, {key[0]} × {key[1]}"
        if key not in told or key not in made:
            yield f"{where}: {'no such row' if key not in told else 'no records give this row'}"
            continue
        for name in COLUMNS:
            if name not in COSTS and not same(told[key].get(name), made[key][name]):
                yield f"{where}: {name} is {told[key].get(name)}, the records give {made[key][name]}"


def same(one: Any, other: Any) -> bool:
    """Whether two values of a table are equal, numbers but for the last digits; what is missing equals what is missing."""
    if pd.isna(one) or pd.isna(other):
        return bool(pd.isna(one) and pd.isna(other))
    if isinstance(one, float | int) and isinstance(other, float | int):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return str(one) == str(other)
