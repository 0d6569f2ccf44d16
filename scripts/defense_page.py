"""The page of results/defenses-mr, from what defense_table.py keeps there and the labels of the examples."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from string import ascii_lowercase
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from robustbench_nlp.defense import shown
from robustbench_nlp.defenses.recommended import ALIKE
from robustbench_nlp.records import Outcome, Record
from robustbench_nlp.report.flags import Evidence, flags
from robustbench_nlp.report.shown import escaped, percent
from robustbench_nlp.seeds import OverSeeds, rate_over_seeds
from robustbench_nlp.stats import Interval, holm, mcnemar, paired_difference

ATTACKS = ("random_typos", "deepwordbug", "textfooler", "pwws", "bert_attack")
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
        *(f"{name}(samples=1)" for name in ("safer", "ranmask", "random_deletion")),
    ),
    "together": (READ, f"{READ}+freelb_plus", f"{READ}+{ALIKE}+freelb_plus(step=0.15)", "recommended"),
}
"""Smoothed victims answer from one copy, of which a query takes 20 draws: 25 copies each would be read 500 times a query. Detectors
have a track of their own."""
HEADS = ("defense", "clean %", *ATTACKS, "standard-1 [95 %]", "beside none", "p (Holm)", "training", "texts", "time")
LETTERS: dict[Outcome, str] = {"failed": "r", "success": "b", "skipped": "w", "error": "e"}
"""Of `outcomes`: still right, broken, wrong before any attack, error (E: and right before); a letter an example, by the order of the
examples' ids."""
OUTCOMES: dict[str, Outcome] = {letter: outcome for outcome, letter in LETTERS.items()} | {"E": "error"}
RIGHT = ["r", "b", "E"]
"""Those that are right before any attack."""
CASCADE = "worst_case:"
MEMBER = "standard-1/"
Rows = list[dict[Hashable, Any]]
"""Of the five attacks and the ensemble."""
Beside = tuple[Interval, float]
"""A difference with its interval, and its p."""


class Key(NamedTuple):
    """What was attacked: a defense, the training of the victim that it stands before, the searches' precision, and the seed."""

    defense: str
    undefended: str
    dtype: str
    seed: int

    @property
    def plain(self) -> Key:
        """What it is held against."""
        return self._replace(defense="none", seed=0)


class Found(NamedTuple):
    """All of one victim, by number of examples: rows of table.csv by what was attacked, those of the ensemble's attacks one after
    the other, and why nothing was attacked."""

    rows: dict[int, dict[Key, Rows]]
    cascades: dict[int, dict[Key, Rows]]
    left_out: dict[int, dict[Key, str]]

    @classmethod
    def of(cls, table: pd.DataFrame, left_out: pd.DataFrame) -> Found:
        rows: dict[int, dict[Key, Rows]] = {}
        cascades: dict[int, dict[Key, Rows]] = {}
        for _, part in table.groupby(["limit", *Key._fields], sort=False):
            limit, key = _placed(part.iloc[0].to_dict())
            rows.setdefault(limit, {})[key] = _attacks(part)
            if members := part[part["attack"].str.startswith(MEMBER)].to_dict("records"):
                cascades.setdefault(limit, {})[key] = members
        whys: dict[int, dict[Key, str]] = {}
        for row in left_out.to_dict("records"):
            limit, key = _placed(row)
            whys.setdefault(limit, {})[key] = str(row["why"])
        return cls(rows, cascades, whys)

    @property
    def marks(self) -> dict[Key, str]:
        """A letter for each training of the victim and each precision that it was attacked in without a defense, where there are several."""
        plain = dict.fromkeys(key for found in self.rows.values() for key in found if key == key.plain)
        return dict(zip(plain, ascii_lowercase if len(plain) > 1 else [""], strict=False))

    @property
    def limits(self) -> list[int]:
        """The largest first, but behind those with `none` any without."""
        whole = {limit for limit, found in self.rows.items() if any(key == key.plain for key in found)}
        return sorted({*self.rows, *self.left_out}, key=lambda limit: (limit not in whole, -limit))

    def named(self, key: Key) -> str:
        """As the page calls it."""
        mark = self.marks.get(key.plain, "")
        return f"`{key.defense}`" + f" {mark}" * bool(mark) + f", seed {key.seed}" * bool(key.seed)


def _placed(row: Mapping[Hashable, Any]) -> tuple[int, Key]:
    return int(row["limit"]), Key(str(row["defense"]), str(row["undefended"]), str(row["dtype"]), int(row["seed"]))


def page(victim: str, found: Found, labels: Sequence[tuple[str, int]]) -> Iterator[str]:
    """The lines of README.md, of at least one table; `labels` are the ids and labels of the examples, in the order of the split."""
    first, *others = found.limits
    dtypes = " or ".join(dict.fromkeys(key.dtype for key in found.marks))
    yield f"# Defenses of {victim} on mr, test split, n = {len(labels[:first])}"
    yield ""
    yield "`python scripts/defense_table.py`: robust accuracy in percent, of what stands before or trains the victim, under attacks on"
    yield f"the defended victim, searched in {dtypes} and judged in float32. *Beside none*: the 95 % interval of the paired difference of the"
    yield "worst case, in points; p: McNemar's, by Holm over the defenses of a table. †: the defense knows this attack (for standard-1: one of"
    yield "its attacks), or the words or characters that it draws on. *Training*: its time as a multiple of the victim's own training, as it went,"
    yield "whatever else the machine was doing (`benchmarks/training.py --all` times trainings alone); *texts*: what the models read for"
    yield "an answer (20 × 1: 20 draws of one text); *time*: of an answer, with all its draws, beside `none`'s."
    if len(found.marks) > 1:
        letters = ", ".join(f"{mark} ({key.dtype})" for key, mark in found.marks.items())
        yield f"{letters}: one training of the victim, on one machine, and one precision each; a defense is beside `none` of its own letter."
    yield ""
    yield from _section(found, first, labels)
    for limit in others:
        yield ""
        yield f"## n = {len(labels[:limit])}"
        yield ""
        yield f"The first {len(labels[:limit])} examples of the split: a table, and a family for Holm, by itself."
        yield ""
        yield from _section(found, limit, labels)


def _section(found: Found, limit: int, labels: Sequence[tuple[str, int]]) -> Iterator[str]:
    """The table of one number of examples, and what is to be said of its rows."""
    whole = found.rows.get(limit, {})
    rows = {key: part for key, part in whole.items() if key.seed == 0}
    if alone := [f"`{key.defense}`" for key in rows if key.plain not in rows]:
        yield f"Not shown, since `none` is still to be run with their training of the victim, in their precision: {', '.join(alone)}."
        yield ""
    if len(alone) < len(rows):
        yield from _table(found, {key: part for key, part in rows.items() if key.plain in rows})
    yield from _warnings(found, whole, [label for _, label in sorted(labels[:limit])])
    if why := found.left_out.get(limit):
        yield ""
        yield "Left out, since what was trained knows the classes hardly better than a constant answer, which no attack breaks:"
        yield ""
        yield from (f"- {found.named(key)}: {escaped(told)}" for key, told in why.items())


def one_by_one(found: Found) -> Iterator[str]:
    """What each attack of the ensemble leaves, of the largest number of examples and all seeds."""
    limit = found.limits[0]
    cascades = {key: part for key, part in found.cascades.get(limit, {}).items() if key.plain in found.rows[limit]}
    rows = {key: {row["attack"].removeprefix(MEMBER): row for row in part} for key, part in cascades.items()}
    heads = list(dict.fromkeys(name for part in rows.values() for name in part))
    if not rows:
        return
    yield ""
    yield "## standard-1, one attack after the other"
    yield ""
    yield "What each leaves of all examples, in percent; what has fallen isn't attacked again."
    yield ""
    yield f"| defense | {' | '.join(heads)} |"
    yield f"| :-- {'| --: ' * len(heads)}|"
    for key in sorted(rows, key=lambda key: key.defense != "none"):
        left = [rows[key].get(name) for name in heads]
        cells = [percent(row["robust_accuracy"]) + " †" * bool(row["known"]) if row else "" for row in left]
        yield f"| {' | '.join([found.named(key), *cells])} |"


def _table(found: Found, rows: dict[Key, Rows]) -> Iterator[str]:
    beside = _beside(rows)
    yield f"| {' | '.join(HEADS)} |"
    yield f"| :-- {'| --: ' * (len(HEADS) - 1)}|"
    for key, part in rows.items():
        if key == key.plain:
            yield f"| {' | '.join([found.named(key), *_cells(part, None, None)])} |"
    known = {shown(name) for members in FAMILIES.values() for name in members}
    others = {"others": tuple(sorted({key.defense for key in beside} - known))}
    for family, members in (FAMILIES | others).items():
        there = [key for name in members for key in beside if key.defense == shown(name)]
        if there:
            yield f"| *{family}* {'| ' * (len(HEADS) - 1)}|"
        for key in there:
            yield f"| {' | '.join([found.named(key), *_cells(rows[key], *beside[key])])} |"


def _attacks(rows: pd.DataFrame) -> Rows:
    """The five attacks' rows, and the ensemble's, in the order of the page."""
    by_attack = {row["attack"]: row for row in rows.to_dict("records")}
    names = [attack for attack in by_attack if attack.startswith(CASCADE)]
    return [by_attack[name] for name in (*ATTACKS, *names)]


def _beside(rows: dict[Key, Rows]) -> dict[Key, Beside]:
    """Each defense's worst case less that of its own undefended victim."""
    pairs = {key: (_right(part), _right(rows[key.plain])) for key, part in rows.items() if key != key.plain}
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


def _warnings(found: Found, rows: dict[Key, Rows], labels: Sequence[int]) -> Iterator[str]:
    """What the runs warned of, and what only shows beside `none`."""
    told = {key: _warned(key, rows, labels) for key in rows}
    if lines := [f"- {found.named(key)}: {escaped(line)}" for key, lines in told.items() for line in lines]:
        yield ""
        yield "Warnings, which [docs/statistics.md](../../docs/statistics.md#warnings) explains:"
        yield ""
        yield from lines
    if unknown := [found.named(key) for key, part in rows.items() if all(pd.isna(row["warnings"]) for row in part)]:
        yield ""
        yield f"Of these only such warnings are known as outcomes give cause for: {'; '.join(unknown)}."


def _warned(key: Key, rows: dict[Key, Rows], labels: Sequence[int]) -> list[str]:
    """Of one defense: what its two runs kept, and what the outcomes say beside those of `none`, which ran by itself."""
    kept: dict[str, bool] = {}  # whether it is of the cascade alone
    for row in rows[key]:
        told: list[str] = [] if pd.isna(row["warnings"]) else json.loads(row["warnings"])
        for line in told:
            kept[line] = kept.get(line, True) and row["mode"] == "cascade"
    plain = rows.get(key._replace(defense="none"), []) if key.defense != "none" else []
    before = _of_outcomes(plain, labels)
    seen = dict.fromkeys(line for line in _of_outcomes([*plain, *rows[key]], labels) if line not in before)
    others = [line + " (standard-1)" * alone for line, alone in kept.items() if line not in seen]
    return [line.replace(f" {key.defense}: ", " ", 1) for line in (*seen, *others)]


def _of_outcomes(rows: Rows, labels: Sequence[int]) -> list[str]:
    records = {(row["defense"], row["attack"]): _records(str(row["outcomes"]), labels) for row in rows}
    return [f"{flag.name}: {flag.evidence}" for flag in flags(Evidence(pd.DataFrame(rows), records))] if rows else []


def _records(outcomes: str, labels: Sequence[int]) -> list[Record]:
    """What is known of an attack's records; of two classes, a wrong answer is the other."""
    return [
        Record(
            example_id=str(number),
            label=label,
            original="",
            outcome=OUTCOMES[letter],
            clean_prediction=label if letter in RIGHT else None if letter == "e" else 1 - label,
        )
        for number, (letter, label) in enumerate(zip(outcomes, labels, strict=True))
    ]


def over_seeds(found: Found) -> Iterator[dict[str, Any]]:
    """A row an attack over the seeds that are finished, where they are several of one training of the victim and one precision."""
    for limit in found.limits:
        by_seed: dict[Key, list[Rows]] = {}
        for key, rows in found.rows.get(limit, {}).items():
            by_seed.setdefault(key._replace(seed=0), []).append(rows)
        for key, several in by_seed.items():
            for same in zip(*several, strict=True) if len(several) > 1 else ():
                letters = np.array([list(row["outcomes"]) for row in same])
                rates = {"clean": rate_over_seeds(np.isin(letters, RIGHT).astype(float))}
                rates["robust"] = rate_over_seeds((letters == "r").astype(float))
                own = {"defense": key.defense, "undefended": key.undefended, "dtype": key.dtype}
                told = own | {"attack": same[0]["attack"], "seeds": len(same), "n": letters.shape[1]}
                yield told | {
                    f"{name}_accuracy{part}": value for name, rate in rates.items() for part, value in _parts(rate)
                }


def _parts(rate: OverSeeds) -> Iterator[tuple[str, float]]:
    yield from (("", rate.rate), ("_sd", rate.sd), ("_low", rate.interval.low), ("_high", rate.interval.high))


def seeds_table(found: Found, frame: pd.DataFrame) -> Iterator[str]:
    """What `over_seeds` found, as the page shows it."""
    yield "## Over training seeds"
    yield ""
    yield "| defense | n | attack | seeds | clean % | robust % [95 %] | sd |"
    yield "| :-- | --: | :-- | --: | --: | --: | --: |"
    for row in frame.to_dict("records"):
        low, high = percent(row["robust_accuracy_low"]), percent(row["robust_accuracy_high"])
        robust = f"{percent(row['robust_accuracy'])} [{low}–{high}]"
        attack = str(row["attack"]).removeprefix(CASCADE)
        cells = (attack, row["seeds"], percent(row["clean_accuracy"]), robust, percent(row["robust_accuracy_sd"]))
        name = found.named(Key(row["defense"], row["undefended"], row["dtype"], seed=0))
        yield f"| {name} | {row['n']} | {' | '.join(map(str, cells))} |"
