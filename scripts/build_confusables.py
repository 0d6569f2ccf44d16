"""Builds robustbench_nlp/lexicon/confusables.tsv from Unicode's table of confusable characters (UTS 39).

Usage: build_confusables.py FILE, where FILE is confusable_homoglyphs/confusables.json of the wheel of PyPI's package
confusable-homoglyphs 3.3.1, which holds that table in both directions. The same file always gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import sys
import unicodedata
from collections import defaultdict
from pathlib import Path

OUTPUT = Path(__file__).parents[1] / "robustbench_nlp" / "lexicon" / "confusables.tsv"
FIRST = 0x250
"""Latin letters below are those of living alphabets (é, ø, ı, þ); from here on come phonetic ones and other scripts."""


def ascii_of(source: str, target: str) -> str:
    """Unicode folds the shapes I, l and 1 into l; a capital means I."""
    return "I" if target == "l" and source.isupper() else target


def groups(table: dict[str, list[dict[str, str]]]) -> dict[str, list[str]]:
    """By ASCII letter: the foreign letters that look like it and that NFKC leaves as they are."""
    found: dict[str, set[str]] = defaultdict(set)
    for target, shapes in table.items():
        if not (target.isascii() and target.isalpha() and len(target) == 1):
            continue
        for shape in shapes:
            source = shape["c"].strip("\u200e")
            if (
                len(source) == 1
                and ord(source) >= FIRST
                and unicodedata.category(source) in ("Lu", "Ll", "Lo")
                and unicodedata.normalize("NFKC", source) == source
            ):
                found[ascii_of(source, target)].add(source)
    return {target: sorted(sources) for target, sources in sorted(found.items())}


def main(file: Path) -> None:
    content = file.read_bytes()
    lines = [
        "# From Unicode's confusables (UTS 39). Copyright 1991-2022 Unicode, Inc. Terms: UNICODE_LICENSE.txt",
        "# changed: only single letters that look like one ASCII letter; made by scripts/build_confusables.py",
        f"# from confusables.json of the sha256 {hashlib.sha256(content).hexdigest()}",
    ]
    lines += [f"{target}\t{''.join(sources)}" for target, sources in groups(json.loads(content)).items()]
    OUTPUT.write_text("\n".join(lines) + "\n", "utf-8")
    print(f"{len(lines) - 3} groups, {OUTPUT.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
