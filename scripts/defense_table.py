"""Write results/defenses-mr: every defense against five attacks and a published worst case, on the test split of mr.

Resumable anywhere: each defense and seed has a run folder of its own, so several of these may run at once on disjoint `--defenses`,
and the table is written anew from what is finished: `--defenses ''` writes it alone. Attacks meet the defended victim end to end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import pandas as pd

import robustbench_nlp as rb
from robustbench_nlp.comparison import compare
from robustbench_nlp.defense import shown
from robustbench_nlp.defenses.recommended import CONSISTENT, REFILLED
from robustbench_nlp.errors import UsageError
from robustbench_nlp.plugins import split_list
from robustbench_nlp.records import file_name
from robustbench_nlp.report.shown import percent
from robustbench_nlp.seeds import over_seeds
from robustbench_nlp.stats import holm

ATTACKS = ("random_typos", "deepwordbug", "textfooler", "pwws", "bert_attack")
WORST = "worst-case:standard-1"
BOTH = "unicode_normalize+spell"
"""What takes away most of what characters alone can do, before what was trained."""
READ = "unicode_normalize+noisy_channel"
FAMILIES = {
    "none": ("none",),
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


class Plan(NamedTuple):
    """What every cell shares."""

    victim: str
    limit: int
    dtype: str
    runs: Path

    def folder(self, defense: str, seed: int, part: str) -> Path:
        return self.runs / f"{self.victim}-{self.limit}" / f"seed-{seed}" / file_name(shown(defense)) / part


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--victim", default="minilm-mr", show_default=True)
@click.option("--defenses", help="Default: those of the table.")
@click.option("--seeds", default="0", show_default=True, help="Of trainings and attacks; the table is of seed 0.")
@click.option("--limit", default=500, show_default=True)
@click.option(
    "--dtype", default="bfloat16", show_default=True, help="Of the searches; successes are judged in float32."
)
@click.option("--runs", default="runs/defenses-mr", show_default=True, type=click.Path(path_type=Path))
@click.option("--to", default="results/defenses-mr", show_default=True, type=click.Path(path_type=Path))
def main(defenses: str | None, seeds: str, to: Path, **plan_of: Any) -> None:
    """Attack what isn't attacked yet, and write the table."""
    plan = Plan(**plan_of)
    known = [name for family in FAMILIES.values() for name in family]
    for defense in known if defenses is None else split_list(defenses):
        for seed in map(int, split_list(seeds)):
            click.echo(f"{defense}, seed {seed}: {_attacked(plan, defense, seed)}")
    _write(plan, known, to)


def _attacked(plan: Plan, defense: str, seed: int) -> str:
    """Run the attacks, each part going on where it stopped and the worst case first, which is told in a phrase."""
    left: float | None = None
    for part, attacks in (("standard-1", (WORST,)), ("attacks", ATTACKS)):
        try:
            run = rb.evaluate(
                victim=plan.victim,
                dataset="mr",
                attacks=list(attacks),
                defenses=[defense],
                limit=plan.limit,
                seed=seed,
                dtype=plan.dtype,
                output=plan.folder(defense, seed, part),
            )
        except UsageError as problem:
            return f"left out: {problem}"
        left = float(run.table["robust_accuracy"].iloc[-1]) if left is None else left
    return f"{percent(left or 0)} % left by {WORST}"


def _write(plan: Plan, defenses: Sequence[str], to: Path) -> None:
    """table.csv, seeds.csv and README.md of what is finished."""
    tables = {name: table for name in defenses if (table := _table(plan, name, 0)) is not None}
    if "none" not in tables:
        return
    to.mkdir(parents=True, exist_ok=True)
    pd.concat(tables.values()).drop(columns="seconds").to_csv(to / "table.csv", index=False)
    lines = [*_page(plan, tables)]
    several = [table for name in defenses if (table := _over_seeds(plan, name)) is not None]
    if several:
        frame = pd.concat(several)
        frame.to_csv(to / "seeds.csv", index=False)
        lines += ["", *_seeds(frame)]
    (to / "README.md").write_text("\n".join(lines) + "\n", "utf-8")


def _table(plan: Plan, defense: str, seed: int) -> pd.DataFrame | None:
    """Both parts' rows, of the ensemble the worst case alone; None where one is missing."""
    files = [plan.folder(defense, seed, part) / "table.csv" for part in ("attacks", "standard-1")]
    if not all(file.exists() for file in files):
        return None
    attacks, worst = map(pd.read_csv, files)
    both = pd.concat([attacks, worst.tail(1)])
    return both.assign(**{name: value for name, value in UNDEFENDED.items() if name not in both})


def _page(plan: Plan, tables: dict[str, pd.DataFrame]) -> Iterator[str]:
    names = [name for name in tables if name != "none"]
    folders = [plan.folder(name, 0, "standard-1") for name in ("none", *names)]
    pairs = [
        compare(f"{folders[0]}::none", f"{folder}::{shown(name)}").pairs[-1]
        for name, folder in zip(names, folders[1:], strict=True)
    ]
    beside = {
        name: (pair.difference, p) for name, pair, p in zip(names, pairs, holm([pair.p for pair in pairs]), strict=True)
    }
    row = next(iter(tables.values())).iloc[0]
    yield f"# Defenses of {plan.victim} on mr, test split, n = {row['n']}"
    yield ""
    yield "`python scripts/defense_table.py`: robust accuracy in percent, of what stands before or trains the victim, under attacks on"
    yield f"the defended victim, searched in {plan.dtype} and judged in float32. *Beside none*: the paired difference of the worst"
    yield "case with its 95 % interval, in points; p: McNemar's, by Holm over the table. †: the defense knows this attack or, of"
    yield "standard-1, one of its own, or the words or characters that it draws on."
    yield ""
    yield f"| {' | '.join(HEADS)} |"
    yield f"| :-- {'| --: ' * (len(HEADS) - 1)}|"
    for family, members in FAMILIES.items():
        there = [name for name in members if name in tables]
        if there and family != "none":
            yield f"| *{family}* {'| ' * (len(HEADS) - 1)}|"
        for name in there:
            yield f"| {' | '.join([f'`{name}`', *_cells(tables[name], *beside.get(name, (None, None)))])} |"


def _cells(table: pd.DataFrame, difference: tuple[float, float] | None, p: float | None) -> Iterator[str]:
    *attacks, worst = table.to_dict("records")
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


def _over_seeds(plan: Plan, defense: str) -> pd.DataFrame | None:
    """All rows over the seeds that are finished; None for fewer than two."""
    found = []
    for part in ("attacks", "standard-1"):
        folders = sorted(
            plan.runs.glob(f"{plan.victim}-{plan.limit}/seed-*/{file_name(shown(defense))}/{part}/table.csv")
        )
        if len(folders) < 2:
            return None
        found.append(over_seeds([file.parent for file in folders]))
    attacks, worst = found
    return pd.concat([attacks, worst.tail(1)])


def _seeds(frame: pd.DataFrame) -> Iterator[str]:
    yield "## Over training seeds"
    yield ""
    yield "| defense | attack | seeds | clean % | robust % [95 %] | sd |"
    yield "| :-- | :-- | --: | --: | --: | --: |"
    for row in frame.to_dict("records"):
        low, high = percent(row["robust_accuracy_low"]), percent(row["robust_accuracy_high"])
        robust = f"{percent(row['robust_accuracy'])} [{low}–{high}]"
        clean = percent(row["clean_accuracy"])
        attack = str(row["attack"]).removeprefix("worst_case:")
        yield f"| `{row['defense']}` | {attack} | {row['seeds']} | {clean} | {robust} | {percent(row['robust_accuracy_sd'])} |"


if __name__ == "__main__":
    main()
