"""Counter-fitting (Mrkšić et al., 2016): word vectors moved so that synonyms attract and antonyms repel each other.

Differs from the paper: full-batch gradient steps on the unit sphere (one sparse product a step) instead of stochastic
ones over pairs, so the result depends on nothing but its input; vector-space preservation covers the nearest original
neighbours of each constrained word.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

__all__ = ["counterfit", "unit"]

Vectors = NDArray[np.float32]
Pairs = NDArray[np.int64]
"""Row numbers (pairs, 2)."""


def unit(vectors: Vectors) -> Vectors:
    """Rows scaled to length one; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = (vectors / np.where(lengths == 0, 1, lengths)).astype(np.float32)
    return scaled


def counterfit(
    vectors: Vectors,
    synonyms: Iterable[tuple[int, int]],
    antonyms: Iterable[tuple[int, int]],
    *,
    steps: int = 10,
    rate: float = 0.1,
    repel: float = 1.0,
    attract: float = 0.0,
    keep_within: float = 0.5,
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Vectors:
    """Unit vectors (n, dimensions) after `steps` steps of `rate` down the summed hinges of the paper.

    Distances are 1 - cosine: an antonym pair nearer than `repel` is pushed apart, a synonym pair farther than `attract`
    is pulled together, and two constrained words that lay within `keep_within` at first, antonyms aside, are pulled back
    to their old distance where they have moved apart. `weights` are those of antonyms, synonyms and preservation.
    """
    first = unit(vectors)
    apart, together = _pairs(antonyms), _pairs(synonyms)
    kept = _close_pairs(first, np.unique(np.concatenate([apart, together]).ravel()), 1 - keep_within)
    kept = kept[~np.isin(kept @ [len(first), 1], apart @ [len(first), 1])]  # else an antonym pair is held where it is
    bound = _cosines(first, kept)
    moved = first.copy()
    for _ in range(steps):
        near = _cosines(moved, apart) > 1 - repel
        far = _cosines(moved, together) < 1 - attract
        loose = _cosines(moved, kept) < bound
        pull = (
            _matrix(apart[near], -weights[0], len(moved))
            + _matrix(together[far], weights[1], len(moved))
            + _matrix(kept[loose], weights[2], len(moved))
        )
        toward = pull @ moved
        along = np.einsum("ij,ij->i", toward, moved)[:, np.newaxis]
        moved = unit(moved + rate * (toward - along * moved))
    return moved


def _pairs(pairs: Iterable[tuple[int, int]]) -> Pairs:
    """Each unordered pair once."""
    found = sorted({(min(a, b), max(a, b)) for a, b in pairs if a != b})
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def _cosines(vectors: Vectors, pairs: Pairs) -> Vectors:
    cosines: Vectors = np.einsum("ij,ij->i", vectors[pairs[:, 0]], vectors[pairs[:, 1]])
    return cosines


def _matrix(pairs: Pairs, weight: float, size: int) -> csr_array:
    """Symmetric: `weight` at both places of each pair."""
    rows, columns = np.concatenate([pairs, pairs[:, ::-1]]).T
    return csr_array((np.full(len(rows), weight, np.float32), (rows, columns)), shape=(size, size))


def _close_pairs(vectors: Vectors, rows: Pairs, cosine: float, most: int = 10) -> Pairs:
    """The pairs among `rows` of at least this cosine, for each row its `most` nearest at most."""
    found = [np.empty((0, 2), np.int64)]
    for start in range(0, len(rows), 1024):
        part = rows[start : start + 1024]
        cosines = vectors[part] @ vectors[rows].T
        cosines[np.arange(len(part)), np.arange(start, start + len(part))] = -1
        near = np.argpartition(-cosines, min(most, len(rows) - 1), axis=1)[:, :most]
        at, column = np.nonzero(np.take_along_axis(cosines, near, axis=1) >= cosine)
        found.append(np.stack([part[at], rows[near[at, column]]], axis=1))
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)
