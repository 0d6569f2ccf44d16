"""Write results/defenses-mr: every defense against five attacks and a published worst case, on the test split of mr.

Resumable anywhere: each defense and seed has a run folder of its own, so several of these may run at once on disjoint `--defenses`.
What is finished goes into table.csv, with each example's outcome and the commit, and isn't run again, on any machine: take its rows
out where the defense has changed since. The page is written from table.csv alone; `--defenses ''` writes it and runs nothing. Attacks
meet the defended victim end to end. A victim that was trained on another machine is another victim (`undefended`, its fingerprint): a
defense stands beside the one that it was put before.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from string import ascii_lowercase
from typing import Any, NamedTuple

import click
import numpy as np
import pandas as pd
from filelock import FileLock

import robustbench_nlp as rb
from robustbench_nlp.defense import shown
from robustbench_nlp.defenses.recommended import CONSISTENT, REFILLED
from robustbench_nlp.environment import environment
from robustbench_nlp.errors import UsageError
from robustbench_nlp.plugins import split_list
from robustbench_nlp.recorded import recorded_cells
from robustbench_nlp.records import Outcome, Record, file_name, write_whole
from robustbench_nlp.report.shown import percent
from robustbench_nlp.seeds import OverSeeds, rate_over_seeds
from robustbench_nlp.stats import Interval, holm, mcnemar, paired_difference

ATTACKS = ("random_typos", "deepwordbug", "textfooler", "pwws", "bert_attack")
WORST = "worst-case:standard-1"
BOTH = "unicode_normalize+spell"
"""What takes away most of what characters alone can do, before what was trained."""
READ = "unicode_normalize+noisy_channel"
FAMILIES = {
    "purify": (
        "unicode_normalize",
        "spell",
        "noisy_channel",
        "word_recognition",
        "robust_encodings",
        "mask_purify",
        BOTH,
    ),
    "train on noise": (
        "typo_augmentation",
        "unicode_augmentation",
        "word_dropout",
        "synonym_augmentation",
        "consistency",
        "robust_pretraining",
    ),
    "train on attacks": ("adversarial_augmentation", "adversarial_training", "hotflip_training", "mixada"),
    "train on perturbed embeddings": ("pgd", "freelb", "freelb_plus", "tavat", "vat", "infobert", "ascc", "dne"),
    "regularise, clean, balance": ("flooding", "class_balance", "label_cleaning", "group_robust"),
    "vote": (
        "ensemble",
        "vote",
        *(f"{name}(samples=1,votes=False)" for name in ("safer", "ranmask", "random_deletion")),
    ),
    "together": (READ, f"{READ}+freelb_plus", f"{READ}+{CONSISTENT}", f"{READ}+{REFILLED}+freelb_plus", "recommended"),
}
"""Smoothed victims answer from one copy, of which 20 draws are averaged: 25 copies each would be read 500 times a query. They show the
search probabilities, since shares of votes hide where to go without protecting. Detectors have a track of their own."""
UNDEFENDED = {"known": False, "train_ratio": 0.0, "forwards_per_prediction": 1, "latency_ratio": 1.0, "draws": 1}
"""Of a run without any defense, whose table lacks the columns."""
HEADS = ("defense", "clean %", *ATTACKS, "standard-1 [95 %]", "beside none", "p (Holm)", "training", "texts", "time")
LETTERS: dict[Outcome, str] = {"failed": "r", "success": "b", "skipped": "w", "error": "e"}
"""Of `outcomes`: still right, broken, wrong before any attack, error (E: and right before); a letter an example, by the order of the
examples' ids."""
RIGHT = ["r", "b", "E"]
"""Those that are right before any attack."""
KEY = ["selector", "dtype", "limit", "defense", "seed", "undefended"]
"""What tells one defense's rows in table.csv from another's."""
CASCADE = "worst_case:"
Rows = list[dict[Hashable, Any]]
"""Of the five attacks and the ensemble."""
Beside = tuple[Interval, float]
"""A difference with its interval, and its p."""


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

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """One process at a time reads and writes what stands in `to`."""
        self.to.mkdir(parents=True, exist_ok=True)
        with FileLock(self.to / ".lock"):
            yield

    def rows(self) -> pd.DataFrame:
        """All of table.csv that is of this victim, precision and number of examples."""
        if not self.table.exists():
            return pd.DataFrame(columns=[*KEY, "attack"])
        table = pd.read_csv(self.table, dtype=dict.fromkeys(("undefended", "fingerprint", "commit", "outcomes"), str))
        if lacking := {*KEY} - {*table}:
            raise click.ClickException(f"{self.table} lacks {', '.join(sorted(lacking))}; move it away")
        mine = (table["selector"] == self.victim) & (table["dtype"] == self.dtype) & (table["limit"] == self.limit)
        return table[mine]


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
    there = plan.rows()
    there = there[(there["defense"] == shown(defense)) & (there["seed"] == seed)]
    if victim in set(there["undefended"]) or (defense != "none" and not there.empty):
        return f"stands in {plan.table}"
    parts = []
    for part, attacks in (("attacks", ATTACKS), ("standard-1", (WORST,))):
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
        except UsageError as problem:
            return f"left out: {problem}"
        whole = [cell for cell in recorded_cells(folder) if cell.members or attacks is ATTACKS]
        outcomes = {cell.name[1]: _letters(cell.records) for cell in whole}
        parts.append(run.table.drop(columns="seconds").assign(outcomes=run.table["attack"].map(outcomes)))
    rows = pd.concat(parts)
    costs: dict[str, Any] = {name: value for name, value in UNDEFENDED.items() if name not in rows}
    own: dict[str, Any] = {"selector": plan.victim, "dtype": plan.dtype, "limit": plan.limit, "undefended": victim}
    _keep(plan, rows.assign(**costs, **own, commit=environment()["commit"]))
    return f"{percent(rows['robust_accuracy'].iloc[-1])} % left by {WORST}"


def _letters(records: Mapping[str, Record]) -> str:
    by_id = [records[example] for example in sorted(records)]
    return "".join(
        "E" if record.outcome == "error" and record.clean_right else LETTERS[record.outcome] for record in by_id
    )


def _keep(plan: Plan, rows: pd.DataFrame) -> None:
    """Add a defense's rows to table.csv, which other processes may write too."""
    with plan.claimed():
        before = [pd.read_csv(plan.table, dtype=str)] if plan.table.exists() else []
        together = pd.concat([*before, pd.read_csv(StringIO(rows.to_csv(index=False)), dtype=str)])
        together = together.drop_duplicates([*KEY, "attack"]).sort_values(["defense", "seed"], kind="stable")
        write_whole(plan.table, together.to_csv(index=False, lineterminator="\n"))


def _attacks(rows: pd.DataFrame) -> Rows:
    """The five attacks' rows, and the ensemble's, in the order of the page."""
    by_attack = {row["attack"]: row for row in rows.to_dict("records")}
    names = [attack for attack in by_attack if attack.startswith(CASCADE)]
    return [by_attack[name] for name in (*ATTACKS, *names)]


def _write(plan: Plan) -> None:
    """README.md and seeds.csv of what is finished."""
    table = plan.rows()
    if "none" not in set(table.loc[table["seed"] == 0, "defense"]):
        return
    lines = [*_page(plan, table[table["seed"] == 0])]
    if several := [*_over_seeds(table)]:
        frame = pd.DataFrame(several)
        write_whole(plan.to / "seeds.csv", frame.to_csv(index=False, lineterminator="\n"))
        lines += ["", *_seeds(frame)]
    write_whole(plan.to / "README.md", "\n".join(lines) + "\n")


def _page(plan: Plan, table: pd.DataFrame) -> Iterator[str]:
    parts = table.groupby(["defense", "undefended"], sort=False)
    found = {(str(defense), str(victim)): _attacks(rows) for (defense, victim), rows in parts}
    undefended = {victim: rows for (defense, victim), rows in found.items() if defense == "none"}
    marks = dict(zip(undefended, ascii_lowercase if len(undefended) > 1 else [""], strict=False))
    beside = _beside(undefended, {key: rows for key, rows in found.items() if key[0] != "none" and key[1] in marks})
    yield f"# Defenses of {plan.victim} on mr, test split, n = {next(iter(undefended.values()))[0]['n']}"
    yield ""
    yield "`python scripts/defense_table.py`: robust accuracy in percent, of what stands before or trains the victim, under attacks on"
    yield f"the defended victim, searched in {plan.dtype} and judged in float32. *Beside none*: the paired difference of the worst"
    yield "case with its 95 % interval, in points; p: McNemar's, by Holm over the table. †: the defense knows this attack or, of"
    yield "standard-1, one of its own, or the words or characters that it draws on."
    if len(marks) > 1:
        yield f"{', '.join(marks.values())}: trainings of the victim on one machine each; a defense is beside `none` of its own letter."
    if alone := [f"`{defense}`" for defense, victim in found if victim not in marks]:
        yield f"Not shown, since `none` is still to be run with their training of the victim: {', '.join(alone)}."
    yield ""
    yield f"| {' | '.join(HEADS)} |"
    yield f"| :-- {'| --: ' * (len(HEADS) - 1)}|"
    for victim, rows in undefended.items():
        yield f"| {' | '.join([f'`none` {marks[victim]}'.strip(), *_cells(rows, None, None)])} |"
    known = {shown(name) for members in FAMILIES.values() for name in members}
    others = {"others": tuple(sorted({defense for defense, _ in beside} - known))}
    for family, members in (FAMILIES | others).items():
        there = [(name, key) for name in members for key in beside if key[0] == shown(name)]
        if there:
            yield f"| *{family}* {'| ' * (len(HEADS) - 1)}|"
        for name, key in there:
            yield f"| {' | '.join([f'`{name}` {marks[key[1]]}'.strip(), *_cells(found[key], *beside[key])])} |"


def _beside(undefended: dict[str, Rows], defended: dict[tuple[str, str], Rows]) -> dict[tuple[str, str], Beside]:
    """Each defense's worst case less that of its own undefended victim."""
    pairs = {key: (_right(rows), _right(undefended[key[1]])) for key, rows in defended.items()}
    chances = holm([mcnemar(*pair) for pair in pairs.values()])
    return {key: (paired_difference(*pair), p) for (key, pair), p in zip(pairs.items(), chances, strict=True)}


def _right(rows: Rows) -> list[bool]:
    """Which examples the worst case leaves."""
    return [letter == "r" for letter in rows[-1]["outcomes"]]


def _cells(rows: Rows, difference: tuple[float, float] | None, p: float | None) -> Iterator[str]:
    *attacks, worst = rows
    yield percent(worst["clean_accuracy"])
    for row in attacks:
        yield percent(row["robust_accuracy"]) + " †" * bool(row["known"])
    interval = f"[{percent(worst['robust_low'])}–{percent(worst['robust_high'])}]"
    yield f"{percent(worst['robust_accuracy'])} {interval}" + " †" * bool(worst["known"])
    if difference is None or p is None:
        yield from ("", "")
    else:
        yield f"{100 * difference[0]:+.1f} to {100 * difference[1]:+.1f}"
        yield f"{p:.2g}"
    yield "none" if worst["train_ratio"] == 0 else f"{worst['train_ratio']:.1f} ×"
    yield (
        str(worst["forwards_per_prediction"])
        if worst["draws"] == 1
        else f"{worst['draws']} × {worst['forwards_per_prediction']}"
    )
    yield f"{worst['latency_ratio']:.1f} ×"


def _over_seeds(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """A row an attack over the seeds that are finished, where they are several of one training of the victim."""
    for (defense, _), rows in table.groupby(["defense", "undefended"], sort=False):
        by_seed = [_attacks(part) for _, part in rows.groupby("seed")]
        for same in zip(*by_seed, strict=True) if len(by_seed) > 1 else ():
            letters = np.array([list(row["outcomes"]) for row in same])
            found = {"clean": rate_over_seeds(np.isin(letters, RIGHT).astype(float))}
            found["robust"] = rate_over_seeds((letters == "r").astype(float))
            yield {"defense": defense, "attack": same[0]["attack"], "seeds": len(same), "n": letters.shape[1]} | {
                f"{name}_accuracy{part}": value for name, rate in found.items() for part, value in _parts(rate)
            }


def _parts(rate: OverSeeds) -> Iterator[tuple[str, float]]:
    yield from (("", rate.rate), ("_sd", rate.sd), ("_low", rate.interval.low), ("_high", rate.interval.high))


def _seeds(frame: pd.DataFrame) -> Iterator[str]:
    yield "## Over training seeds"
    yield ""
    yield "| defense | attack | seeds | clean % | robust % [95 %] | sd |"
    yield "| :-- | :-- | --: | --: | --: | --: |"
    for row in frame.to_dict("records"):
        low, high = percent(row["robust_accuracy_low"]), percent(row["robust_accuracy_high"])
        robust = f"{percent(row['robust_accuracy'])} [{low}–{high}]"
        clean = percent(row["clean_accuracy"])
        attack = str(row["attack"]).removeprefix(CASCADE)
        yield f"| `{row['defense']}` | {attack} | {row['seeds']} | {clean} | {robust} | {percent(row['robust_accuracy_sd'])} |"


if __name__ == "__main__":
    main()
