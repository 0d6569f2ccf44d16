"""Choose how strongly the defenses perturb in training, and how fast they learn, on the dev split of mr; writes results/tuning.

Of a defense's settings that cost at most `COST` points of clean accuracy the most robust is chosen, where there is none the
one that costs least; the defaults follow. What is finished goes into table.csv and isn't run again; trainings are cached and runs
resumable, so several of these may run at once on disjoint `--defenses`. A victim that was trained on another machine is another victim
(`undefended`, its fingerprint): all settings of a defense are held against one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from string import ascii_lowercase

import click
import pandas as pd
from filelock import FileLock

import robustbench_nlp as rb
from robustbench_nlp.data import load_dataset
from robustbench_nlp.defense import defend, shown
from robustbench_nlp.environment import environment
from robustbench_nlp.plugins import split_list
from robustbench_nlp.records import file_name, write_whole
from robustbench_nlp.report.shown import percent
from robustbench_nlp.stats import wilson
from robustbench_nlp.training import TrainingCollapsed

VICTIM = "minilm-mr"
WORST = "worst-case:fast-1"
COST = 2.0
LIMIT = 300
SETTINGS = {
    "none": ("none",),
    "pgd": (
        "pgd(radius=0.15,learning_rate=5e-5)",
        "pgd(radius=0.3,learning_rate=5e-5)",
        "pgd(radius=0.3,learning_rate=2e-5)",
    ),
    "freelb": ("freelb(step=0.1,radius=0.15)", "freelb(step=0.2,radius=0.3)"),
    "freelb_plus": (
        "freelb_plus(step=0.08)",
        "freelb_plus(step=0.11)",
        "freelb_plus(step=0.15)",
        "freelb_plus(step=0.15,learning_rate=2e-5)",
    ),
    "tavat": (
        "tavat(radius=0.15,learning_rate=5e-5)",
        "tavat(radius=0.3,learning_rate=5e-5)",
        "tavat(radius=0.3,learning_rate=2e-5)",
    ),
    "vat": ("vat(step=0.15,radius=0.15)", "vat(step=0.3,radius=0.3)"),
    "infobert": ("infobert(step=0.1)", "infobert(step=0.2)"),
    "adversarial_training": ("adversarial_training(learning_rate=5e-5)", "adversarial_training(learning_rate=2e-5)"),
}
"""Learning rates stand here in full where another may become the default, so that what is kept never means another training."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--defenses", default=",".join(SETTINGS), help="Names, all by default; '' writes the page alone.")
@click.option("--runs", default="runs/tuning", show_default=True, type=click.Path(path_type=Path))
@click.option("--to", default="results/tuning", show_default=True, type=click.Path(path_type=Path))
def main(defenses: str, runs: Path, to: Path) -> None:
    """Train and attack what isn't yet, and write the page."""
    if strange := [name for name in split_list(defenses) if name not in SETTINGS]:
        raise click.ClickException(f"nothing is tuned of {strange[0]}; take some of {', '.join(SETTINGS)}")
    to.mkdir(parents=True, exist_ok=True)
    here = rb.open_victim(VICTIM).fingerprint
    lacking = {name: _unfinished(to, name, here) for name in split_list(defenses)}
    for name, selectors in lacking.items():
        for selector in selectors:
            _keep(to, _row(selector, runs))
        for _, row in _of(_table(to), name).iterrows():
            click.echo(_line(row))
    with FileLock(to / ".lock"):
        write_whole(to / "README.md", "\n".join(_page(_table(to))) + "\n")


def _unfinished(to: Path, name: str, here: str) -> list[str]:
    """The settings of a defense that are still to be run, before the victim of fingerprint `here`; `none` is run with each training of
    the victim."""
    rows = _of(_table(to), name)
    own = rows[rows["undefended"] == here]
    lacking = [
        selector for selector in SETTINGS[name] if selector not in {*(own if name == "none" else rows)["settings"]}
    ]
    if lacking and name != "none" and len(own) < len(rows):
        raise click.ClickException(
            f"{name} in {to / 'table.csv'} is of another training of {VICTIM} ({rows['undefended'].iloc[0]}), and what is still to be run "
            "can't be held against it; take its rows out"
        )
    return lacking


def _of(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """A defense's rows, in the order of its settings."""
    order = {selector: number for number, selector in enumerate(SETTINGS[name])}
    return table[table["settings"].isin(order)].sort_values("settings", key=lambda column: column.map(order))


def _table(to: Path) -> pd.DataFrame:
    """What is finished."""
    path = to / "table.csv"
    columns = ["settings", "clean", "right", "robust", "collapsed", "undefended", "commit"]
    return pd.read_csv(path, dtype={"undefended": str}) if path.exists() else pd.DataFrame(columns=columns)


def _keep(to: Path, row: dict[str, object]) -> None:
    with FileLock(to / ".lock"):
        together = pd.concat([_table(to), pd.DataFrame([row])]).drop_duplicates(["settings", "undefended"])
        write_whole(to / "table.csv", together.sort_values("settings").to_csv(index=False, lineterminator="\n"))


def _row(selector: str, runs: Path) -> dict[str, object]:
    """Of the dev split: the share that is right without any attack (all of it) and how many of the first `LIMIT` are left."""
    train, dev = load_dataset("mr", "train").examples, load_dataset("mr", "dev").examples
    plain = rb.open_victim(VICTIM)
    told = {"settings": selector, "undefended": plain.fingerprint, "commit": environment()["commit"]}
    try:
        victim = defend(plain, selector, train, 0)
    except TrainingCollapsed as problem:
        return told | {"clean": 0.0, "right": 0, "robust": 0.0, "collapsed": str(problem)}
    answers = victim.predict([example.input for example in dev]).argmax(axis=1)
    clean = sum(int(answer) == example.label for answer, example in zip(answers, dev, strict=True)) / len(dev)
    run = rb.evaluate(
        victim=VICTIM,
        dataset="mr",
        split="dev",
        defenses=[selector],
        attacks=[WORST],
        limit=LIMIT,
        output=runs / plain.fingerprint / file_name(shown(selector)),
    )
    robust = float(run.table["robust_accuracy"].iloc[-1])
    return told | {"clean": clean, "right": round(robust * LIMIT), "robust": robust, "collapsed": ""}


def chosen(rows: pd.DataFrame, plain: float) -> str:
    """The settings that are taken, of rows by settings, where `plain` is the clean accuracy without any defense."""
    cheap = rows[100 * (plain - rows["clean"]) <= COST + 1e-9]
    return str(cheap["robust"].idxmax() if len(cheap) else rows["clean"].idxmax())


def _page(table: pd.DataFrame) -> Iterator[str]:
    yield "# Strengths and learning rates of trainings, chosen on dev"
    yield ""
    yield f"`python scripts/tune_defenses.py`: {VICTIM} on the dev split of mr; clean accuracy of all of it, robust accuracy under"
    yield f"`{WORST}` of its first {LIMIT} examples. Chosen (**bold**): of what costs at most {COST:.0f} points of clean accuracy the most robust,"
    yield "where nothing does the cheapest. A setting that collapsed has 0. What isn't named here keeps its paper's value, or one that"
    yield "two cores can afford, and a learning rate of 5e-5."
    yield ""
    victims = [*dict.fromkeys([*_of(table, "none")["undefended"], *table["undefended"]])]
    marks = dict(zip(victims, ascii_lowercase if len(victims) > 1 else [""], strict=False))
    if len(victims) > 1:
        yield f"{', '.join(marks.values())}: trainings of the victim on one machine each; settings are held against `none` of their own letter."
        yield ""
    yield "| settings | clean % | robust % [95 %] |"
    yield "| :-- | --: | --: |"
    taken = choices(table)
    for name in SETTINGS:
        for _, row in _of(table, name).iterrows():
            yield _line(row, bold=row["settings"] == taken.get(name), mark=marks[row["undefended"]])


def choices(table: pd.DataFrame) -> dict[str, str]:
    """The settings that are taken, of each defense all of whose settings stand beside `none`."""
    plain = _of(table, "none").set_index("undefended")["clean"]
    found = {}
    for name, selectors in SETTINGS.items():
        rows = _of(table, name).set_index("settings")
        whole = rows.index.is_unique and {*rows.index} == {*selectors} and rows["undefended"].nunique() == 1
        if len(selectors) > 1 and whole and (victim := rows["undefended"].iloc[0]) in plain:
            found[name] = chosen(rows, plain[victim])
    return found


def _line(row: pd.Series, *, bold: bool = False, mark: str = "") -> str:
    low, high = wilson(int(row["right"]), LIMIT)
    name = f"**`{row['settings']}`**" if bold else f"`{row['settings']}`"
    name += f" {mark}" * bool(mark)
    return f"| {name} | {percent(row['clean'])} | {percent(row['robust'])} [{percent(low)}–{percent(high)}] |"


if __name__ == "__main__":
    main()
