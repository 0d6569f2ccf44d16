"""Writes docs/attacks.md from the attacks' own docstrings, runs over all of them, and one sentence that each attacks.

run="robustbench-nlp run --dataset mr --similarity none --limit 50 --max-queries 2000"
$run --victim tfidf-mr --output A --attacks $(python scripts/build_attack_docs.py --names)
$run --victim cnn-mr --output B --attacks $(python scripts/build_attack_docs.py --gradient-names)
python scripts/build_attack_docs.py A B
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from robustbench_nlp.attack import Attack
from robustbench_nlp.plugins import create, plugin_names
from robustbench_nlp.report.table import REDUCTION
from robustbench_nlp.trial import attack_text

PAGE = Path(__file__).parent.parent / "docs" / "attacks.md"
SENTENCE = "A fine cast and a clever story make this film a great pleasure from start to finish."
HEAD = """# Attacks

What each attack does, from its own docstring; its default threat; what it reaches on {n} test sentences of `mr` against
`{victim}`, or against the victim named where it needs gradients, with at most {budget} queries each (success among those
attempted); and what it makes of one sentence. Made by `scripts/build_attack_docs.py`, whose docstring has the commands.
"""
NEEDS = {"paraphrase": "paraphrase:hf:ID"}
"""Attacks that are nothing without an argument."""
LIBRARIES = ("nlpaug", "textattack")
"""Adapters, whose attacks are described by the libraries."""


def native() -> Iterator[tuple[str, Attack]]:
    """Every attack that drives no other library."""
    for name in plugin_names("attack"):
        if name not in LIBRARIES:
            yield name, create("attack", NEEDS.get(name, name))


def runnable(*, gradient: bool) -> Iterator[str]:
    """The attacks that need no argument, with or without the victim's gradients."""
    for name, attack in native():
        if name not in NEEDS and (attack.threat.knowledge == "gradient") == gradient:
            yield name


def headed(name: str, plugin: object) -> list[str]:
    """The beginning of a plug-in's section: its name, and its module's docstring."""
    title, _, rest = (inspect.getdoc(inspect.getmodule(type(plugin))) or "").partition("\n")
    return [f"## `{name}`", "", title, *([rest.strip()] if rest.strip() else []), ""]


def section(name: str, attack: Attack, rows: pd.DataFrame) -> str:
    threat = attack.threat
    limits = {
        key: value
        for key in (
            "max_words_changed",
            "max_words_share",
            "max_words_exchanged",
            "max_edits",
            "max_edits_per_word",
            "min_similarity",
            "candidates",
        )
        if (value := getattr(threat, key)) is not None
    }
    lines = headed(name, attack)
    lines.append(
        f"- **threat** `{threat}`: {threat.knowledge}, {threat.unit}"
        + (f"; {', '.join(f'{key} {value}' for key, value in limits.items())}" if limits else "; no further limit")
    )
    settings = ", ".join(f"`{key}={value!r}`" for key, value in _settings(attack).items())
    lines.append(f"- **settings** {settings or 'none'}")
    found = rows[rows["attack"] == name]
    if len(found):
        row = found.iloc[0]
        where = "" if row["victim"] == rows.iloc[0]["victim"] else f" (`{_selector(row['victim'])}`)"
        told = f"success {row['attack_success_rate']:.0%} [{row['asr_low']:.0%}–{row['asr_high']:.0%}]"
        if row["mode"] == REDUCTION:
            told = f"{row['successes']} of {row['attempted']} texts reduced, {row['words_left_mean']:.1f} words left"
        lines.append(
            f"- **on mr**{where} {told}, {row['queries_mean']:.0f} queries, {row['words_changed_mean']:.1f} words changed"
        )
        if not hasattr(attack, "prepare"):  # what learns first needs a data set
            shown = dict(attack_text(SENTENCE, victim=_selector(row["victim"]), attack=name, max_queries=2000).lines)
            lines.append(f"- **example** {shown.get('after', '—')!r} ({shown['outcome']})")
    return "\n".join(lines) + "\n"


def _selector(victim: str) -> str:
    return victim.replace("_", "-")


def _settings(attack: Any) -> dict[str, Any]:
    names = [
        name
        for name in getattr(type(attack), "__dataclass_fields__", {})
        if name not in ("threat", "version", "mode", "goal")
    ]
    return {name: getattr(attack, name) for name in names}


def main(arguments: list[str]) -> None:
    if arguments[0] in ("--names", "--gradient-names"):
        print(",".join(runnable(gradient=arguments[0] == "--gradient-names")))
        return
    rows = pd.concat([pd.read_csv(Path(run) / "table.csv") for run in arguments], ignore_index=True)
    first = rows.iloc[0]
    head = HEAD.format(n=first["n"], victim=_selector(first["victim"]), budget=int(first["max_queries"]))
    sections = [section(name, attack, rows) for name, attack in native()]
    PAGE.write_text("\n".join([head, *sections]), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
