"""Builds robustbench_nlp/lexicon/glyphs.tsv, Chinese characters that look alike, from Unicode's Unihan database.

Usage: build_glyphs.py FOLDER, where FOLDER is usr/share/unicode of Debian's package unicode-data 15.0.0-1, which holds the
database's files as they were published (Unihan_*.txt.bz2). The same files always give the same bytes.

Unihan says nothing of components, but two of its fields encode shapes: the Cangjie code spells a character's parts in
writing order, the four-corner code tells the strokes at its corners. Two characters are taken to look alike when Unicode
calls them spoofing variants, when they have the same four corners and at most one stroke more or less, or when the Cangjie
codes differ by one letter and no more than two corners and two strokes do. Only the 6,500 characters of the first two levels of the
table of general standard characters (kTGH) count, so that no candidate is a character that readers don't know; those without look-alikes are listed too.
"""

from __future__ import annotations

import bz2
import hashlib
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rapidfuzz.distance import Levenshtein

OUTPUT = Path(__file__).parents[1] / "robustbench_nlp" / "lexicon" / "glyphs.tsv"
FILES = ("DictionaryLikeData", "IRGSources", "OtherMappings", "Variants")
COMMON = 6_500
"""The characters of levels 1 and 2 come first in kTGH."""
KEPT = 8


class Shape(NamedTuple):
    """A character's codes; '' and 0 where the database has none."""

    character: str
    cangjie: str
    corners: str
    strokes: int
    spoofs: str


def fields(contents: list[bytes]) -> dict[str, dict[str, str]]:
    """By character, then by field: the value as it is written."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for content in contents:
        for line in bz2.decompress(content).decode("utf-8").splitlines():
            if line.startswith("U+"):
                code, field, value = line.split("\t")
                found[chr(int(code[2:], 16))][field] = value
    return found


def shapes(table: dict[str, dict[str, str]]) -> Iterator[Shape]:
    """The common characters, in code-point order."""
    for character, known in sorted(table.items()):
        if "kTGH" in known and int(known["kTGH"].split(":")[1]) <= COMMON:
            spoofs = "".join(chr(int(code.split("<")[0][2:], 16)) for code in known.get("kSpoofingVariant", "").split())
            corners = known.get("kFourCornerCode", "").split(" ")[0][:4]
            yield Shape(
                character, known.get("kCangjie", ""), corners, int(known["kTotalStrokes"].split(" ")[0]), spoofs
            )


def distance(one: Shape, other: Shape) -> float | None:
    """How unlike two characters look; None: too much."""
    if abs(one.strokes - other.strokes) > 2 and other.character not in one.spoofs:
        return None
    cangjie = Levenshtein.distance(one.cangjie, other.cangjie)
    known = one.corners and other.corners
    corners = sum(a != b for a, b in zip(one.corners, other.corners, strict=True)) if known else 2
    strokes = abs(one.strokes - other.strokes)
    near = cangjie <= 1 < min(len(one.cangjie), len(other.cangjie)) and corners <= 2
    if other.character in one.spoofs or near or (known and corners == 0 and strokes <= 1):
        return cangjie + corners / 2 + strokes / 2 - (other.character in one.spoofs)
    return None


def main(folder: Path) -> None:
    contents = [(folder / f"Unihan_{name}.txt.bz2").read_bytes() for name in FILES]
    common = list(shapes(fields(contents)))
    lines = [
        "# From Unicode's Unihan database (UAX 38). Copyright 1991-2022 Unicode, Inc. Terms: UNICODE_LICENSE.txt",
        "# changed: characters whose Cangjie and four-corner codes are near; made by scripts/build_glyphs.py",
        f"# from Unihan_*.txt.bz2 of the sha256 {hashlib.sha256(b''.join(contents)).hexdigest()} (one after another)",
    ]
    for one in common:
        ranked = [
            (far, other.character) for other in common if other != one and (far := distance(one, other)) is not None
        ]
        lines.append(f"{one.character}\t{''.join(character for _, character in sorted(ranked)[:KEPT])}")
    OUTPUT.write_text("\n".join(lines) + "\n", "utf-8")
    alone = sum(line.endswith("\t") for line in lines)
    print(f"{len(common)} characters, {alone} of them alone, {OUTPUT.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
