"""The nearest words of a word in a space of word vectors: a table that comes with the package, or a file of the user's.

The table holds 32,000 words; `scripts/build_neighbours.py` makes it from the embedded encoder in the way `WAY`, and it is
read at the first look-up (0.4 s). Of five ways it is the best on pairs judged by hand (`scripts/compare_neighbours.py`
prints these figures): share of the judged synonyms and antonyms in the top 50, mean rank of a synonym (51: not there), and
how often a synonym has the higher cosine. In brackets, the pairs that WordNet's relations in the build don't hold: beyond
those the vectors are all that a way has, so plain ones have fewer antonyms there than after filtering, which makes room.

    way          synonyms        antonyms        mean rank     AUC
    plain        64.8 (64.6) %   41.1 (20.2) %   25.1 (25.7)   0.645 (0.742)   the encoder's cosines
    filtered     69.8 (71.2) %    7.5 (26.2) %   21.1 (21.3)   0.822 (0.756)   without opposites, other inflections
    counterfit   65.1 (47.8) %    4.8 ( 8.3) %   23.6 (33.2)   0.813 (0.705)   counter-fitted to first senses
    both         69.2 (53.5) %    2.4 ( 8.3) %   21.1 (29.9)   0.839 (0.734)   counter-fitted, then filtered
    mean         78.2 (69.9) %    4.5 (15.5) %   16.6 (21.4)   0.875 (0.783)   mean of both cosines, then filtered

344 and 292 look-ups (226 and 84). Opposites that WordNet doesn't list may stay: exciting is a neighbour of boring.
In TextFooler's successes a reader found the label kept most often with it too, but no way's share can be told from another's
(`results/label-kept`).
Thresholds made for other vectors mean something else here: of the content words in MR, 87 % have a neighbour of at least
0.5 (38 on average), 78 % of 0.65 (8), 29 % of 0.8 (one in two).
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp.errors import UsageError
from robustbench_nlp.lexicon.case import in_case_of
from robustbench_nlp.text import is_word

__all__ = ["KEPT", "WAY", "Neighbours", "from_vectors", "near_words", "neighbours", "pack", "unpack"]

Found = tuple[tuple[str, float], ...]
Lookup = Callable[..., Found]
"""`(word, k=50)` to (word, cosine), best first."""

KEPT = 50
WAY = "mean"
TABLE = "neighbours.gz"
SHA256 = "4cc7a267a1553115102ce30d1dac1ec04bcb7fc6391bb287f6bee94b321d4136"
MAGIC = b"\x1f\x8b"
"""A packed file begins so."""
STEPS = 250
"""Cosines are stored in steps of 1 / STEPS."""


class Neighbours(NamedTuple):
    """The words, and each one's neighbours, best first: row numbers and cosines, (words, KEPT); -1 fills up."""

    words: list[str]
    rows: NDArray[np.int32]
    cosines: NDArray[np.float32]


def neighbours(word: str, k: int = KEPT) -> Found:
    """Up to `k` (at most 50) neighbours and their cosines, best first, in the case of the word; none of an unknown word."""
    return _table()(word, k)


@cache
def _table() -> Lookup:
    """The shipped table's."""
    packed = files("robustbench_nlp.lexicon").joinpath(TABLE).read_bytes()
    found = hashlib.sha256(packed).hexdigest()
    if found != SHA256:
        raise UsageError(
            f"{TABLE} is not the known table (sha256 {found[:16]}, expected {SHA256[:16]}); reinstall robustbench-nlp"
        )
    return _look_up(unpack(packed))


def _look_up(table: Neighbours) -> Lookup:
    places = {word: row for row, word in enumerate(table.words)}

    def look_up(word: str, k: int = KEPT) -> Found:
        row = places.get(word.lower())
        if row is None:
            return ()
        return tuple(
            (in_case_of(table.words[other], word), float(cosine))
            for other, cosine in zip(table.rows[row, :k].tolist(), table.cosines[row, :k].tolist(), strict=True)
            if other >= 0
        )

    return look_up


@cache
def near_words(word: str, k: int, min_cosine: float, vectors: str = "") -> tuple[str, ...]:
    """The neighbours of at least `min_cosine` that are another single word by the rule of `Text`, best first; `vectors`
    is the path of a file of the user's (`from_vectors`), "" the table."""
    look_up = from_vectors(vectors) if vectors else neighbours
    return tuple(
        other for other, cosine in look_up(word, k) if cosine >= min_cosine and other != word and is_word(other)
    )


@cache
def from_vectors(path: str | Path) -> Lookup:
    """A look-up like `neighbours` over a file of word vectors, read once: a word and its numbers a line, parted by spaces
    (GloVe's text form), perhaps under a line of two counts (word2vec's). Of a word in several cases the first counts. A
    table of neighbours that `pack` made (`scripts/build_neighbours.py` writes one) will do as well, up to KEPT a word.

    Raises `UsageError` for a file that is missing or none of these.
    """
    if (table := _packed(Path(path))) is not None:
        return _look_up(table)
    words, vectors = _read(Path(path))
    places = {word: row for row, word in reversed(list(enumerate(words)))}

    @cache
    def nearest(row: int, k: int) -> tuple[tuple[str, float], ...]:
        cosines = vectors @ vectors[row]
        cosines[row] = -2
        top = np.argpartition(-cosines, min(k, len(words) - 1))[:k]
        order = top[np.lexsort((top, -cosines[top]))]
        return tuple((words[i], round(float(cosines[i]), 5)) for i in order if i != row)

    def look_up(word: str, k: int = KEPT) -> Found:
        row = places.get(word.lower())
        return () if row is None else tuple((in_case_of(other, word), cosine) for other, cosine in nearest(row, k))

    return look_up


def _packed(path: Path) -> Neighbours | None:
    """The table in a file, or None for a file in another form; what can't be opened is `_read`'s to tell."""
    try:
        with path.open("rb") as file:
            packed = file.read() if file.read(2) == MAGIC else b""
    except OSError:
        return None
    if not packed:
        return None
    try:
        return unpack(MAGIC + packed)
    except (EOFError, IndexError, KeyError, OSError, TypeError, ValueError, zlib.error):
        raise UsageError(f"{path} is no table of neighbours; give vectors in text form, unpacked") from None


def _read(path: Path) -> tuple[list[str], NDArray[np.float32]]:
    """Lower-cased words, each once, and their vectors scaled to length one."""
    rows: dict[str, NDArray[np.float32]] = {}
    width = 0
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as lines:
            for number, line in enumerate(lines, 1):
                word, *numbers = line.rstrip().split(" ")
                if number == 1 and len(numbers) == 1 and word.isdecimal():
                    continue
                width = width or len(numbers)
                if len(numbers) > width:
                    word, numbers = " ".join([word, *numbers[:-width]]), numbers[-width:]
                if len(numbers) < width or not width:
                    raise UsageError(
                        f"{path}, line {number}: {len(numbers)} numbers instead of {width}; give a word and its vector a line"
                    )
                if word.lower() not in rows:
                    rows[word.lower()] = np.array(numbers, np.float32)
    except OSError as problem:
        raise UsageError(
            f"cannot read the word vectors {path}: {problem.strerror}; give a file in text form"
        ) from problem
    except ValueError:
        raise UsageError(
            f"{path}, line {number}: not a word and numbers; give vectors in text form, not binary"
        ) from None
    if len(rows) < 2:
        raise UsageError(f"{path} holds {len(rows)} word vectors; give a word and its vector a line")
    vectors = np.stack(list(rows.values()))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return list(rows), (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def pack(table: Neighbours, **about: object) -> bytes:
    """The table as a file; the same table gives the same bytes. Cosines are rounded to 1 / STEPS, and negative ones to 0.

    A pair of words is stored once: `unpack` gives each word the nearest of its pairs.
    """
    used = table.rows >= 0
    mine = np.repeat(np.arange(len(table.words)), used.sum(axis=1))
    pairs = np.stack([mine, table.rows[used]], axis=1)
    pairs.sort(axis=1)
    keys, first = np.unique(pairs[:, 0].astype(np.int64) * len(table.words) + pairs[:, 1], return_index=True)
    steps = np.round(np.clip(table.cosines[used][first], 0, 1) * STEPS).astype(np.uint8)
    left, right = keys // len(table.words), keys % len(table.words)
    counts = np.bincount(left, minlength=len(table.words)).astype("<u2")
    gaps = np.diff(right, prepend=0)
    starts = np.diff(left, prepend=-1) != 0
    gaps[starts] = right[starts] - left[starts]
    halves = gaps.astype("<u2").view(np.uint8).reshape(-1, 2)
    words = "\n".join(table.words).encode("ascii")
    head = (
        json.dumps({"pairs": len(keys), "words": len(table.words), "text": len(words), **about}).encode("ascii") + b"\n"
    )
    body = head + words + counts.tobytes() + halves.T.tobytes() + steps.tobytes()
    packed = bytearray(gzip.compress(body, 9, mtime=0))
    packed[9] = 255  # the operating system's byte: unknown
    return bytes(packed)


def unpack(packed: bytes) -> Neighbours:
    """The table of a file that `pack` made."""
    body = gzip.decompress(packed)
    head = json.loads(body[: body.index(b"\n")])
    size, pairs, at = head["words"], head["pairs"], body.index(b"\n") + 1
    words = body[at : at + head["text"]].decode("ascii").split("\n")
    at += head["text"]
    counts = np.frombuffer(body, "<u2", size, at).astype(np.int64)
    halves = np.frombuffer(body, np.uint8, 2 * pairs, at + 2 * size).reshape(2, pairs).astype(np.int64)
    steps = np.frombuffer(body, np.uint8, pairs, at + 2 * size + 2 * pairs).astype(np.int64)
    left = np.repeat(np.arange(size), counts)
    total = np.cumsum(halves[0] + 256 * halves[1])
    before = np.concatenate([[0], total])[np.cumsum(counts) - counts]
    right = left + total - np.repeat(before, counts)
    return _nearest_of(words, np.concatenate([left, right]), np.concatenate([right, left]), np.tile(steps, 2))


def _nearest_of(
    words: list[str], mine: NDArray[np.int64], others: NDArray[np.int64], steps: NDArray[np.int64]
) -> Neighbours:
    """Each word's KEPT nearest of its pairs; equal cosines in the order of the words."""
    keys = np.sort(mine << 32 | 255 - steps << 24 | others)  # one sort of numbers: a fifth of the time of three keys'
    mine, steps, others = keys >> 32, 255 - (keys >> 24 & 255), keys & 0xFFFFFF
    counts = np.bincount(mine, minlength=len(words))
    rank = np.arange(len(mine)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = rank < KEPT
    rows = np.full((len(words), KEPT), -1, np.int32)
    cosines = np.zeros((len(words), KEPT), np.float32)
    rows[mine[kept], rank[kept]] = others[kept]
    cosines[mine[kept], rank[kept]] = steps[kept] / STEPS
    return Neighbours(words, rows, cosines)
