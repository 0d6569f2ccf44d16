"""Real, tiny runs over a published ensemble, by selectors that anybody can give."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from robustbench_nlp.api import evaluate
from robustbench_nlp.leaderboard.texts import compressed, digest, uncompressed

VICTIM = """
from robustbench_nlp.fakes import KeywordVictim
victim = KeywordVictim()
other = KeywordVictim(keywords=(("bad", "awful", "film"), ("good", "great", "fine")))
weak = KeywordVictim(keywords=(("bad",), ("good",)))
drawn = KeywordVictim(random=True)
"""
GOOD = (
    "a good film with a great but dull cast",
    "a fine story",
    "great fun, good acting and a bad end",
    "fine {}, not dull",
)
BAD = (
    "a bad film with a dull but good cast",
    "an awful story",
    "bad jokes, awful acting and a fine end",
    "dull {}, not great",
)
RUN = {"victim": "python:boardvictims:victim", "attacks": "worst-case:fast-1", "similarity": "none"}


def workplace(folder: Path, n: int = 24) -> None:
    """`boardvictims.py` and `rows.csv` for runs in this folder; each text is there once."""
    (folder / "boardvictims.py").write_text(VICTIM, "utf-8")
    texts = [
        (form.format(i) + f" in part {i}", label)
        for i in range(n // 8)
        for label, forms in enumerate((BAD, GOOD))
        for form in forms
    ]
    lines = [f'"{text}",{("negative", "positive")[label]}' for text, label in texts]
    (folder / "rows.csv").write_text("\n".join(["text,label", *lines]) + "\n", "utf-8")


def made(folder: Path, **settings: Any) -> Path:
    """A run folder."""
    return evaluate(**{**RUN, "dataset": "csv:rows.csv", "output": folder, **settings}).folder


def rewrite(entry: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change an entry's JSON."""
    content = json.loads(entry.read_text("utf-8"))
    change(content)
    entry.write_text(json.dumps(content), "utf-8")


def rewrite_texts(entry: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Change the lines of an entry's texts, with a sound digest."""
    path = entry.with_suffix(".jsonl.gz")
    lines = [json.loads(line) for line in uncompressed(path).splitlines()]
    change(lines)
    content = "".join(json.dumps(line) + "\n" for line in lines).encode("ascii")
    path.write_bytes(compressed(content))
    rewrite(entry, lambda told: told["texts"].update(sha256=digest(content), lines=len(lines)))
