"""A run in which texts, victim and warnings are hostile, with its web page, for the tests of what a reader sees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from robustbench_nlp.api import evaluate
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.recorded import Cell
from robustbench_nlp.report.files import written
from robustbench_nlp.report.table import row
from robustbench_nlp.report.table import table as frame_of

HOSTILE = (
    "<script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 2'>",
    "</script><script>window.hacked = 3</script><!-- <script>",
    "\"'><svg/onload=window.hacked=4> \u2028 \u202egood\u202c \x00 \ud800",
)
WORDS = ("a good and great but dull film", "a fine film", "the cast is awful , the plot bad")
PAIRS = [(f"{words} {HOSTILE[i % 4]} number {i}", int(words != WORDS[2])) for i in range(8) for words in WORDS]
ATTACKS = [
    "noise(severity=1):keyboard",
    "noise(severity=5):keyboard",
    "deepwordbug",
    "bad_characters:invisible",
    "worst_case",
]


def made(folder: Path) -> Path:
    """Run it into the folder."""
    evaluate(
        victim=KeywordVictim(name="<b onclick=alert(1)>victim & co</b>"),
        dataset=PAIRS,
        attacks=ATTACKS,
        defenses=["none", "unicode_normalize"],
        similarity="none",
        output=folder,
    )
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    (folder / "manifest.json").write_text(json.dumps(manifest | {"warnings": ["saturated: <i>half</i>"]}), "utf-8")
    written(folder, ["html"])
    return folder


def of(cells: list[Cell]) -> Any:
    return frame_of([row(cell.header, list(cell.records.values())) for cell in cells])
