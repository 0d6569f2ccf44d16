"""`submit`: a finished run's worst cases over published ensembles become entries of the leaderboard, one a defense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from robustbench_nlp.defense import shown
from robustbench_nlp.ensembles import ensemble_names
from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.grid import DRAWS, Grid, Member, grid_of
from robustbench_nlp.leaderboard.entry import CLAIMS, Entry, entry_name, no_addresses, read_entry
from robustbench_nlp.leaderboard.summary import changed, described, summarised
from robustbench_nlp.leaderboard.texts import compressed, digest, packed
from robustbench_nlp.recorded import Cell, recorded_cells
from robustbench_nlp.records import write_whole
from robustbench_nlp.report.table import WORST_CASE
from robustbench_nlp.run_files import benchmark_of, manifest_of, table_of

__all__ = ["BOARD", "submit"]

BOARD = Path("results/leaderboard")
UNTRIED = "nondeterministic_victim: unknown, for the run had not ended and asks the victim twice at its end"
"""The warning of a defense that is submitted before the others have been attacked."""
COSTS = ("train_ratio", "forwards_per_prediction", "latency_ratio", "draws")


def submit(
    folder: str | Path,
    *,
    to: str | Path = BOARD,
    defense: str | None = None,
    name: str | None = None,
    links: Sequence[str] = (),
    claims: Mapping[str, float] | None = None,
    external: bool = False,
    whole_texts: bool = False,
    replace: bool = False,
) -> list[Path]:
    """Write an entry for each defense of a run, or for one, under each published ensemble that the run measured; their paths.

    `name` is what the leaderboard calls the victim, `claims` the authors' own values ("clean", "robust", in [0, 1]), `external`
    says that the claim is an evaluation elsewhere. An entry that is measured again keeps its links where none are given, and its
    claims. Where another entry has the name that is refused; `replace` writes over either. Nothing is written unless every entry
    can be. Raises `UsageError` for a run, or for one the cells of a defense, that are unfinished, no adaptive ones, or not of the
    ensemble as it is here.
    """
    said = _Said(name, list(links), dict(claims or {}), external, whole_texts)
    made = _Made(Path(folder), whole=defense is None)
    chosen = made.defenses(defense)
    said.check(chosen)
    found = [made.entry(each, ensemble, said) for each in chosen for ensemble in made.ensembles()]
    if not replace:
        found = [(_continued(entry, Path(to), said), content) for entry, content in found]
    paths = []
    for entry, content in found:
        target = (Path(to) / entry.place).with_name(entry.texts["file"])
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, compressed(content))
        paths.append(entry.write(Path(to)))
    return paths


class _Said(NamedTuple):
    """What a run doesn't know and its submitter says."""

    name: str | None
    links: list[str]
    claims: dict[str, float]
    external: bool
    whole_texts: bool

    def check(self, defenses: Sequence[str]) -> None:
        if self.claims and len(defenses) > 1:
            raise UsageError(f"a claim is one defense's; say whose: --defense {defenses[-1]}")
        if self.external and not (self.claims and self.links):
            raise UsageError(
                "an external evaluation needs its value and where it stands; add --claim robust=… --link URL"
            )
        for problem in no_addresses(self.links):
            raise UsageError(problem)
        for key, value in self.claims.items():
            if key not in CLAIMS:
                raise unknown("claim", key, CLAIMS)
            if not 0 <= value <= 1:
                raise UsageError(f"the claim {key}={value} is no fraction; write {key}=0.31 for 31 %")


class _Made:
    """A run folder as it may be submitted, `whole` or a defense of it."""

    def __init__(self, folder: Path, *, whole: bool) -> None:
        self.folder = folder
        self.cells = {cell.name: cell for cell in recorded_cells(folder)}
        self.benchmark, lacks = benchmark_of(folder)
        if lacks:
            raise UsageError(
                f"{folder} was made {lacks}, which nobody else has; run it with selectors such as python:MODULE:CALLABLE"
            )
        if self.benchmark.dtype != "float32":
            raise UsageError(f"{folder} searched in {self.benchmark.dtype}; the leaderboard's searches are in float32")
        try:
            self.manifest = manifest_of(folder)
            self.warnings: list[str] = self.manifest["warnings"] if whole else self.manifest.get("warnings", [UNTRIED])
            self.table = table_of(folder)
        except (OSError, KeyError) as problem:
            raise UsageError(
                f"{folder} is not finished; the same run command goes on where it stopped, and --defense takes one that is"
            ) from problem
        self.grid: Grid = grid_of(self.benchmark.attacks, cascade=self.benchmark.cascade)

    def defenses(self, defense: str | None) -> list[str]:
        """The selectors of the defenses that are asked for."""
        known = {shown(selector): selector for selector in self.benchmark.defenses}
        if defense is not None and shown(defense) not in known:
            raise unknown(f"defense of {self.folder}", defense, known)
        return list(known.values()) if defense is None else [known[shown(defense)]]

    def ensembles(self) -> list[str]:
        found = [name for name in self.grid.worst_cases if name in ensemble_names()]
        if not found:
            raise UsageError(
                f"{self.folder} measured no published ensemble; run it with --attacks worst-case:NAME, one of "
                f"{', '.join(ensemble_names())}"
            )
        return found

    def entry(self, selector: str, ensemble: str, said: _Said) -> tuple[Entry, bytes]:
        """The entry and the lines of its texts."""
        defense = shown(selector)
        names = self.grid.worst_cases[ensemble]
        members = [member for member in self.grid.members if member.name in names]
        cells = [self._cell(defense, member) for member in members]
        try:
            summary = summarised(cells, members, ensemble, selector)
        except UsageError as problem:
            raise UsageError(f"{defense} × {ensemble}: {problem}") from problem
        header = cells[0].header
        victim = said.name or header["victim"]
        content = packed(cells, whole=said.whole_texts)
        texts = {
            "file": f"{entry_name(victim, defense)}.jsonl.gz",
            "sha256": digest(content),
            "lines": content.count(b"\n"),
        }
        made = Entry(
            task=header["task"],
            ensemble=described(ensemble, members),
            dataset=self._dataset(header),
            victim={"name": victim, "selector": self.benchmark.victim, "fingerprint": header["spec"]["victim"]},
            defense={"name": defense, "selector": selector},
            claimed={CLAIMS[key]: float(value) for key, value in said.claims.items()},
            costs=self._costs(defense, cells),
            links=said.links,
            texts=texts,
            benchmark=self._benchmark(selector, ensemble),
            environment=header["environment"],
            **summary | self._doubts(defense, summary, external=said.external),
        )
        return made, content

    def _doubts(self, defense: str, summary: Mapping[str, Any], *, external: bool) -> dict[str, list[str]]:
        """The entry's flags and warnings: what its records give, and what only the run or its submitter knew."""
        asked_twice = [line for line in self.warnings if line.startswith("nondeterministic_victim")]
        warnings = [*asked_twice, *summary["warnings"]]
        known = {"external": external, "detector": self._detects(defense), "unreliable": bool(warnings)}
        flags = [*(name for name, holds in known.items() if holds), *summary["flags"]]
        return {"flags": list(dict.fromkeys(flags)), "warnings": warnings}

    def _cell(self, defense: str, member: Member) -> Cell:
        """Refuses what is unfinished, what met another victim than the defended one, and what isn't as published."""
        where = f"{defense} × {member.name}"
        cell = self.cells.get((defense, member.name))
        if cell is None or len(cell.records) < cell.header["n"]:
            raise UsageError(f"{where} is not finished; the same run command goes on where it stopped")
        if cell.header["mode"] == "transfer":
            raise UsageError(
                f"{where} shows texts that fooled the undefended victim (mode transfer); the leaderboard takes "
                "attacks on the defended victim: run it without --mode transfer"
            )
        if self._evaded(defense):
            raise UsageError(
                f"{where} counts what the detector rejects as no success; the leaderboard takes none with evaded=True"
            )
        draws = cell.header["spec"]["draws"]
        if draws == self.benchmark.draws < DRAWS:
            raise UsageError(
                f"{where}: a random victim is judged by at least {DRAWS} draws here, and --draws was {draws}"
            )
        if difference := changed(cell, member):
            raise UsageError(f"{where}: {difference}; run it again with this release")
        return cell

    def _dataset(self, header: Mapping[str, Any]) -> dict[str, Any]:
        known = self.manifest.get("dataset", {})
        return {
            "name": header["dataset"],
            "selector": self.benchmark.dataset,
            "split": header["split"],
            "version": known.get("version"),
            "fingerprint": header["spec"]["dataset"],
            "examples": header["spec"]["examples"],
            "licence": known.get("licence"),
            "source": known.get("source"),
            "note": header["note"],
        }

    def _detects(self, defense: str) -> bool:
        rows = self.table[self.table["defense"] == defense]
        return "robust_with_rejection" in rows and bool(rows["robust_with_rejection"].notna().any())

    def _evaded(self, defense: str) -> bool:
        return "evaded" in self.table and bool((self.table.loc[self.table["defense"] == defense, "evaded"] == 1).any())

    def _costs(self, defense: str, cells: Sequence[Cell]) -> dict[str, Any]:
        """Costs of the defense beside its victim, and the seconds that the attacks took."""
        rows = self.table[self.table["defense"] == defense].to_dict("records")
        told = rows[0] if rows else {}
        free = {"train_ratio": 0.0, "forwards_per_prediction": 1, "latency_ratio": 1.0, "draws": 1}
        found = {name: told.get(name, free[name] if defense == "none" else None) for name in COSTS}
        seconds = sum(record.seconds for cell in cells for record in cell.records.values())
        return {name: None if pd.isna(value) else value for name, value in found.items()} | {
            "attack_seconds": round(seconds, 3)
        }

    def _benchmark(self, selector: str, ensemble: str) -> dict[str, Any]:
        """What `run` takes to make this entry's numbers again."""
        settings = self.benchmark.settings()
        return settings | {
            "defenses": [selector],
            "attacks": [f"{WORST_CASE}{ensemble}"],
            "cascade": False,
            "mode": "adaptive",
        }


def _continued(entry: Entry, board: Path, said: _Said) -> Entry:
    """The entry with the links and the claims of the one in its place, each where the submitter says none.

    Raises `UsageError` for another entry: none is overwritten by accident.
    """
    path = board / entry.place
    if not path.exists():
        return entry
    old = read_entry(path)
    if (old.victim["fingerprint"], old.comparable) != (entry.victim["fingerprint"], entry.comparable):
        raise UsageError(
            f"{path} is another entry (victim {old.victim['fingerprint']}, {old.dataset['name']}, n = {old.measured['n']}); give "
            "this victim another --name, or --replace it"
        )
    kept: dict[str, Any] = {} if said.links else {"links": old.links}
    if not said.claims:
        kept |= {"claimed": old.claimed, "flags": [*["external"] * ("external" in old.flags), *entry.flags]}
    return replace(entry, **kept)
