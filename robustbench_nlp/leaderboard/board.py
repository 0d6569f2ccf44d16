"""A folder of entries becomes rankings: one for each ensemble, data set and seed, ranks by paired tests on the same examples."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from robustbench_nlp.errors import UsageError
from robustbench_nlp.leaderboard.entry import Entry, entries
from robustbench_nlp.leaderboard.texts import digest, uncompressed, verdicts
from robustbench_nlp.ranking import standings

__all__ = ["COLUMNS", "FLAGS", "Line", "Ranking", "explained", "frame", "rankings"]

FLAGS = {
    "unreliable": "the run gave cause for a warning; robustness may be less than it seems",
    "external": "the claim is an evaluation elsewhere, such as an adaptive attack on this defense",
    "small": "fewer than 100 examples",
    "detector": "the defense can reject an input; rejections don't count here, and the attacks didn't know of the detector",
}
"""What each flag says."""
COLUMNS = (
    *("task", "ensemble", "knowledge", "dataset", "split", "n", "seed", "rank", "victim", "defense"),
    *("robust_accuracy", "robust_low", "robust_high", "clean_accuracy", "clean_low", "clean_high", "floor"),
    *("attack_success_rate", "claimed_robust_accuracy", "claimed_clean_accuracy", "queries_mean", "errors"),
    *("train_ratio", "forwards_per_prediction", "latency_ratio", "draws", "mode", "flags", "links"),
    *("victim_fingerprint", "dataset_fingerprint", "fingerprint", "entry"),
)
"""The columns of leaderboard.csv, in order."""


def explained(flags: Collection[str]) -> list[str]:
    """The flags among these that are known, each with what it says."""
    return [f"{flag}: {told}" for flag, told in FLAGS.items() if flag in flags]


@dataclass(frozen=True)
class Line:
    """An entry with its place; `better` names the entries that are significantly better, and `tied` says that it can't be told from
    a best that is another."""

    entry: Entry
    path: Path
    rank: int
    better: tuple[str, ...]
    tied: bool = False

    @property
    def mark(self) -> str:
        """≈ behind what can't be told from the best, as in all tables."""
        return " ≈" if self.tied else ""

    @property
    def claim_holds(self) -> bool | None:
        """Whether the claimed robust accuracy lies in the measured interval; None without a claim."""
        claimed, told = self.entry.claimed.get("robust_accuracy"), self.entry.measured
        return None if claimed is None else bool(told["robust_low"] <= claimed <= told["robust_high"])


@dataclass(frozen=True)
class Ranking:
    """Entries that were measured alike, the highest worst case first."""

    lines: Sequence[Line]

    @property
    def first(self) -> Entry:
        return self.lines[0].entry

    @property
    def floor(self) -> float:
        """What a constant answer scores on these examples, clean and under attack."""
        return float(self.first.measured["floor"])

    @property
    def seed(self) -> int:
        return int(self.first.benchmark["seed"])

    @property
    def title(self) -> str:
        entry = self.first
        split = "" if entry.dataset["split"] == "all" else f", {entry.dataset['split']} split"
        seed = f", seed {self.seed}" if self.seed else ""
        return f"{entry.ensemble['name']} on {entry.dataset['name']}{split}, n = {entry.measured['n']}{seed}"

    @property
    def below(self) -> int:
        """How many lines stand above a constant answer."""
        return sum(line.entry.measured["robust_accuracy"] >= self.floor for line in self.lines)


def rankings(folder: Path) -> list[Ranking]:
    """Every ranking of a leaderboard's folder, by task, ensemble, data set and number of examples, the largest first.

    Raises `UsageError` where there are no entries, where texts aren't those of their entry, and without the extra `stats` for
    more than two entries.
    """
    groups: dict[tuple[object, ...], dict[Path, Entry]] = {}
    for path, entry in entries(folder).items():
        order = entry.task, entry.ensemble["name"], entry.dataset["name"], -entry.measured["n"], entry.comparable
        groups.setdefault(order, {})[path] = entry
    return [_ranked(groups[order]) for order in sorted(groups)]


def _ranked(found: Mapping[Path, Entry]) -> Ranking:
    placed = standings({str(path): _sides(path, entry) for path, entry in found.items()})
    names = {str(path): f"{entry.victim['name']}, {entry.defense['name']}" for path, entry in found.items()}
    most = max(standing.right for standing in placed)
    lines = [
        Line(
            found[Path(standing.name)],
            Path(standing.name),
            standing.rank,
            tuple(names[other] for other in standing.better),
            standing.tied and standing.right < most,
        )
        for standing in placed
    ]
    return Ranking(
        sorted(lines, key=lambda line: (-line.entry.measured["robust_accuracy"], line.rank, line.entry.name))
    )


def _sides(path: Path, entry: Entry) -> dict[str, bool]:
    """Whether each example is right; the entry's texts must be its own, and its headline theirs."""
    content = uncompressed(path.with_name(entry.texts["file"]))
    found = verdicts(content)
    if (
        digest(content) != entry.texts["sha256"]
        or sum(found.values()) / max(len(found), 1) != entry.measured["robust_accuracy"]
    ):
        raise UsageError(f"{path} is not what its texts give; robustbench-nlp verify {path} says where")
    return found


def frame(found: Sequence[Ranking], folder: Path) -> pd.DataFrame:
    """A row an entry, with `COLUMNS`; rates are fractions in [0, 1]."""
    rows = [_row(ranking, line, folder) for ranking in found for line in ranking.lines]
    return pd.DataFrame(rows, columns=[*COLUMNS]).astype(
        {"n": "Int64", "rank": "Int64", "errors": "Int64", "draws": "Int64"}
    )


def _row(ranking: Ranking, line: Line, folder: Path) -> dict[str, Any]:
    entry = line.entry
    told = {name: entry.measured.get(name) for name in COLUMNS if name in entry.measured}
    return (
        told
        | {name: entry.costs.get(name) for name in COLUMNS if name in entry.costs}
        | {
            "task": entry.task,
            "ensemble": entry.ensemble["name"],
            "knowledge": entry.ensemble["knowledge"],
            "dataset": entry.dataset["name"],
            "split": entry.dataset["split"],
            "seed": ranking.seed,
            "rank": line.rank,
            "victim": entry.victim["name"],
            "defense": entry.defense["name"],
            "claimed_robust_accuracy": entry.claimed.get("robust_accuracy"),
            "claimed_clean_accuracy": entry.claimed.get("clean_accuracy"),
            "mode": entry.mode,
            "flags": " ".join(entry.flags),
            "links": " ".join(entry.links),
            "victim_fingerprint": entry.victim["fingerprint"],
            "dataset_fingerprint": entry.dataset["fingerprint"],
            "entry": line.path.relative_to(folder).as_posix(),
        }
    )
