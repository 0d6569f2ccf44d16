"""Builds robustbench_nlp/lexicon/{wordnet,poles}.tsv.gz from the dictionary files of WordNet 3.0.

Usage: build_wordnet.py FOLDER, where FOLDER holds data.*, index.* and *.exc for noun, verb, adj and adv: the folder
/usr/share/wordnet of Debian's package wordnet-base. The same files always give the same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

PARTS = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
OUTPUT = Path(__file__).parents[1] / "robustbench_nlp" / "lexicon"
LICENCE_LINES = 29


class Synset(NamedTuple):
    """Its lemma names in order, by number of the lemma (0-based) its antonyms as (part, offset, lemma number), and the
    offsets of the adjectives similar to it."""

    names: list[str]
    antonyms: dict[int, list[tuple[str, int, int]]]
    similar: list[int]


def content(file: Path) -> list[str]:
    return [line for line in file.read_text("latin-1").splitlines() if not line.startswith("  ")]


def read_synsets(folder: Path) -> dict[tuple[str, int], Synset]:
    synsets = {}
    for part, suffix in PARTS.items():
        for line in content(folder / f"data.{suffix}"):
            fields = line.partition(" | ")[0].split()
            count = int(fields[3], 16)
            names = [re.sub(r"\(\w+\)$", "", name) for name in fields[4 : 4 + 2 * count : 2]]
            pointers = fields[5 + 2 * count :]
            antonyms: dict[int, list[tuple[str, int, int]]] = defaultdict(list)
            similar = []
            for at in range(0, 4 * int(fields[4 + 2 * count]), 4):
                symbol, offset, to_part, ends = pointers[at : at + 4]
                if symbol == "!":
                    antonyms[int(ends[:2], 16) - 1].append(
                        (to_part.replace("s", "a"), int(offset), int(ends[2:], 16) - 1)
                    )
                elif symbol == "&":
                    similar.append(int(offset))
            synsets[part, int(fields[0])] = Synset(names, antonyms, similar)
    return synsets


def is_word(name: str) -> bool:
    """One run of letters, digits, apostrophes and hyphens, perhaps beside other marks ("St."); no phrase."""
    return "_" not in name and len(re.findall(r"[\w'-]+", name)) == 1


def poles(synsets: dict[tuple[str, int], Synset]) -> list[str]:
    """Lines `words, words`: two opposite adjectives, each with those similar to it; every word of one is a direct or
    indirect antonym of every word of the other."""
    lines = []
    for (part, offset), synset in synsets.items():
        targets = {to for found in synset.antonyms.values() for to_part, to, _ in found if to_part == "a"}
        for other in sorted(to for to in targets if part == "a" and to > offset):
            sides = []
            for head in (offset, other):
                synset_words = [synsets["a", at].names for at in (head, *synsets["a", head].similar)]
                sides.append(",".join(dict.fromkeys(n.lower() for names in synset_words for n in names if is_word(n))))
            if all(sides):
                lines.append("\t".join(sides))
    return lines


def entries(folder: Path, synsets: dict[tuple[str, int], Synset]) -> list[str]:
    """Lines `part, lemma, senses, antonyms`: senses in order of frequency, parted by ';', their single words by ','."""
    irregular_bases = {(part, base) for (part, _), bases in exceptions(folder).items() for base in bases}
    lines = []
    for part, suffix in PARTS.items():
        for line in content(folder / f"index.{suffix}"):
            fields = line.split()
            lemma = fields[0]
            if "_" in lemma and (part, lemma) not in irregular_bases:
                continue
            senses, opposites = [], []
            for offset in map(int, fields[-int(fields[2]) :]):
                synset = synsets[part, offset]
                senses.append(",".join(filter(is_word, synset.names)))
                for number, name in enumerate(synset.names):
                    if name.lower() == lemma:
                        opposites += [synsets[p, o].names[n] for p, o, n in synset.antonyms.get(number, ())]
            unique = dict.fromkeys(filter(is_word, opposites))
            lines.append("\t".join([part, lemma, ";".join(senses), ",".join(unique)]))
    return lines


def exceptions(folder: Path) -> dict[tuple[str, str], list[str]]:
    """The base forms of (part, irregular form); the last entry of a form wins."""
    bases = {}
    for part, suffix in PARTS.items():
        for line in content(folder / f"{suffix}.exc"):
            form, *base = line.split()
            if "_" not in form:
                bases[part, form] = base
    return bases


def main(folder: Path) -> None:
    digest = hashlib.sha256()
    for suffix in PARTS.values():
        for name in (f"data.{suffix}", f"index.{suffix}", f"{suffix}.exc"):
            digest.update((folder / name).read_bytes())
    head = (folder / "data.noun").read_text("latin-1").splitlines()[:LICENCE_LINES]
    licence = "\n".join(re.sub(r"^ +\d+ ?", "", line).rstrip() for line in head)
    (OUTPUT / "WORDNET_LICENSE.txt").write_text(licence + "\n", "utf-8")
    comments = [
        "# WordNet 3.0 Copyright 2006 by Princeton University. All rights reserved. Terms: WORDNET_LICENSE.txt",
        "# single words only; made by scripts/build_wordnet.py from data.*, index.*, *.exc of noun, verb, adj, adv,",
        f"# which read one after another have the sha256 {digest.hexdigest()}",
    ]
    synsets = read_synsets(folder)
    irregular = ["\t".join([part + "!", form, ",".join(base)]) for (part, form), base in exceptions(folder).items()]
    write("wordnet.tsv.gz", [*comments, *entries(folder, synsets), *irregular])
    write("poles.tsv.gz", [*comments, *poles(synsets)])


def write(name: str, lines: list[str]) -> None:
    packed = bytearray(gzip.compress(("\n".join(lines) + "\n").encode("utf-8"), 9, mtime=0))
    packed[9] = 255  # the operating system's byte: unknown
    (OUTPUT / name).write_bytes(packed)
    print(f"{name}: {len(lines)} lines, {len(packed)} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
