"""Choose how strongly the defenses perturb in training, and how fast they learn, on the dev split of mr; writes results/tuning/README.md.

Of a defense's settings that cost at most `COST` points of clean accuracy the most robust is chosen, where there is none the
one that costs least; the defaults follow. Trainings are cached and runs resumable.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

import robustbench_nlp as rb
from robustbench_nlp.data import load_dataset
from robustbench_nlp.defense import defend, shown
from robustbench_nlp.records import file_name
from robustbench_nlp.report.shown import percent
from robustbench_nlp.stats import wilson
from robustbench_nlp.training import TrainingCollapsed

VICTIM = "minilm-mr"
WORST = "worst-case:fast-1"
COST = 2.0
LIMIT = 300
SETTINGS = {
    "tavat": ("tavat(radius=0.15)", "tavat(radius=0.3)", "tavat(radius=0.3,learning_rate=2e-5)"),
    "ascc": ("ascc(weight=4.0)", "ascc(weight=1.0)"),
    "dne": ("dne(steps=0)", "dne(steps=1,step=2.0)", "dne(steps=1,step=10.0)"),
    "pgd": ("pgd(steps=2,step=0.15,radius=0.15)", "pgd(steps=2,step=0.15,radius=0.3)"),
    "freelb": ("freelb(step=0.1,radius=0.15)", "freelb(step=0.1,radius=0.3)"),
    "freelb_plus": ("freelb_plus(steps=4,step=0.04)", "freelb_plus(steps=4,step=0.08)"),
    "vat": ("vat(weight=1.0)", "vat(weight=3.0)"),
    "infobert": ("infobert(step=0.1)", "infobert(step=0.2)"),
}


class Row(NamedTuple):
    """Shares of the dev split that are right, clean (all of it) and under attack (the first `LIMIT`)."""

    selector: str
    clean: float
    robust: float


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--runs", default="runs/tuning", show_default=True, type=click.Path(path_type=Path))
@click.option("--to", default="results/tuning", show_default=True, type=click.Path(path_type=Path))
def main(runs: Path, to: Path) -> None:
    """Train and attack what isn't yet, and write the page."""
    plain = _row("none", runs)
    tables = []
    for selectors in SETTINGS.values():
        rows = []
        for selector in selectors:
            try:
                rows.append(_row(selector, runs))
            except TrainingCollapsed as problem:
                click.echo(f"{selector}: {problem}")
                rows.append(Row(selector, 0.0, 0.0))
            click.echo(f"{selector}: clean {percent(rows[-1].clean)} %, robust {percent(rows[-1].robust)} %")
        tables.append(rows)
    to.mkdir(parents=True, exist_ok=True)
    (to / "README.md").write_text("\n".join(_page(plain, tables)) + "\n", "utf-8")


def _row(selector: str, runs: Path) -> Row:
    train, dev = load_dataset("mr", "train").examples, load_dataset("mr", "dev").examples
    victim = defend(rb.open_victim(VICTIM), selector, train, 0)
    answers = victim.predict([example.input for example in dev]).argmax(axis=1)
    clean = sum(int(answer) == example.label for answer, example in zip(answers, dev, strict=True)) / len(dev)
    run = rb.evaluate(
        victim=VICTIM,
        dataset="mr",
        split="dev",
        defenses=[selector],
        attacks=[WORST],
        limit=LIMIT,
        output=runs / file_name(shown(selector)),
    )
    return Row(selector, clean, float(run.table["robust_accuracy"].iloc[-1]))


def _chosen(plain: Row, rows: list[Row]) -> Row:
    cheap = [row for row in rows if 100 * (plain.clean - row.clean) <= COST]
    return max(cheap, key=lambda row: row.robust) if cheap else max(rows, key=lambda row: row.clean)


def _page(plain: Row, tables: list[list[Row]]) -> Iterator[str]:
    yield "# Strengths and learning rates of perturbed trainings, chosen on dev"
    yield ""
    yield f"`python scripts/tune_defenses.py`: {VICTIM} on the dev split of mr; clean accuracy of all of it, robust accuracy under"
    yield f"`{WORST}` of its first {LIMIT} examples. Chosen (**bold**): of what costs at most {COST:.0f} points of clean accuracy the most robust,"
    yield "where nothing does the cheapest. A setting that collapsed has 0."
    yield ""
    yield "| settings | clean % | robust % [95 %] |"
    yield "| :-- | --: | --: |"
    yield _line(plain, bold=False)
    for rows in tables:
        best = _chosen(plain, rows)
        yield from (_line(row, bold=row is best) for row in rows)


def _line(row: Row, *, bold: bool) -> str:
    low, high = wilson(round(row.robust * LIMIT), LIMIT)
    name = f"**`{row.selector}`**" if bold else f"`{row.selector}`"
    return f"| {name} | {percent(row.clean)} | {percent(row.robust)} [{percent(low)}–{percent(high)}] |"


if __name__ == "__main__":
    main()
