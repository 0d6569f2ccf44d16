"""`certify`: the certificates of a dataset's examples by a defended victim, and the certified accuracy by radius.

The run folder holds `run.yaml` (which runs it again), `records/<defense>.jsonl`, a line an example, `table.csv` and `table.md`;
an interrupted run goes on from its records.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd
import yaml

from robustbench_nlp import progress
from robustbench_nlp.certificates import Certified, Sampling
from robustbench_nlp.data import Dataset, load_dataset, match_labels
from robustbench_nlp.data.example import Example, Input, content_hash
from robustbench_nlp.defense import defend, shown
from robustbench_nlp.environment import environment
from robustbench_nlp.errors import UsageError
from robustbench_nlp.locking import claimed
from robustbench_nlp.records import Journal, file_name, write_whole
from robustbench_nlp.report import certified
from robustbench_nlp.unattacked import unattacked
from robustbench_nlp.victim import Victim, VictimOptions, as_victim, open_victim

__all__ = ["SCHEMA", "CertificateRecord", "Certification", "certify", "record_of"]

SCHEMA = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class CertificateRecord:
    """One example's certificate: `prediction` None where it abstained, `majority` the class with the most votes all the same,
    `radius` in the header's `edits`; an `error` is no certificate. `seconds` may differ between two runs."""

    schema: int = SCHEMA
    example_id: str
    label: int
    original: Input
    prediction: int | None = None
    majority: int | None = None
    radius: int = 0
    low: float | None = None
    votes: tuple[int, ...] = ()
    error: str | None = None
    seconds: float = 0.0

    @property
    def right_up_to(self) -> int:
        """The radius within which the prediction is certified to be right; -1 where it is wrong, abstained or an error."""
        return self.radius if self.error is None and self.prediction == self.label else -1


def record_of(content: Mapping[str, Any]) -> CertificateRecord:
    """The record that a line of the file holds."""
    original = content["original"]
    return CertificateRecord(
        **{
            **content,
            "original": tuple(original) if isinstance(original, list) else original,
            "votes": tuple(content["votes"]),
        }
    )


@dataclass(frozen=True)
class Certification:
    """A finished run: `table` has one row a defense and radius, `records` the certificates by defense."""

    table: pd.DataFrame
    folder: Path
    records: dict[str, list[CertificateRecord]]

    @property
    def complete(self) -> bool:
        """False where more than one example in a hundred of a defense ended in an error."""
        return not any(sum(r.error is not None for r in rows) > len(rows) / 100 for rows in self.records.values())


def certify(
    *,
    victim: str | Victim,
    dataset: str | Dataset,
    defenses: Sequence[str],
    split: str = "test",
    limit: int | None = None,
    seed: int = 0,
    alpha: float = 0.001,
    n: int = 1000,
    n0: int = 100,
    device: str = "auto",
    train: str | None = None,
    label_map: Mapping[str, str] | None = None,
    output: str | Path | None = None,
    resume: bool = True,
) -> Certification:
    """Certify the first `limit` examples by each defense: `n0` draws guess the class, `n` bound its share, each bound wrong
    with a chance of at most `alpha`. Raises `UsageError`, also for a defense that certifies nothing."""
    sampling = Sampling(n0=n0, n=n, alpha=alpha, seed=seed)
    if limit is not None and limit < 1:
        raise UsageError(f"limit is {limit}; give at least 1")
    if not defenses:
        raise UsageError("no defense to certify by; give --defenses, such as ranmask")
    target = open_victim(victim, VictimOptions(device=device)) if isinstance(victim, str) else as_victim(victim)
    data = dataset if isinstance(dataset, Dataset) else load_dataset(dataset, split)
    data = match_labels(data, target.label_names, label_map)
    source = train or (dataset if isinstance(dataset, str) and data.split != "all" else None)
    learned = unattacked(source, "train", data.head(limit), target, label_map)
    settings = {
        "victim": victim if isinstance(victim, str) else target.name,
        "dataset": dataset if isinstance(dataset, str) else data.name,
        "defenses": list(defenses),
        "split": split,
        "limit": limit,
        "seed": seed,
        "alpha": alpha,
        "n": n,
        "n0": n0,
        "train": train,
        "label_map": dict(label_map) if label_map else None,
    }
    folder = Path(output) if output is not None else Path("runs") / f"certify-{content_hash(settings)[:8]}"
    with claimed(folder):
        write_whole(folder / "run.yaml", yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))
        defended = {shown(defense): _defended(target, defense, learned.examples, seed) for defense in defenses}
        records: dict[str, list[CertificateRecord]] = {}
        found: list[dict[str, Any]] = []
        for name, by in defended.items():
            header = _header(by, data, data.head(limit), name, sampling)
            path = folder / "records" / f"{file_name(name)}.jsonl"
            with Journal(path, header, record_of, resume=resume) as journal:
                records[name] = _recorded(by, data.head(limit), sampling, journal, name)
            found += certified.rows(header, records[name])
        frame = certified.table(found)
        frame.attrs["flags"] = [f"{flag.name}: {flag.evidence}" for flag in learned.flags()]
        certified.write(frame, folder)
    return Certification(frame, folder, records)


def _defended(victim: Victim, defense: str, train: Sequence[Example], seed: int) -> Certified:
    made = defend(victim, defense, train, seed)
    if not isinstance(made, Certified):
        raise UsageError(
            f"{shown(defense)} certifies nothing here; take a defense that does, such as ranmask, outermost and by votes"
        )
    return made


def _header(
    by: Certified, data: Dataset, examples: Sequence[Example], defense: str, sampling: Sampling
) -> dict[str, Any]:
    """What stands in the first line of a defense's file: the table's columns, the whole `spec`, its fingerprint."""
    victim = cast(Victim, by)
    spec: dict[str, Any] = {
        "dataset": data.fingerprint,
        "examples": content_hash([example.id for example in examples])[:16],
        "labels": [list(data.label_names), content_hash([example.label for example in examples])[:16]],
        "victim": victim.fingerprint,
        "defense": defense,
        "sampling": asdict(sampling),
    }
    return {
        "dataset": data.name,
        "split": data.split,
        "victim": victim.name,
        "defense": defense,
        "edits": by.certified_edits,
        **asdict(sampling),
        "forwards": getattr(victim, "forwards_per_prediction", 1),
        "label_names": list(data.label_names),
        "schema": SCHEMA,
        "fingerprint": content_hash("certificates", SCHEMA, spec)[:16],
        "spec": spec,
        "environment": environment(),
    }


def _recorded(
    by: Certified, examples: Sequence[Example], sampling: Sampling, journal: Journal[CertificateRecord], name: str
) -> list[CertificateRecord]:
    """All examples' records, those that the journal has no certificate of made now."""
    kept = {identity for identity, record in journal.records.items() if record.error is None}
    missing = [example for example in examples if example.id not in kept]
    with progress.task(f"certify by {name}", len(examples), len(examples) - len(missing)) as step:
        for example in missing:
            journal.append(_record(by, example, sampling))
            step(1, "")
    return [journal.records[example.id] for example in examples]


def _record(by: Certified, example: Example, sampling: Sampling) -> CertificateRecord:
    start = time.perf_counter()
    facts: dict[str, Any]
    try:
        certificate = by.certify(example.input, sampling)
    except UsageError:
        raise
    except Exception as problem:  # a victim that fails on one example certifies nothing there
        facts = {"error": f"{type(problem).__name__}: {problem}"}
    else:
        facts = {**certificate._asdict(), "majority": certificate.majority, "low": round(certificate.low, 6)}
    seconds = round(time.perf_counter() - start, 5)
    return CertificateRecord(
        example_id=example.id, label=example.label, original=example.input, seconds=seconds, **facts
    )
