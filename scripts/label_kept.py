"""How often do TextFooler's successes keep the original's label? Judged by a reader, for several ways to make neighbours.

Usage: label_kept.py run [N] [--victim NAME] attacks N test sentences of mr (default 150) by TextFooler, once a way, and
writes runs/label-kept/: `sheet.csv`, a row a distinct changed sentence in random order that doesn't tell the way, and what
belongs to its rows. A reader fills two columns for every row: `label`, whether the changed sentence, read alone, still says
what the original's label says (yes, no, unclear), and `sound`, whether its grammar is no worse than the original's (yes,
no). `label_kept.py publish` joins them with the ways and writes results/label-kept/, changed words and verdicts without the
sentences; `label_kept.py table` computes the page there anew from the judgements alone.

Each way's least cosine lets through as many of the judged synonyms (tests/data/judged_pairs.tsv) as `LEVEL` does of the
shipped way's, which all of them reach: cosines of different spaces are different things, and a way that offers fewer words
would keep labels by that alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
from build_neighbours import encoder_hash, packed, vocabulary
from compare_neighbours import judged
from scipy.stats import fisher_exact

import robustbench_nlp as rb
from robustbench_nlp.attacks.textfooler import TextFooler
from robustbench_nlp.cache import built
from robustbench_nlp.lexicon.neighbours import WAY, from_vectors
from robustbench_nlp.report.sheet import defused
from robustbench_nlp.review import VERDICTS
from robustbench_nlp.stats import mcnemar, wilson
from robustbench_nlp.text import words_of
from robustbench_nlp.threat import align

ROOT = Path(__file__).resolve().parent.parent
RUNS, RESULTS = ROOT / "runs" / "label-kept", ROOT / "results" / "label-kept"
WAYS = ("plain", "filtered", "counterfit", WAY)
LEVEL = 0.65


def table_of(way: str) -> Path:
    """The file of a way's neighbours, built once."""
    recipe = [way, vocabulary(), encoder_hash()]
    return (
        built("neighbours", recipe, lambda folder: (folder / "neighbours.gz").write_bytes(packed(way)))
        / "neighbours.gz"
    )


def least_cosine(way: str, share: float) -> float:
    """The cosine at or above which a way's neighbours hold a share of the judged synonyms, to a hundredth."""
    found = cosines_of_synonyms(way)
    levels = np.arange(1, 101) / 100
    kept = np.array([(found >= level - 1e-6).mean() for level in levels])
    return float(levels[np.abs(kept - share).argmin()])


def cosines_of_synonyms(way: str) -> np.ndarray:
    """Of each judged synonym pair, both ways; 0 outside the table."""
    near = from_vectors(table_of(way))
    return np.array([dict(near(word)).get(other, 0.0) for word, other, verdict in judged() if verdict == "synonym"])


def run(examples: int, victim: str) -> None:
    share = float((cosines_of_synonyms(WAY) >= LEVEL - 1e-6).mean())
    rows, cells = [], []
    for way in WAYS:
        attack = replace(TextFooler(), vectors=str(table_of(way)), min_cosine=least_cosine(way, share))
        done = rb.evaluate(
            victim=victim, dataset="mr", attacks=[attack], limit=examples, similarity="none", output=RUNS / way
        )
        row = done.table.iloc[0]
        counts = {name: int(row[name]) for name in ("n", "attempted", "successes")}
        means = {name: round(float(row[name]), 2) for name in ("queries_mean", "words_changed_mean")}
        cells.append({"way": way, "min_cosine": attack.min_cosine, **counts, **means})
        print(cells[-1], flush=True)
        (records,) = done.records.values()
        rows += [(record, way) for record in records if record.outcome == "success"]
    names = rb.load_dataset("mr", "test").label_names
    pairs = sorted({(str(record.original), str(record.adversarial)) for record, _ in rows})
    Random(0).shuffle(pairs)
    number = {pair: i for i, pair in enumerate(pairs)}
    keys = [
        {
            "row": number[str(record.original), str(record.adversarial)],
            "example_id": record.example_id,
            "way": way,
            "original_label": names[record.label],
            "changes": changes(str(record.original), str(record.adversarial)),
        }
        for record, way in rows
    ]
    key = pd.DataFrame(keys).sort_values(["row", "way"])
    key.to_csv(RUNS / "key.csv", index=False)
    pd.DataFrame(cells).assign(victim=victim).to_csv(RUNS / "runs.csv", index=False)
    labels = dict(zip(key["row"], key["original_label"], strict=True))
    sheet = [
        {"row": i, "original_label": labels[i], "original": a, "changed": b, "label": "", "sound": ""}
        for i, (a, b) in enumerate(pairs)
    ]
    pd.DataFrame(sheet).map(lambda cell: defused(str(cell))).to_csv(RUNS / "sheet.csv", index=False)
    print(f"{len(keys)} successes, {len(sheet)} rows to judge in {RUNS / 'sheet.csv'}")


def changes(original: str, changed: str) -> str:
    """ "old→new" of each changed word, parted by blanks."""
    return " ".join(f"{old}→{new}" for old, new in align(words_of(original), words_of(changed)) if old != new)


def publish() -> None:
    sheet = pd.read_csv(RUNS / "sheet.csv", dtype=str).fillna("")
    open_rows = sheet[~sheet["label"].isin(VERDICTS) | ~sheet["sound"].isin(VERDICTS)]
    if len(open_rows):
        raise SystemExit(
            f"row {open_rows['row'].iloc[0]} has no verdicts; write one of {', '.join(VERDICTS)} in label and sound"
        )
    key = pd.read_csv(RUNS / "key.csv", dtype=str)
    verdicts = key.merge(sheet[["row", "label", "sound"]], on="row").drop(columns="row")
    RESULTS.mkdir(parents=True, exist_ok=True)
    verdicts.sort_values(["example_id", "way"]).to_csv(RESULTS / "judgements.csv", index=False)
    pd.read_csv(RUNS / "runs.csv").to_csv(RESULTS / "runs.csv", index=False)
    write_table()


def write_table() -> None:
    """The page's table between its marks, from the judgements."""
    page = RESULTS / "README.md"
    text = page.read_text("utf-8") if page.exists() else "<!-- table -->\n<!-- end -->\n"
    head, rest = text.split("<!-- table -->\n")
    table = tabled(pd.read_csv(RESULTS / "judgements.csv"), pd.read_csv(RESULTS / "runs.csv"))
    page.write_text(f"{head}<!-- table -->\n{table}<!-- end -->{rest.partition('<!-- end -->')[2]}", "utf-8")
    print(table)


def tabled(judgements: pd.DataFrame, runs: pd.DataFrame) -> str:
    """Markdown: a row a way, then each pair of ways compared. A success that is not a clear yes hasn't kept its label."""
    kept = {
        way: (group.set_index("example_id")["label"] == "yes") for way, group in judgements.groupby("way", sort=False)
    }
    lines = [
        "| way | least cosine | successes / attempted | label kept % | unclear | sound % | labels kept / attempted % |",
        "| :-- | --: | --: | --: | --: | --: | --: |",
    ]
    for cell in runs.itertuples():
        group = judgements[judgements["way"] == cell.way]
        yes, sound = int(kept[cell.way].sum()), int((group["sound"] == "yes").sum())
        lines.append(
            f"| {cell.way} | {cell.min_cosine:.2f} | {cell.successes} / {cell.attempted} | {rated(yes, len(group))} "
            f"| {(group['label'] == 'unclear').sum()} | {rated(sound, len(group))} | {rated(yes, cell.attempted)} |"
        )
    lines += [
        "",
        "| ways | label kept % | p (Fisher) | both succeed | only the first kept, only the second | p (McNemar) |",
    ]
    lines += ["| :-- | --: | --: | --: | --: | --: |"]
    lines += [compared(a, b, kept[a], kept[b]) for a, b in combinations(runs["way"], 2)]
    return "\n".join(lines) + "\n"


def compared(one: str, other: str, first: pd.Series[bool], second: pd.Series[bool]) -> str:
    """All successes of both ways as independent samples, and the examples on which both succeed as pairs."""
    counts = [[int(kept.sum()), int((~kept).sum())] for kept in (first, second)]
    shared = first.index.intersection(second.index)
    a, b = (kept[shared].tolist() for kept in (first, second))
    only = [sum(x and not y for x, y in zip(p, q, strict=True)) for p, q in ((a, b), (b, a))]
    return (
        f"| {one}, {other} | {100 * first.mean():.0f}, {100 * second.mean():.0f} | {fisher_exact(counts).pvalue:.3f} "
        f"| {len(shared)} | {only[0]}, {only[1]} | {mcnemar(a, b):.3f} |"
    )


def rated(successes: int, n: int) -> str:
    low, high = wilson(successes, n)
    return f"{100 * successes / n:.0f} [{100 * low:.0f}–{100 * high:.0f}]"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("step", choices=("run", "publish", "table"))
    parser.add_argument("examples", nargs="?", type=int, default=150)
    parser.add_argument("--victim", default="tfidf-mr")
    options = parser.parse_args(arguments)
    if options.step == "run":
        run(options.examples, options.victim)
    else:
        {"publish": publish, "table": write_table}[options.step]()


if __name__ == "__main__":
    main()
