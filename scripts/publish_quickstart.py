"""Copy a finished quickstart run into results/quickstart/ and its table into the README.

Usage: publish_quickstart.py [RUN_FOLDER]. The records stay behind: they hold the data set's texts, which are not ours.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = ("run.yaml", "manifest.json", "table.csv", "table.md")
BETWEEN = re.compile(r"(<!-- table: [^>]*-->\n).*?(<!-- end -->)", re.DOTALL)


def main(run: Path) -> None:
    target = ROOT / "results" / "quickstart"
    target.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(run / name, target / name)
    readme = ROOT / "README.md"
    table = (target / "table.md").read_text("utf-8")
    readme.write_text(BETWEEN.sub(lambda found: found[1] + table + found[2], readme.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "runs" / "quickstart"))
