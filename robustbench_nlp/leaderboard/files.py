"""The files that a leaderboard's folder is shown as: a page, a table for programs, a table to read, and model cards' data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from robustbench_nlp.errors import unknown
from robustbench_nlp.leaderboard.board import Ranking, frame, rankings
from robustbench_nlp.leaderboard.entry import read_entry
from robustbench_nlp.leaderboard.shown import markdown
from robustbench_nlp.leaderboard.site import site
from robustbench_nlp.records import write_whole

__all__ = ["DEFAULTS", "FORMATS", "board_written"]

Found = Sequence[Ranking]
FORMATS: dict[str, tuple[str, Callable[[Found, Path], str]]] = {
    "html": ("index.html", site),
    "csv": ("leaderboard.csv", lambda found, folder: frame(found, folder).to_csv(index=False, lineterminator="\n")),
    "md": ("README.md", markdown),
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
        for path in (line.path for ranking in found for line in ranking.lines):
            _copy(path, target / path.relative_to(folder))
    for name, content in made.items():
        write_whole(target / name, content)
    return [target / name for name in made]


def _copy(entry: Path, to: Path) -> None:
    """An entry and its texts."""
    to.parent.mkdir(parents=True, exist_ok=True)
    for path in (entry, entry.with_name(read_entry(entry).texts["file"])):
        write_whole(to.with_name(path.name), path.read_bytes())
