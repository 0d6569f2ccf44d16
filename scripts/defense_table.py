"""Write results/defenses-mr: every defense against five attacks and a published worst case, on the test split of mr.

Resumable anywhere: each defense and seed has a run folder of its own, so several of these may run at once on disjoint `--defenses`.
What is finished goes into table.csv, with each example's outcome, what the run warned of, and the commit, and isn't run again, on any
machine: take its rows out where the defense has changed since. So does what can't be attacked, since its training collapsed, into
left_out.csv. The page (defense_page.py) is written from these alone, with a table for each number of examples; `--defenses ''` writes
it and runs nothing. Attacks meet the defended victim end to end. A victim that was trained on another machine is another victim
(`undefended`, its fingerprint): a defense stands beside the one that it was put before, attacked in the same precision.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import click
import defense_page
import pandas as pd
from defense_page import FAMILIES, LETTERS, Found
from filelock import FileLock

import robustbench_nlp as rb
from robustbench_nlp.defense import Defense, compose, knows, shown
from robustbench_nlp.environment import environment
from robustbench_nlp.errors import UsageError
from robustbench_nlp.grid import grid_of
from robustbench_nlp.plugins import split_list
from robustbench_nlp.recorded import recorded_cells
from robustbench_nlp.records import Record, file_name, write_whole
from robustbench_nlp.report.shown import percent
from robustbench_nlp.training import TrainingCollapsed

WORST = "worst-case:standard-1"
UNDEFENDED = {"known": False, "train_ratio": 0.0, "forwards_per_prediction": 1, "latency_ratio": 1.0, "draws": 1}
"""Of a run without any defense, whose table lacks the columns."""
KEY = ["selector", "dtype", "limit", "defense", "seed", "undefended"]
"""What tells one defense's rows in table.csv from another's."""
TEXTS = ("undefended", "fingerprint", "commit", "outcomes", "warnings", "why")
"""Columns that no reader may take for numbers; those that a file lacks are unknown."""


class Plan(NamedTuple):
    """What every cell shares."""

    victim: str
    limit: int
    dtype: str
    runs: Path
    to: Path

    def folder(self, defense: str, seed: int, part: str) -> Path:
        where = self.runs / f"{self.victim}-{self.limit}-{self.dtype}" / f"seed-{seed}"
        return where / file_name(shown(defense)) / part

    @property
    def table(self) -> Path:
        return self.to / "table.csv"

    @property
    def left_out(self) -> Path:
        return self.to / "left_out.csv"

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """One process at a time reads and writes what stands in `to`."""
        self.to.mkdir(parents=True, exist_ok=True)
        with FileLock(self.to / ".lock"):
            yield

    def mine(self, path: Path) -> pd.DataFrame:
        """All of a file that is of this victim."""
        found = pd.read_csv(path, dtype=dict.fromkeys(TEXTS, str)) if path.exists() else pd.DataFrame(columns=KEY)
        if lacking := {*KEY} - {*found}:
            raise click.ClickException(f"{path} lacks {', '.join(sorted(lacking))}; move it away")
        found = found.reindex(columns=[*dict.fromkeys([*found, *TEXTS])])
        return found[found["selector"] == self.victim]

    def standing(self, path: Path, defense: str, seed: int, undefended: str) -> pd.DataFrame:
        """What a file has of a defense, so that it isn't run again, in this precision or another; `none` is run with every training of
        the victim, in each."""
        found = self.mine(path)
        own = (found["limit"] == self.limit) & (found["defense"] == shown(defense)) & (found["seed"] == seed)
        here = (found["undefended"] == undefended) & (found["dtype"] == self.dtype)
        return found[own & (here | (defense != "none"))]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--victim", default="minilm-mr", show_default=True)
@click.option("--defenses", help="Default: those of the table.")
@click.option("--seeds", default="0", show_default=True, help="Of trainings and attacks; the table is of seed 0.")
@click.option("--limit", default=500, show_default=True)
@click.option("--dtype", default="float32", show_default=True, help="Of the searches; successes are judged in float32.")
@click.option("--runs", default="runs/defenses-mr", show_default=True, type=click.Path(path_type=Path))
@click.option("--to", default="results/defenses-mr", show_default=True, type=click.Path(path_type=Path))
def main(defenses: str | None, seeds: str, **plan_of: Any) -> None:
    """Attack what isn't attacked yet, and write the table."""
    plan = Plan(**plan_of)
    known = ["none", *(name for family in FAMILIES.values() for name in family)]
    for defense in known if defenses is None else split_list(defenses):
        for seed in map(int, split_list(seeds)):
            click.echo(f"{defense}, seed {seed}: {_attacked(plan, defense, seed)}")
    with plan.claimed():
        _write(plan)


def _attacked(plan: Plan, defense: str, seed: int) -> str:
    """Run the attacks, each part going on where it stopped; what the worst case leaves is told in a phrase."""
    victim = rb.open_victim(plan.victim).fingerprint
    if not plan.standing(plan.table, defense, seed, victim).empty:
        return f"stands in {plan.table}"
    if whys := plan.standing(plan.left_out, defense, seed, victim)["why"].tolist():
        return f"left out: {whys[0]}"
    own: dict[str, Any] = {"selector": plan.victim, "dtype": plan.dtype, "limit": plan.limit, "undefended": victim}
    own |= {"defense": shown(defense), "seed": seed, "commit": environment()["commit"]}
    parts = []
    for part, attacks in (("attacks", defense_page.ATTACKS), ("standard-1", (WORST,))):
        folder = plan.folder(defense, seed, part)
        try:
            run = rb.evaluate(
                victim=plan.victim,
                dataset="mr",
                attacks=list(attacks),
                defenses=[defense],
                limit=plan.limit,
                seed=seed,
                dtype=plan.dtype,
                output=folder,
            )
        except TrainingCollapsed as collapse:
            _keep(plan, plan.left_out, pd.DataFrame([own | {"why": str(collapse)}]), KEY)
            return f"left out: {collapse}"
        except UsageError as problem:
            return f"not run: {problem}"
        whole = [cell for cell in recorded_cells(folder) if cell.members or part == "attacks"]
        outcomes = {cell.name[1]: _letters(cell.records) for cell in whole}
        warnings = json.dumps(run.table.attrs["flags"], ensure_ascii=False)
        told = run.table.drop(columns="seconds")
        parts.append(told.assign(outcomes=told["attack"].map(outcomes), warnings=warnings))
    rows = pd.concat(parts)
    costs: dict[str, Any] = {name: value for name, value in UNDEFENDED.items() if name not in rows}
    _keep(plan, plan.table, rows.assign(**costs, **own), [*KEY, "attack"])
    return f"{percent(rows['robust_accuracy'].iloc[-1])} % left by {WORST}"


def marks(table: pd.DataFrame) -> list[bool]:
    """Whether each row's defense knows its attack, or one of its worst case, as the code has it now: that is no result of a run. Rows of
    attacks that aren't the table's, and of defenses that can't be made any more, keep theirs."""
    grids = grid_of(defense_page.ATTACKS, cascade=False), grid_of((WORST,), cascade=True)
    members = {member.name: member for grid in grids for member in grid.members}
    parts = {name: (name,) for name in members}
    parts |= {defense_page.CASCADE + name: own for grid in grids for name, own in grid.worst_cases.items()}
    made: dict[str, Defense] = {}
    for defense in set(table["defense"]):
        with suppress(UsageError):
            made[defense] = compose(defense)

    def known(defense: str, attack: str, before: bool) -> bool:
        if defense not in made or attack not in parts:
            return before
        return any(
            knows(made[defense], member.name, member.attack) for member in map(members.get, parts[attack]) if member
        )

    return [known(*row) for row in zip(table["defense"], table["attack"], table["known"], strict=True)]


def _letters(records: Mapping[str, Record]) -> str:
    by_id = [records[example] for example in sorted(records)]
    return "".join(
        "E" if record.outcome == "error" and record.clean_right else LETTERS[record.outcome] for record in by_id
    )


def _keep(plan: Plan, path: Path, rows: pd.DataFrame, key: list[str]) -> None:
    """Add rows to a file that other processes may write too."""
    with plan.claimed():
        before = [pd.read_csv(path, dtype=str)] if path.exists() else []
        together = pd.concat([*before, pd.read_csv(StringIO(rows.to_csv(index=False)), dtype=str)])
        together = together.drop_duplicates(key).sort_values(["defense", "seed"], kind="stable")
        write_whole(path, together.to_csv(index=False, lineterminator="\n"))


def _write(plan: Plan) -> None:
    """README.md and seeds.csv of what is finished; the marks of table.csv anew."""
    if plan.table.exists():
        table = pd.read_csv(plan.table, dtype=str)
        table["known"] = marks(table.assign(known=table["known"] == "True"))
        write_whole(plan.table, table.to_csv(index=False, lineterminator="\n"))
    found = Found.of(plan.mine(plan.table), plan.mine(plan.left_out))
    if not found.marks:
        return
    labels = [(example.id, example.label) for example in rb.load_dataset("mr", split="test").examples]
    lines = [*defense_page.page(plan.victim, found, labels)]
    lines += defense_page.one_by_one(found)
    if several := [*defense_page.over_seeds(found)]:
        frame = pd.DataFrame(several)
        write_whole(plan.to / "seeds.csv", frame.to_csv(index=False, lineterminator="\n"))
        lines += ["", *defense_page.seeds_table(found, frame)]
    write_whole(plan.to / "README.md", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
