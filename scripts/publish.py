"""Copy a finished run into results/NAME/, and the quickstart's table into the README too.

Usage: publish.py NAME [RUN_FOLDER], the folder runs/NAME if none is given. The records stay behind: they hold the data set's
texts, which are not ours.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = ("run.yaml", "manifest.json", "table.csv", "table.md")
BETWEEN = re.compile(r"(<!-- table: [^>]*-->\n).*?(<!-- end -->)", re.DOTALL)


def main(name: str, folder: str | None = None) -> None:
    run, target = Path(folder or ROOT / "runs" / name), ROOT / "results" / name
    target.mkdir(parents=True, exist_ok=True)
    for file in FILES:
        shutil.copyfile(run / file, target / file)
    if name == "quickstart":
        readme = ROOT / "README.md"
        table = (target / "table.md").read_text("utf-8")
        readme.write_text(BETWEEN.sub(lambda found: found[1] + table + found[2], readme.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
