"""The files that a leaderboard's folder is shown as: a page, a table for programs, a table to read, and model cards' data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from robustbench_nlp.errors import unknown
from robustbench_nlp.leaderboard.board import Ranking, explained, frame, rankings
from robustbench_nlp.leaderboard.entry import Entry
from robustbench_nlp.leaderboard.shown import markdown
from robustbench_nlp.leaderboard.site import site
from robustbench_nlp.records import write_whole
from robustbench_nlp.report.model_index import model_index
from robustbench_nlp.report.table import WORST_CASE, table

__all__ = ["DEFAULTS", "FORMATS", "board_written"]

Found = Sequence[Ranking]
FORMATS: dict[str, tuple[str, Callable[[Found, Path], str]]] = {
    "html": ("index.html", site),
    "csv": ("leaderboard.csv", lambda found, folder: frame(found, folder).to_csv(index=False, lineterminator="\n")),
    "md": ("README.md", markdown),
    "model-index": ("model-index.yaml", lambda found, folder: _model_index(found)),
}
"""By name, the file's name and what makes it."""
DEFAULTS = ("html", "csv", "md")


def board_written(folder: Path, formats: Sequence[str] = DEFAULTS, output: Path | None = None) -> list[Path]:
    """Write a leaderboard's files, into its own folder, or into another with the entries beside them; their paths.

    Raises `UsageError` for an unknown format and what `rankings` refuses.
    """
    for name in formats:
        if name not in FORMATS:
            raise unknown("format of a leaderboard", name, FORMATS)
    found = rankings(folder)
    made = {FORMATS[name][0]: FORMATS[name][1](found, folder) for name in formats}
    target = output or folder
    target.mkdir(parents=True, exist_ok=True)
    if target.resolve() != folder.resolve():
        for line in (line for ranking in found for line in ranking.lines):
            for path in (line.path, line.path.with_name(line.entry.texts["file"])):
                (to := target / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
                write_whole(to, path.read_bytes())
    for name, content in made.items():
        write_whole(target / name, content)
    return [target / name for name in made]


def _model_index(found: Found) -> str:
    """Every entry's clean accuracy and worst case, a model a defended victim; the first link is its source."""
    lines = [line for ranking in found for line in ranking.lines]
    links = {(e.victim["name"], e.defense["name"]): e.links[0] for e in (line.entry for line in lines) if e.links}
    return model_index(table([_row(line.entry) for line in lines]), links)


def _row(entry: Entry) -> dict[str, Any]:
    return {
        **entry.measured,
        "task": entry.task,
        "dataset": entry.dataset["name"],
        "split": entry.dataset["split"],
        "victim": entry.victim["name"],
        "defense": entry.defense["name"],
        "attack": f"{WORST_CASE}{entry.ensemble['name']}",
        "mode": entry.mode,
        "threat": "+".join(dict.fromkeys(str(member["threat"]) for member in entry.members)),
        "seed": entry.benchmark["seed"],
        "note": "",
        "flags": explained(entry.flags),
    }
