"""Write results/defenses-mr: every defense against five attacks and a published worst case, on the test split of mr.

Resumable anywhere: each defense and seed has a run folder of its own, so several of these may run at once on disjoint `--defenses`.
What is finished goes into table.csv, with each example's outcome, and isn't run again, on any machine: take its rows out to have it
run anew. The page is written from table.csv alone; `--defenses ''` writes it and runs nothing. Attacks meet the defended victim end
to end. A victim that was trained on another machine is another victim: a defense stands beside the one that it was put before.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import pandas as pd
from filelock import FileLock

import robustbench_nlp as rb
from robustbench_nlp.defense import shown
from robustbench_nlp.defenses.recommended import CONSISTENT, REFILLED
from robustbench_nlp.errors import UsageError
from robustbench_nlp.plugins import split_list
from robustbench_nlp.recorded import recorded_cells
from robustbench_nlp.records import Outcome, Record, file_name, write_whole
from robustbench_nlp.report.shown import percent
from robustbench_nlp.seeds import OverSeeds, rate_over_seeds
from robustbench_nlp.stats import holm, mcnemar, paired_difference

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
"""Of `outcomes`: still right, broken, wrong before any attack, error; a letter an example, by the order of the examples' ids."""
CASCADE = "worst_case:"
Rows = list[dict[Hashable, Any]]
"""Of the five attacks and the ensemble."""


class Plan(NamedTuple):
    """What every cell shares."""

    victim: str
    limit: int
    dtype: str
    runs: Path
    to: Path

    def folder(self, defense: str, seed: int, part: str) -> Path:
        return self.runs / f"{self.victim}-{self.limit}" / f"seed-{seed}" / file_name(shown(defense)) / part

    @property
    def table(self) -> Path:
        return self.to / "table.csv"


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
    _write(plan, known)


def _attacked(plan: Plan, defense: str, seed: int) -> str:
    """Run the attacks, each part going on where it stopped; what the worst case leaves is told in a phrase."""
    victim = rb.open_victim(plan.victim).fingerprint
    there = _rows(plan, defense, seed)
    if not there.empty and (defense != "none" or victim in set(there["undefended"])):
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
    costs = {name: value for name, value in UNDEFENDED.items() if name not in rows}
    _keep(plan, rows.assign(**costs, undefended=victim))
    return f"{percent(rows['robust_accuracy'].iloc[-1])} % left by {WORST}"


def _letters(records: Mapping[str, Record]) -> str:
    return "".join(LETTERS[records[example].outcome] for example in sorted(records))


def _keep(plan: Plan, rows: pd.DataFrame) -> None:
    """Add a defense's rows to table.csv, which other processes may write too."""
    plan.to.mkdir(parents=True, exist_ok=True)
    with FileLock(plan.runs / ".lock"):
        before = [pd.read_csv(plan.table)] if plan.table.exists() else []
        together = pd.concat([*before, rows]).sort_values(["defense", "seed"], kind="stable")
        write_whole(plan.table, together.to_csv(index=False, lineterminator="\n"))


def _rows(plan: Plan, defense: str, seed: int) -> pd.DataFrame:
    """What stands in table.csv of a defense under a seed: five attacks, the ensemble's attacks as its cascade met them, the ensemble."""
    if not plan.table.exists():
        return pd.DataFrame(columns=["undefended"])
    table = pd.read_csv(plan.table)
    return table[(table["defense"] == shown(defense)) & (table["seed"] == seed)]


def _attacks(rows: pd.DataFrame) -> Rows:
    """The five attacks' rows, and the ensemble's, in the order of the page."""
    by_attack = {row["attack"]: row for row in rows.to_dict("records")}
    names = [attack for attack in by_attack if attack.startswith(CASCADE)]
    return [by_attack[name] for name in (*ATTACKS, *names)]


def _write(plan: Plan, defenses: Sequence[str]) -> None:
    """README.md and seeds.csv of what is finished."""
    undefended = {
        str(victim): _attacks(rows) for victim, rows in _rows(plan, "none", 0).groupby("undefended", sort=False)
    }
    if not undefended:
        return
    found = {name: _rows(plan, name, 0) for name in defenses if name != "none"}
    tables = {name: _attacks(rows) for name, rows in found.items() if {*rows["undefended"]} & undefended.keys()}
    lines = [*_page(plan, undefended, tables)]
    if several := [row for name in defenses for row in _over_seeds(plan, name)]:
        frame = pd.DataFrame(several)
        frame.to_csv(plan.to / "seeds.csv", index=False)
        lines += ["", *_seeds(frame)]
    (plan.to / "README.md").write_text("\n".join(lines) + "\n", "utf-8")


def _page(plan: Plan, undefended: dict[str, Rows], tables: dict[str, Rows]) -> Iterator[str]:
    pairs = [(_right(rows), _right(undefended[rows[-1]["undefended"]])) for rows in tables.values()]
    chances = holm([mcnemar(*pair) for pair in pairs])
    beside = {name: (paired_difference(*pair), p) for name, pair, p in zip(tables, pairs, chances, strict=True)}
    yield f"# Defenses of {plan.victim} on mr, test split, n = {next(iter(undefended.values()))[0]['n']}"
    yield ""
    yield "`python scripts/defense_table.py`: robust accuracy in percent, of what stands before or trains the victim, under attacks on"
    yield f"the defended victim, searched in {plan.dtype} and judged in float32. *Beside none*: the paired difference of the worst"
    yield "case with its 95 % interval, in points; p: McNemar's, by Holm over the table. †: the defense knows this attack or, of"
    yield "standard-1, one of its own, or the words or characters that it draws on."
    yield ""
    yield f"| {' | '.join(HEADS)} |"
    yield f"| :-- {'| --: ' * (len(HEADS) - 1)}|"
    for rows in undefended.values():
        yield f"| {' | '.join(['`none`', *_cells(rows, None, None)])} |"
    for family, members in FAMILIES.items():
        there = [name for name in members if name in tables]
        if there:
            yield f"| *{family}* {'| ' * (len(HEADS) - 1)}|"
        for name in there:
            yield f"| {' | '.join([f'`{name}`', *_cells(tables[name], *beside[name])])} |"


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


def _over_seeds(plan: Plan, defense: str) -> Iterator[dict[str, Any]]:
    """A row an attack over the seeds that are finished, where they are several."""
    first = _rows(plan, defense, 0)
    table = pd.read_csv(plan.table)
    alike = (table["defense"] == shown(defense)) & table["undefended"].isin(first["undefended"].tail(1))
    by_seed = [_attacks(rows) for _, rows in table[alike].groupby("seed")]
    if len(by_seed) < 2:
        return
    for rows in zip(*by_seed, strict=True):
        letters = np.array([list(row["outcomes"]) for row in rows])
        found = {"clean": rate_over_seeds((letters != "w").astype(float))}
        found["robust"] = rate_over_seeds((letters == "r").astype(float))
        yield {"defense": defense, "attack": rows[0]["attack"], "seeds": len(rows), "n": letters.shape[1]} | {
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
