"""Writes docs/attacks.md from the attacks' own docstrings, a run over all of them, and one sentence that each attacks.

    robustbench-nlp run --dataset mr --victim tfidf-mr --similarity none --limit 50 --max-queries 2000 --output RUN --attacks ALL
    python scripts/build_attack_docs.py RUN

where ALL is what `python scripts/build_attack_docs.py --names` prints.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from robustbench_nlp.attack import Attack
from robustbench_nlp.errors import UsageError
from robustbench_nlp.plugins import create, factory, plugin_names
from robustbench_nlp.report.table import REDUCTION
from robustbench_nlp.trial import attack_text

PAGE = Path(__file__).parent.parent / "docs" / "attacks.md"
SENTENCE = "A fine cast and a clever story make this film a great pleasure from start to finish."
HEAD = """# Attacks

What each attack does, from its own docstring; its default threat; what it reaches on {n} test sentences of `mr` against
`{victim}` with at most {budget} queries each (success among those attempted); and what it makes of one sentence. Made by
`scripts/build_attack_docs.py`, whose docstring has the commands. Attacks that need gradients run on `hf:` victims and `cnn-mr`.
"""


def native() -> Iterator[tuple[str, Attack]]:
    """Every attack that can be made without an argument and drives no other library."""
    for name in plugin_names("attack"):
        if getattr(factory("attack", name), "one_at_a_time", False):
            continue
        try:
            yield name, create("attack", name)
        except UsageError:
            continue


def section(name: str, attack: Attack, rows: pd.DataFrame, victim: str) -> str:
    module = inspect.getmodule(type(attack))
    title, _, rest = (inspect.getdoc(module) or "").partition("\n")
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
    lines = [f"## `{name}`", "", title, *([rest.strip()] if rest.strip() else []), ""]
    lines.append(
        f"- **threat** `{threat}`: {threat.knowledge}, {threat.unit}"
        + (f"; {', '.join(f'{key} {value}' for key, value in limits.items())}" if limits else "; no further limit")
    )
    settings = ", ".join(f"`{key}={value!r}`" for key, value in _settings(attack).items())
    lines.append(f"- **settings** {settings or 'none'}")
    found = rows[rows["attack"] == name]
    if len(found):
        row = found.iloc[0]
        told = f"success {row['attack_success_rate']:.0%} [{row['asr_low']:.0%}–{row['asr_high']:.0%}]"
        if row["mode"] == REDUCTION:
            told = f"{row['successes']} of {row['attempted']} texts reduced, {row['words_left_mean']:.1f} words left"
        lines.append(
            f"- **on mr** {told}, {row['queries_mean']:.0f} queries, {row['words_changed_mean']:.1f} words changed"
        )
        shown = dict(attack_text(SENTENCE, victim=victim, attack=name, max_queries=2000).lines)
        lines.append(f"- **example** {shown.get('after', '—')!r} ({shown['outcome']})")
    return "\n".join(lines) + "\n"


def _settings(attack: Any) -> dict[str, Any]:
    names = [
        name
        for name in getattr(type(attack), "__dataclass_fields__", {})
        if name not in ("threat", "version", "mode", "goal")
    ]
    return {name: getattr(attack, name) for name in names}


def main(argument: str) -> None:
    if argument == "--names":
        print(",".join(name for name, attack in native() if attack.threat.knowledge != "gradient"))
        return
    rows = pd.read_csv(Path(argument) / "table.csv")
    first = rows.iloc[0]
    head = HEAD.format(n=first["n"], victim=first["victim"], budget=int(first["max_queries"]))
    sections = [section(name, attack, rows, first["victim"].replace("_", "-")) for name, attack in native()]
    PAGE.write_text("\n".join([head, *sections]), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
