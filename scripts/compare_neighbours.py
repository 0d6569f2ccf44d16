"""Compares the ways of build_neighbours.py on tests/data/judged_pairs.tsv, judged by hand; none of them reads it.

The way that ships, and the steps of counter-fitting, were chosen by these figures: they flatter it a little.

Usage: compare_neighbours.py. Some minutes, after the word vectors have been built. Each pair is looked up both ways. Below
all pairs stand those that WordNet's relations in the build don't hold: neither first-sense synonyms nor opposites, the part
of the list that shows what a way does beyond them. AUC: how often a judged synonym has the higher cosine, of all synonym
and antonym pairs; a neighbour that a way leaves out of its table has the cosine 0 there, whatever the vectors say.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from build_neighbours import WAYS, Relations, encoded, vocabulary

from robustbench_nlp.lexicon.neighbours import KEPT, Neighbours

PAIRS = Path(__file__).parents[1] / "tests" / "data" / "judged_pairs.tsv"


class Figures(NamedTuple):
    """Shares in [0, 1]; the mean rank of a synonym counts one outside the table as KEPT + 1."""

    synonyms: float
    antonyms: float
    rank: float
    auc: float


def judged() -> list[tuple[str, str, str]]:
    lines = PAIRS.read_text("utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return [
        (word, other, verdict)
        for row in rows
        for word, other in ((row[0], row[1]), (row[1], row[0]))
        for verdict in row[2:]
    ]


def figures(table: Neighbours, pairs: list[tuple[str, str, str]]) -> Figures:
    places = {word: row for row, word in enumerate(table.words)}
    found: dict[str, list[tuple[int, float]]] = {"synonym": [], "antonym": []}
    for word, other, verdict in pairs:
        if verdict in found and word in places and other in places:
            row = places[word]
            at = np.flatnonzero(table.rows[row] == places[other])
            found[verdict].append((int(at[0]) + 1, float(table.cosines[row, at[0]])) if len(at) else (KEPT + 1, 0.0))
    synonyms, antonyms = (np.array(found[verdict]) for verdict in ("synonym", "antonym"))
    higher = synonyms[:, 1, np.newaxis] - antonyms[np.newaxis, :, 1]
    return Figures(
        synonyms=float((synonyms[:, 0] <= KEPT).mean()),
        antonyms=float((antonyms[:, 0] <= KEPT).mean()),
        rank=float(synonyms[:, 0].mean()),
        auc=float((higher > 0).mean() + (higher == 0).mean() / 2),
    )


def unlisted(words: list[str], pairs: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """The pairs that no relation of the build holds."""
    relations, places = Relations(words), {word: row for row, word in enumerate(words)}
    synonyms = set(relations.synonyms())
    found = []
    for word, other, verdict in pairs:
        rows = places.get(word), places.get(other)
        if None not in rows and rows not in synonyms and rows[::-1] not in synonyms and not relations.opposite(*rows):
            found.append((word, other, verdict))
    return found


def main() -> None:
    words, pairs = vocabulary(), judged()
    vectors, beyond = encoded(words), unlisted(words, pairs)
    print("way        pairs    synonyms antonyms  rank   AUC  seconds")
    for name, way in WAYS.items():
        start = time.perf_counter()
        table = way(words, vectors)
        took = time.perf_counter() - start
        for kind, part in (("all", pairs), ("unlisted", beyond)):
            f = figures(table, part)
            print(
                f"{name:10} {kind:8} {f.synonyms:8.1%} {f.antonyms:8.1%} {f.rank:5.1f} {f.auc:5.3f} {took:8.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
