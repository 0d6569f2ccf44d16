"""A table as Hugging Face's model-index: what stands in a model card's front matter, one model a defended victim.

Each metric is an accuracy: clean, and under each attack or worst case, with n, the interval, the threat and the fingerprint as its
arguments. What a cascade's members leave together is no accuracy of theirs and stays out, as reductions do.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import pandas as pd
import yaml

from robustbench_nlp.report.shown import headline
from robustbench_nlp.report.table import REDUCTION, WORST_CASE

__all__ = ["model_index"]

TASKS = {"classification": "text-classification"}
"""What the hub calls a task."""
Row = Mapping[Hashable, Any]


def model_index(frame: pd.DataFrame, links: Mapping[tuple[str, str], str] | None = None) -> str:
    """The YAML of a table's rows; `links` gives a defended victim, by victim and defense, the address of its source, and a row's
    `flags` say what to doubt of its robust accuracy."""
    models: dict[tuple[str, str], list[Row]] = {}
    for row in frame.to_dict("records"):
        models.setdefault((str(row["victim"]), str(row["defense"])), []).append(row)
    index = [
        {
            "name": victim if defense == "none" else f"{victim} + {defense}",
            "results": list(_results(rows, (links or {}).get((victim, defense), ""))),
        }
        for (victim, defense), rows in models.items()
    ]
    return yaml.safe_dump({"model-index": index}, sort_keys=False, allow_unicode=True)


def _results(rows: list[Row], link: str) -> Iterator[dict[str, Any]]:
    """One result a task and data set."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((str(row["task"]), str(row["dataset"]), str(row["split"])), []).append(row)
    for (task, dataset, split), alike in groups.items():
        first = alike[0]
        yield {
            "task": {"type": TASKS.get(task, task), "name": "adversarial robustness"},
            "dataset": {"type": dataset, "name": dataset, "split": split},
            "metrics": [
                _metric("clean accuracy", first, "clean"),
                *(_metric(f"accuracy under {_under(row)}", row, "robust") for row in alike if _says(row)),
            ],
        } | ({"source": {"name": "robustbench-nlp", "url": link}} if link else {})


def _says(row: Row) -> bool:
    """Whether the row's robust accuracy is that of its attack."""
    whole = row["mode"] != "cascade" or str(row["attack"]).startswith(WORST_CASE)
    return whole and row["mode"] != REDUCTION and not pd.isna(row["robust_accuracy"])


def _under(row: Row) -> str:
    name = str(row["attack"])
    return f"the {headline(name)}" if name.startswith(WORST_CASE) else name


def _metric(name: str, row: Row, kind: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "n": int(row["n"]),
        "low": round(float(row[f"{kind}_low"]), 6),
        "high": round(float(row[f"{kind}_high"]), 6),
    }
    if kind == "robust":
        told |= {
            "threat": str(row["threat"]),
            "mode": str(row["mode"]),
            "seed": int(row["seed"]),
            "fingerprint": str(row["fingerprint"]),
            "harness": f"robustbench-nlp {_version()}",
        }
        told |= {"flags": row["flags"]} if row.get("flags") else {}
    return {"type": "accuracy", "name": name, "value": round(float(row[f"{kind}_accuracy"]), 6), "args": told}


def _version() -> str:
    from importlib.metadata import version

    return version("robustbench-nlp")
