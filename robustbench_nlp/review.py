"""Human review: a blind sheet of a run's successes for readers to fill in, and what the filled sheets say.

Whether a changed text still says what its label says, means the same and is grammatical, only a reader can tell (Morris et al.,
2020; Wang et al., 2021, AdvGLUE: about nine in ten adversarial texts of some attacks are no valid ones). The sheet hides attack,
defense, and which text of a row is the original: some rows, the controls, ask about the original, in no visible way, and say
how far the data set's labels and sentences themselves satisfy a reader. No control's example has another row, whose text would
tell which of the two is the original.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import chain, zip_longest
from math import nan
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from robustbench_nlp.data.example import Input, content_hash
from robustbench_nlp.errors import UsageError
from robustbench_nlp.recorded import recorded_cells
from robustbench_nlp.records import write_whole
from robustbench_nlp.report.sheet import defused
from robustbench_nlp.seeds import rate_over_seeds
from robustbench_nlp.stats import Interval, mean_difference

__all__ = [
    "COLUMNS",
    "GRADES",
    "VERDICTS",
    "Sheet",
    "agreement",
    "draw",
    "filled",
    "key_beside",
    "shares",
    "write",
]

VERDICTS = ("yes", "no", "unclear")
GRADES = ("1", "2", "3", "4", "5")
COLUMNS = ("row", "label", "text", "other", "label_kept", "meaning", "grammar")
"""The columns of a sheet; readers fill the last three."""
ANSWERS: Mapping[str, tuple[str, ...]] = {"label_kept": VERDICTS, "meaning": GRADES, "grammar": GRADES}
CONTROLS = 0.25
"""Controls for each success on the sheet."""
FEWEST = 5
"""Of fewer texts a mean grade has no interval."""


@dataclass(frozen=True)
class Sheet:
    """`rows` for the reader, with `COLUMNS`; `key` for whoever reads the sheet back: of each row its `kind` (success or control)
    and the cells, examples and fate that it stands for."""

    rows: pd.DataFrame
    key: pd.DataFrame


class _Pair(NamedTuple):
    label: str
    original: str
    adversarial: str


class _Place(NamedTuple):
    defense: str
    attack: str
    example_id: str


def draw(folder: Path, limit: int = 100, seed: int = 0) -> Sheet:
    """A sheet of at most `limit` successes of a run, the same number of each cell as far as there are so many, and a control for
    every four as far as there are examples for them; each distinct text is asked about once. The same seed gives the same sheet,
    and a larger limit holds it.

    Raises `UsageError` where there is no run and where it has no success.
    """
    won: dict[_Pair, list[_Place]] = {}
    held: dict[_Pair, list[_Place]] = {}
    queues: list[list[_Pair]] = []
    for cell in recorded_cells(folder):
        if not cell.measures or cell.members:
            continue
        names = cell.header["label_names"]
        own: dict[_Pair, None] = {}
        for record in cell.records.values():
            if record.outcome not in ("success", "failed") or record.adversarial in (None, record.original):
                continue
            pair = _Pair(names[record.label], _whole(record.original), _whole(record.adversarial or ""))
            place = _Place(*cell.name, record.example_id)
            if record.outcome == "success":
                won.setdefault(pair, []).append(place)
                own[pair] = None
            else:
                held.setdefault(pair, [place])
        queues.append(sorted(own, key=lambda pair: content_hash("review", seed, *pair)))
    if not won:
        raise UsageError(f"{folder} has no successes to review")
    spare = _controls(won, held, seed)
    aside = {pair.original for pair in spare}
    order = dict.fromkeys(pair for pair in chain.from_iterable(zip_longest(*queues)) if pair is not None)
    chosen = [pair for pair in order if pair.original not in aside][:limit]
    controls = spare[: int(CONTROLS * len(chosen))]
    asked = [("success", pair) for pair in chosen] + [("control", pair) for pair in controls]
    asked.sort(key=lambda row: content_hash("review order", seed, *row[1], row[0]))
    rows, key = [], []
    for kind, pair in asked:
        number = f"r{content_hash('review row', seed, kind, *pair)[:8]}"  # no spreadsheet reads a number out of it
        text, other = (pair.adversarial, pair.original) if kind == "success" else (pair.original, pair.adversarial)
        rows.append([number, pair.label, text, other, "", "", ""])
        places = won.get(pair) or held[pair]
        key += [{"row": number, "kind": kind, "label": pair.label} | place._asdict() for place in places]
    return Sheet(pd.DataFrame(rows, columns=[*COLUMNS]), pd.DataFrame(key))


def _controls(won: Collection[_Pair], held: Collection[_Pair], seed: int) -> list[_Pair]:
    """What controls are drawn from, a pair an original: a share of the broken originals, which the sheet's successes leave alone
    for it, then those that nothing broke. It doesn't depend on how many rows the sheet has."""
    found: dict[str, _Pair] = {}
    for pair in chain(_shuffled(won, seed), _shuffled(held, seed)):
        found.setdefault(pair.original, pair)
    pairs, broken = list(found.values()), len({pair.original for pair in won})
    return pairs[: round(broken * CONTROLS / (1 + CONTROLS))] + pairs[broken:]


def _shuffled(pairs: Iterable[_Pair], seed: int) -> list[_Pair]:
    """By their originals, so that a further attack on an example doesn't move it."""
    return sorted(
        pairs, key=lambda pair: [content_hash("review control", seed, *part) for part in ([pair.original], pair)]
    )


def write(sheet: Sheet, path: Path) -> Path:
    """Write the sheet, and its key beside it as `NAME.key.csv`, whose path is returned. Raises `UsageError` rather than write over
    a sheet that may have been filled in."""
    key = path.with_name(f"{path.stem}.key.csv")
    for place in (path, key):
        if place.exists():
            raise UsageError(f"{place} is there already; move it away, or name another file")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(key, sheet.key.to_csv(index=False, lineterminator="\n"))
    write_whole(path, "\ufeff" + sheet.rows.map(defused).to_csv(index=False, lineterminator="\r\n"))
    return key


def key_beside(sheet: Path) -> Path:
    """The only key in a sheet's folder. Raises `UsageError` where there is none or more than one."""
    found = sorted(sheet.parent.glob("*.key.csv"))
    if len(found) != 1:
        told = "is no key" if not found else f"are {len(found)} keys"
        raise UsageError(f"there {told} beside {sheet}; name the .key.csv that was written with the sheet: --key FILE")
    return found[0]


def filled(sheets: Sequence[Path], key: Path) -> pd.DataFrame:
    """The judgements of filled sheets, one a reader: columns `reader, row, kind, label_kept, meaning, grammar`, empty where
    nothing was judged. Raises `UsageError`, naming file and row, for rows that the key doesn't know and for other answers."""
    known = _key(key)
    kinds = dict(zip(known["row"], known["kind"], strict=True))
    rows: list[dict[str, str]] = []
    for sheet in sheets:
        seen: set[str] = set()
        for number, row in enumerate(_read(sheet), 2):
            name = row["row"]
            if name not in kinds or name in seen:
                said = "comes twice" if name in seen else f"is not in {key}"
                raise UsageError(
                    f"{sheet}, line {number}: row '{name}' {said}; send the sheet's own rows back, filled in"
                )
            seen.add(name)
            answers = {column: row[column].strip().lower() for column in ANSWERS}
            for column, answer in answers.items():
                if answer and answer not in ANSWERS[column]:
                    raise UsageError(
                        f"{sheet}, row {name}: {column} is '{answer}'; write {', '.join(ANSWERS[column])}, or leave it empty"
                    )
            rows.append({"reader": str(sheet), "row": name, "kind": kinds[name]} | answers)
        if not any(row[column] for row in rows if row["reader"] == str(sheet) for column in ANSWERS):
            raise UsageError(f"{sheet} has no answers; fill in the columns {', '.join(ANSWERS)}")
    return pd.DataFrame(rows, columns=["reader", "row", "kind", *ANSWERS])


def shares(judged: pd.DataFrame, key: Path) -> pd.DataFrame:
    """What the readers found, of all successes, of the controls, and of each cell: a row each, with `rows` (texts that were
    judged), the share whose label is kept (a clear yes), and mean grades, each with its 95 % interval.

    Intervals are for other texts, and for other readers too where there are several (`rate_over_seeds`); means are over texts, of
    their mean grades, with t intervals cut to the scale; NaN for fewer texts than `FEWEST`, and where all have the same grade.
    """
    known = _key(key)
    success = judged[judged["kind"] == "success"]
    groups = [("all successes", success), ("controls (originals)", judged[judged["kind"] == "control"])]
    cells = known[known["kind"] == "success"].groupby(["defense", "attack"], sort=False)["row"]
    groups += [(f"{defense} × {attack}", success[success["row"].isin(set(rows))]) for (defense, attack), rows in cells]
    made = []
    for name, part in groups:
        kept = _kept(part)
        values: dict[str, Any] = {"group": name, "rows": part[part["label_kept"] != ""]["row"].nunique()}
        values |= {"label_kept": kept.rate, "label_kept_low": kept.interval.low, "label_kept_high": kept.interval.high}
        for grade in ("meaning", "grammar"):
            mean, (low, high) = _mean(part, grade)
            values |= {grade: mean, f"{grade}_low": low, f"{grade}_high": high}
        made.append(values)
    return pd.DataFrame(made)


def agreement(judged: pd.DataFrame) -> dict[str, float]:
    """Krippendorff's α of each column by nltk, over the rows that two readers or more have judged: nominal for labels, interval for
    grades; NaN where no two readers judged a row or all answers are alike. Raises `UsageError` without the extra `stats`."""
    try:
        from nltk.metrics import binary_distance, interval_distance
        from nltk.metrics.agreement import AnnotationTask
    except ImportError as problem:
        raise UsageError("agreement is computed by nltk; pip install 'robustbench-nlp[stats]'") from problem
    found = {}
    for column in ANSWERS:
        answers = judged[judged[column] != ""]
        answers = answers[answers.groupby("row")["reader"].transform("nunique") > 1]
        values = answers[column] if column == "label_kept" else answers[column].map(int)
        distance = binary_distance if column == "label_kept" else interval_distance
        triples = list(zip(answers["reader"], answers["row"], values, strict=True))
        known = len(set(values)) > 1
        found[column] = float(AnnotationTask(triples, distance=distance).alpha()) if known else nan
    return found


def _kept(part: pd.DataFrame) -> Any:
    """The share of clear yeses, over readers and rows as over seeds and examples."""
    told = part[part["label_kept"] != ""]
    table = told.assign(yes=(told["label_kept"] == "yes").astype(float)).pivot_table("yes", "reader", "row")
    hits = table.to_numpy(float) if len(table) else np.zeros((1, 0))
    return rate_over_seeds(np.nan_to_num(hits), (~np.isnan(hits)).astype(float))


def _mean(part: pd.DataFrame, grade: str) -> tuple[float, Interval]:
    told = part[part[grade] != ""]
    means = told[grade].astype(float).groupby(told["row"]).mean().tolist()
    mean = float(np.mean(means)) if means else nan
    if len(means) < FEWEST or len(set(means)) == 1:
        return mean, Interval(nan, nan)
    low, high = mean_difference(means, [0.0] * len(means))
    return mean, Interval(max(low, float(GRADES[0])), min(high, float(GRADES[-1])))


def _key(path: Path) -> pd.DataFrame:
    """Raises `UsageError` where the file is missing, or no key."""
    try:
        known = pd.read_csv(path, dtype=str, keep_default_na=False)
    except OSError as problem:
        raise UsageError(f"cannot read the key '{path}': {problem.strerror}") from problem
    except ValueError:  # empty, no table, no UTF-8
        known = pd.DataFrame()
    if not {"row", "kind", "defense", "attack"} <= set(known.columns):
        raise UsageError(f"{path} is no key of a sheet; give the .key.csv that was written with it")
    return known


def _read(sheet: Path) -> Iterable[dict[str, str]]:
    """The lines of a sheet as a spreadsheet may have saved it: with commas, semicolons or tabs."""
    try:
        text = sheet.read_bytes().decode("utf-8-sig")
    except OSError as problem:
        raise UsageError(f"cannot read the sheet '{sheet}': {problem.strerror}") from problem
    except UnicodeDecodeError as problem:
        raise UsageError(f"{sheet} is not UTF-8; save it as 'CSV UTF-8'") from problem
    head = text.partition("\n")[0]
    reader = csv.DictReader(StringIO(text, newline=""), delimiter=max(",;\t", key=head.count), restval="")
    missing = {"row", *ANSWERS} - set(reader.fieldnames or ())
    if missing:
        raise UsageError(
            f"{sheet} has no column {', '.join(sorted(missing))}; send the sheet back as it was, filled in"
        )
    return list(reader)


def _whole(text: Input) -> str:
    """A text as one cell: fields on lines of their own."""
    return text if isinstance(text, str) else "\n".join(text)
