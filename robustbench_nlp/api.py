"""`evaluate`: the whole path from selectors to a table, for scripts, notebooks, the command line and pytest gates."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from robustbench_nlp.attack import Attack
from robustbench_nlp.data import Dataset, from_pairs, load_dataset, match_labels
from robustbench_nlp.data.example import Input, content_hash
from robustbench_nlp.encoder import EMBEDDED, embedded_folder, folder_of
from robustbench_nlp.ensembles import ensemble_names
from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.grid import DRAWS, Benchmark, grid_of, refuse_reductions
from robustbench_nlp.helpers import Helpers
from robustbench_nlp.locking import claimed
from robustbench_nlp.on_disk import listed
from robustbench_nlp.precision import chosen
from robustbench_nlp.readiness import refuse_blind
from robustbench_nlp.recorded import recorded_cells
from robustbench_nlp.records import Record, read
from robustbench_nlp.report.flags import flags
from robustbench_nlp.report.ranks import ties
from robustbench_nlp.report.shown import write
from robustbench_nlp.report.table import incomplete
from robustbench_nlp.runner import Runner
from robustbench_nlp.shards import Shard, beside, parsed
from robustbench_nlp.spending import Spending
from robustbench_nlp.victim import Victim, VictimOptions, as_victim
from robustbench_nlp.victims.hf import HFVictim
from robustbench_nlp.workers import Crew, Opening, Workers

__all__ = ["Run", "evaluate", "opened"]

Pairs = Sequence[tuple[Input, int | str]]


@dataclass(frozen=True)
class Run:
    """A finished run: `table` has the columns of `table.csv`, `folder` the run folder."""

    table: pd.DataFrame
    folder: Path
    spending: Spending | None = None
    """What was sent to a server and what it cost, in this folder's runs; None for other victims."""

    @property
    def complete(self) -> bool:
        """False where more than one example in a hundred of a row ended in an error."""
        return not incomplete(self.table)

    @property
    def records(self) -> dict[tuple[str, str], Sequence[Record]]:
        """Every cell's records by (defense, attack), read from the run folder, in the table's order; many stay in their file, and
        are read whenever they are looked at."""
        cells: dict[tuple[str, str], Sequence[Record]] = {}
        for path in sorted((self.folder / "records").glob("*.jsonl")):
            found = read(path)
            if found is not None:
                cells[found.header["defense"], found.header["attack"]] = listed(found.records)
        order = {key: i for i, key in enumerate(zip(self.table["defense"], self.table["attack"], strict=True))}
        return {key: cells[key] for key in sorted(cells, key=lambda key: order.get(key, len(order))) if key in order}


def evaluate(
    *,
    victim: str | Victim | Callable[[list[str]], Any],
    dataset: str | Dataset | Pairs,
    attacks: Sequence[str | Attack] | str,
    defenses: Sequence[str] | str = ("none",),
    task: str = "classification",
    split: str = "test",
    limit: int | None = None,
    seed: int = 0,
    max_queries: int | None = None,
    batch_size: int | str = "auto",
    timeout: float | None = None,
    dtype: str = "float32",
    device: str = "auto",
    mode: str = "adaptive",
    draws: int = DRAWS,
    deterministic: bool = False,
    similarity: str = "auto",
    cascade: bool = False,
    train: str | None = None,
    label_map: Mapping[str, str] | None = None,
    output: str | Path | None = None,
    resume: bool = True,
    workers: int = 1,
    backend: str = "processes",
    shard: str | None = None,
    on_table: Callable[[pd.DataFrame], None] | None = None,
    on_cell: Callable[[dict[str, Any]], None] | None = None,
    on_open: Callable[[Runner], None] | None = None,
) -> Run:
    """Attack a victim, with and without defenses, and table the accuracy that is left.

    `victim`, `dataset`, `attacks` and `defenses` are selectors as on the command line; a victim may be a callable (texts to
    (n, classes) probabilities), a dataset (text, label) pairs, an attack an object. The run is kept in `output` (default: a
    folder in `runs/` named after the benchmark), and the same call goes on where an interrupted one stopped. `timeout` is how
    many seconds a function or a server may take for a batch; `workers` processes (or with the `backend` ray, actors of a
    cluster) share the examples of each cell, where the victim is a selector. A `shard` such as "2/8" attacks its part of the
    examples in a folder of its own; the same call without it makes the whole run of what shards found. `on_table` gets the
    table as it grows, `on_cell` each cell's header before its attacks run, `on_open` the opened run before anything is
    written or sent. Raises `UsageError` for bad use or input, in one line.
    """
    attacks = [attacks] if isinstance(attacks, str) else list(attacks)
    defenses = (defenses,) if isinstance(defenses, str) else tuple(defenses)
    benchmark = Benchmark.of(
        {
            "task": task,
            "dataset": dataset
            if isinstance(dataset, str)
            else "pairs"
            if not isinstance(dataset, Dataset)
            else dataset.name,
            "split": split,
            "train": train,
            "victim": victim
            if isinstance(victim, str)
            else getattr(victim, "name", getattr(victim, "__name__", "callable")),
            "defenses": defenses,
            "attacks": tuple(attack if isinstance(attack, str) else repr(attack) for attack in attacks),
            "limit": limit,
            "seed": seed,
            "max_queries": max_queries,
            "draws": draws,
            "mode": mode,
            "cascade": cascade,
            "dtype": dtype,
            "similarity": _similarity(similarity),
            "label_map": dict(label_map) if label_map else None,
            "deterministic": deterministic,
        }
    )
    runner = opened(
        benchmark,
        victim=victim,
        dataset=dataset,
        attacks=attacks,
        device=device,
        batch_size=batch_size,
        timeout=timeout,
        folder=Path(output) if output is not None else None,
        resume=resume,
        on_table=on_table,
        shard=None if shard is None else parsed(shard),
    )
    runner.on_cell = on_cell
    if workers != 1 or backend != "processes":
        opening = Opening(
            benchmark=runner.benchmark,
            dataset=dataset if isinstance(dataset, str) else runner.dataset,
            attacks=tuple(attacks),
            device=device,
            batch_size=batch_size,
            timeout=timeout,
        )
        runner.crew = _crew(opening, workers, backend, victim, runner.victim)
    if on_open is not None:
        on_open(runner)
    with claimed(runner.folder):
        run = Run(runner.run(), runner.folder, runner.spending)
        warnings = [f"{flag.name}: {flag.evidence}" for flag in [*runner.flags, *flags(run, runner.victim)]]
        run.table.attrs |= {"flags": warnings} | ties(recorded_cells(run.folder, runner.grid))
        runner.note(warnings=warnings)
        write(run.table, run.folder)
    return run


def opened(
    benchmark: Benchmark,
    *,
    victim: str | Victim | Callable[[list[str]], Any],
    dataset: str | Dataset | Pairs,
    attacks: Sequence[str | Attack],
    device: str = "auto",
    batch_size: int | str = "auto",
    timeout: float | None = None,
    folder: Path | None = None,
    resume: bool = True,
    on_table: Callable[[pd.DataFrame], None] | None = None,
    shard: Shard | None = None,
) -> Runner:
    """A benchmark with everything it needs at hand, nothing run yet; the objects stand for the benchmark's names, and `folder` is the
    whole run's. Raises `UsageError` for what can't be had, and for settings that don't go together."""
    grid = grid_of(attacks, cascade=benchmark.cascade)
    if benchmark.mode == "transfer":
        refuse_reductions(grid.members, "a transfer")
        grid = replace(grid, cascade=False)
    published = [name for name in grid.worst_cases if name in ensemble_names()]
    if published and benchmark.max_queries is not None:
        raise UsageError(f"worst_case:{published[0]} fixes its members' budgets; drop max-queries")
    if benchmark.deterministic:
        _fix_arithmetic()
    plain = benchmark.deterministic or benchmark.dtype == "auto"
    options = VictimOptions(device=device, dtype="float32" if plain else benchmark.dtype, timeout=timeout)
    target = as_victim(victim, options)
    folder = folder or _folder(replace(benchmark, victim=getattr(target, "selector", benchmark.victim)))
    own = folder if shard is None else shard.folder(folder)
    if benchmark.dtype == "auto":
        kept = [place for place in [own, *beside(folder)] if resume or place != own]
        benchmark = replace(benchmark, dtype="float32" if benchmark.deterministic else chosen(target, kept))
        options = replace(options, dtype=benchmark.dtype)
        target = target.in_precision(benchmark.dtype) if isinstance(target, HFVictim) else target
    refuse_blind(grid.members, target, target.name, "attack an hf: victim, or cnn-mr")
    data = _dataset(dataset, benchmark.split, target)
    for name in {member.attack.threat.similarity_model for member in grid.members} | {benchmark.similarity}:
        if name not in (None, "none"):
            folder_of(name)  # what can't be had is told before anything runs; it is loaded where something does
    return Runner(
        benchmark,
        match_labels(data, target.label_names, benchmark.label_map),
        target,
        grid,
        Helpers(device, dtype=options.dtype),
        own,
        resume,
        _batch_size(batch_size),
        on_table,
        _objects(benchmark, victim, dataset, attacks),
        shard=shard,
    )


def _crew(opening: Opening, count: int, backend: str, victim: object, target: Victim) -> Workers:
    """The processes of a run. Raises `UsageError` for a victim that is an object of this one, and for one that one process asks."""
    if not isinstance(count, int) or count < 1:
        raise UsageError(f"workers is {count!r}; give a whole number of at least 1")
    if not isinstance(victim, str):
        raise UsageError("a victim that is a Python object can't be shared by workers; name it python:MODULE:CALLABLE")
    if getattr(target, "one_process", False):
        raise UsageError(
            f"workers would each have a rate and a budget of their own for {target.name}; give it concurrency= instead"
        )
    if opening.benchmark.deterministic:
        raise UsageError("a deterministic run stays in one process; drop workers")
    opening = replace(opening, threads=max(1, (os.cpu_count() or 1) // count))
    if backend == "ray":
        from robustbench_nlp.ray_workers import RayCrew

        return RayCrew(opening, count)
    if backend != "processes":
        raise unknown("backend", backend, ["processes", "ray"])
    return Crew(opening, count)


def _dataset(dataset: str | Dataset | Pairs, split: str, victim: Victim) -> Dataset:
    if isinstance(dataset, str):
        return load_dataset(dataset, split)
    return dataset if isinstance(dataset, Dataset) else from_pairs(dataset, class_names=victim.label_names)


def _objects(
    benchmark: Benchmark, victim: object, dataset: object, attacks: Sequence[object]
) -> tuple[tuple[str, str], ...]:
    """(kind, name) of what was given as an object, by the name that the benchmark has for it."""
    given = [("victim", victim, benchmark.victim), ("dataset", dataset, benchmark.dataset)]
    given += [("attack", attack, name) for attack, name in zip(attacks, benchmark.attacks, strict=True)]
    return tuple((kind, name) for kind, thing, name in given if not isinstance(thing, str))


def _similarity(name: str) -> str:
    if name == "auto":
        return EMBEDDED if embedded_folder() is not None else "none"
    return name


def _batch_size(value: int | str) -> int | None:
    if value == "auto":
        return None
    try:
        number = int(value)
        if number < 1:
            raise ValueError
    except ValueError:
        raise UsageError(f"batch-size is {value!r}; give 'auto' or a whole number of at least 1") from None
    return number


def _folder(benchmark: Benchmark) -> Path:
    """`runs/<dataset>-<victim>-<hash of the benchmark>`: the same benchmark finds its own folder again."""
    heads = [re.split(r"[(:]", name, maxsplit=1)[0] for name in (benchmark.dataset, benchmark.victim)]
    parts = [re.sub(r"[\W_]+", "-", head).strip("-") or "callable" for head in heads]
    return Path("runs") / f"{'-'.join(parts)}-{content_hash(benchmark.settings())[:8]}"


def _fix_arithmetic() -> None:
    """One thread and deterministic kernels: equal bits on one machine."""
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
