"""`verify ENTRY`: an entry's victim and defense are made again by their selectors, its texts predicted again, its values recomputed.

Unless asked to, the attacks don't run, so that the helper models that they searched with needn't be here; costs aren't checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from robustbench_nlp.api import Pairs, opened
from robustbench_nlp.data import Dataset, load_dataset
from robustbench_nlp.detection import Detecting
from robustbench_nlp.encoder import EMBEDDED, embedded_folder
from robustbench_nlp.errors import UsageError
from robustbench_nlp.grid import DRAWS, Benchmark, Member
from robustbench_nlp.leaderboard.attacking import attacked_again
from robustbench_nlp.leaderboard.board import FLAGS
from robustbench_nlp.leaderboard.entry import Entry, read_entry
from robustbench_nlp.leaderboard.summary import described, ensemble_digest, summarised
from robustbench_nlp.leaderboard.texts import digest, uncompressed, unpacked
from robustbench_nlp.recorded import Cell
from robustbench_nlp.report.table import WORST_CASE
from robustbench_nlp.runner import Runner
from robustbench_nlp.verification import Check, Verification
from robustbench_nlp.verification_tables import same
from robustbench_nlp.victim import Victim, refuse_code

__all__ = ["read_out", "verify_entry"]

SEARCHED_WITH = ("helper models",)
"""Settings of the search that no text tells, unless a threat limits the similarity."""


def verify_entry(
    path: str | Path,
    *,
    victim: str | Victim | Callable[[list[str]], Any] | None = None,
    dataset: str | Dataset | Pairs | None = None,
    device: str = "auto",
    sample: int | None = None,
    attack: int | None = None,
    trust: bool = False,
) -> Verification:
    """Check an entry against its texts. `victim` and `dataset` stand in for its selectors; `sample` predicts the first so many
    attempted examples of each member only, and recomputes all values; `attack` runs the ensemble again on so many of the
    examples that withstood it. `trust` is as `verify` has it.

    Raises `UsageError` for a file that is no entry, and for what can't be had here.
    """
    place = Path(path)
    entry = read_entry(place)
    if victim is None and not trust:
        refuse_code(entry.victim["selector"], place)
    runner = _opened(entry, place.parent, victim, dataset, device)
    differences = list(_ensemble(entry, runner.grid.members))
    try:
        content = uncompressed(place.with_name(entry.texts["file"]))
        found = unpacked(content, {example.id: example for example in runner.examples}, runner.benchmark.seed)
    except UsageError as problem:
        return Verification(place, 0, 0, (*differences, str(problem)))
    if digest(content) != entry.texts["sha256"]:
        differences.append(f"texts.sha256 is {entry.texts['sha256'][:16]}…, the file's is {digest(content)[:16]}…")
    limited = any(member.attack.threat.min_similarity is not None for member in runner.grid.members)
    unmeasured = () if runner.benchmark.similarity == entry.benchmark.get("similarity") else ("similarity",)
    check = Check(runner, sample, _source(found), () if limited else (*SEARCHED_WITH, *unmeasured))
    differences += check.differences()
    differences += _identity(entry, found)
    differences += _values(entry, runner, found)
    defended = check.victims[entry.defense["selector"]]
    if victim is dataset is None:
        differences += _origin(
            entry, runner, runner.header(defended, entry.defense["selector"], runner.grid.members[0])
        )
    if defended.random and runner.benchmark.draws < DRAWS:
        differences.append(f"draws are {runner.benchmark.draws}; a random victim is judged by at least {DRAWS} here")
    if getattr(defended, "evaded", False):
        differences.append(
            "the defense counts what its detector rejects as no success; entries are without evaded=True"
        )
    detects = isinstance(defended, Detecting)
    if detects != ("detector" in entry.flags):
        differences.append(
            f"flags say that the defense {'detects nothing' if detects else 'detects'}, and it does{'' if detects else ' not'}"
        )
    again = None if attack is None else attacked_again(runner, found, attack, Random())
    differences += () if again is None else again.differences()
    attacked = again.examples if again else 0
    return Verification(place, check.cells, check.texts, tuple(differences), attacked, check.errors)


def read_out(path: str | Path, dataset: str | None = None) -> Iterator[dict[str, Any]]:
    """An entry's texts to read: member, id, label, outcome, winner, original and adversarial text of each record; no victim is needed.

    Raises `UsageError` for a file that is no entry, and where its texts or its data set can't be had.
    """
    place = Path(path)
    entry = read_entry(place)
    data = load_dataset(dataset or entry.dataset["selector"], entry.dataset["split"])
    examples = {example.id: example for example in data.examples}
    found = unpacked(uncompressed(place.with_name(entry.texts["file"])), examples, entry.benchmark["seed"])
    shown = ("label", "outcome", "winner", "original", "adversarial")
    for member, cell in found.items():
        for identity, record in cell.records.items():
            yield {"member": member, "id": identity} | {name: getattr(record, name) for name in shown}


def _opened(entry: Entry, folder: Path, victim: Any, dataset: Any, device: str) -> Runner:
    """The entry's benchmark with everything at hand; similarity is measured where the embedded encoder did and is here."""
    settings = {**entry.benchmark, "defenses": [entry.defense["selector"]], "max_queries": None, "mode": "adaptive"}
    settings |= {"attacks": [f"{WORST_CASE}{entry.ensemble['name']}"], "victim": entry.victim["selector"]}
    measures = entry.benchmark.get("similarity") == EMBEDDED and embedded_folder() is not None
    similarity = EMBEDDED if measures else "none"
    benchmark = Benchmark.of({**settings, "dataset": entry.dataset["selector"], "similarity": similarity})
    runner = opened(
        benchmark,
        victim=benchmark.victim if victim is None else victim,
        dataset=benchmark.dataset if dataset is None else dataset,
        attacks=benchmark.attacks,
        device=device,
        folder=folder,
    )
    return replace(runner, grid=replace(runner.grid, cascade=entry.mode == "cascade"), searches=False)


def _source(found: Mapping[str, Cell]) -> Callable[[str, Member], Cell]:
    def source(defense: str, member: Member) -> Cell:
        if member.name not in found:
            raise UsageError("no records of it")
        return found[member.name]

    return source


def _ensemble(entry: Entry, members: Sequence[Member]) -> Iterator[str]:
    here = ensemble_digest(entry.ensemble["name"])
    if here == entry.ensemble["sha256"]:
        known = described(entry.ensemble["name"], members)
        yield from _unequal("ensemble", entry.ensemble, known, "the published file gives")
    else:
        yield f"ensemble {entry.ensemble['name']} has the sha256 {here[:16]}… here and {entry.ensemble['sha256'][:16]}… in the entry"


def _identity(entry: Entry, found: Mapping[str, Cell]) -> Iterator[str]:
    """What the entry says of its data set, victim and defense is what the texts' headers say."""
    for member, cell in found.items():
        spec = cell.header["spec"]
        told = {
            "dataset.fingerprint": (entry.dataset["fingerprint"], spec["dataset"]),
            "dataset.examples": (entry.dataset["examples"], spec["examples"]),
            "victim.fingerprint": (entry.victim["fingerprint"], spec["victim"]),
            "defense.name": (entry.defense["name"], spec["defense"]),
        }
        for name, (ours, theirs) in told.items():
            if ours != theirs:
                yield f"{name} is {ours}, the texts of {member} say {theirs}"


def _origin(entry: Entry, runner: Runner, header: Mapping[str, Any]) -> Iterator[str]:
    """What the entry says of its data set's version, licence and peculiarities is what is known of it here."""
    known = {name: getattr(runner.dataset, name) for name in ("version", "licence")} | {"note": header["note"]}
    for name, here in known.items():
        if (told := entry.dataset.get(name)) != here:
            yield f"dataset.{name} is {told or 'empty'}, and here {here or 'empty'}"


def _values(entry: Entry, runner: Runner, found: Mapping[str, Cell]) -> Iterator[str]:
    """The entry's numbers against those that its texts give."""
    ensemble = entry.ensemble["name"]
    members = [member for member in runner.grid.members if member.name in runner.grid.worst_cases[ensemble]]
    try:
        cells = [found[member.name] for member in members]
        made = summarised(cells, members, ensemble, entry.defense["selector"])
    except KeyError as problem:
        yield f"the texts lack the member {problem.args[0]}"
        return
    except UsageError as problem:
        yield str(problem)
        return
    for name in ("mode", "comparable"):
        yield from _unequal(name, getattr(entry, name), made[name])
    yield from _unequal("measured", entry.measured, made["measured"])
    yield from _unequal("members", entry.members, made["members"])
    ours, theirs = (sorted({line.partition(":")[0] for line in lines}) for lines in (entry.warnings, made["warnings"]))
    if [name for name in ours if name != "nondeterministic_victim"] != theirs:
        yield f"warnings are {', '.join(ours) or 'none'}, the texts give {', '.join(theirs) or 'none'}"
    yield from (f"flags have '{flag}', which there is not" for flag in entry.flags if flag not in FLAGS)
    wanted = [*made["flags"], *(["unreliable"] if entry.warnings and not made["warnings"] else [])]
    if {*entry.flags} & {"small", "unreliable"} != {*wanted}:
        source = "texts" if wanted == made["flags"] else "texts and the warnings"
        yield f"flags are {', '.join(entry.flags) or 'none'}, the {source} give {', '.join(wanted) or 'none'}"


def _unequal(where: str, told: Any, made: Any, source: str = "the texts give") -> Iterator[str]:
    """A line for each leaf that differs, by its place in the JSON."""
    if isinstance(told, Mapping) and isinstance(made, Mapping):
        for name in dict.fromkeys([*made, *told]):
            yield from _unequal(f"{where}.{name}", told.get(name), made.get(name), source)
    elif isinstance(made, Sequence) and not isinstance(made, str) and isinstance(told, Sequence):
        for number, (one, other) in enumerate(zip(told, made, strict=False)):
            yield from _unequal(f"{where}[{number}]", one, other, source)
        if len(told) != len(made):
            yield f"{where} has {len(told)} parts, {source} {len(made)}"
    elif isinstance(told, Mapping | list) or not same(told, made):
        yield f"{where} is {told}, {source} {made}"
