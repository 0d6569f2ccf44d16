"""Near-duplicate texts, exactly: every pair whose sets of word shingles have a Jaccard similarity over a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from robustbench_nlp.text import words_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["near_pairs", "normalise"]

CHUNK = 20_000
"""How many candidate pairs are compared at once: bounds the memory."""

ROUNDING = 1e-9
"""Keeps 0.7 * 10 from being more than 7."""


def normalise(text: str) -> str:
    """The words alone, case folded; a text without words stands for itself."""
    return " ".join(words_of(text.casefold())) or text


def near_pairs(texts: Sequence[str], threshold: float = 0.6, shingle: int = 3) -> NDArray[np.int64]:
    """All pairs (i < j) of texts, shape (pairs, 2), whose shingles of `shingle` words have a Jaccard >= `threshold`.

    One changed word in twenty leaves 0.71 of the three-word shingles shared. Two sets can only be that similar if they
    share one of the rarest `|A| - ceil(threshold * |A|) + 1` shingles of each (prefix filtering, Chaudhuri et al., 2006),
    so one sparse product over those few finds every candidate and only candidates are compared in full.
    """
    import numpy as np
    from scipy import sparse

    if len(texts) < 2:
        return np.empty((0, 2), dtype=np.int64)
    shingles = _shingle_matrix(texts, shingle)
    sizes = np.diff(shingles.indptr)
    rare = _rare_part(shingles, threshold)
    candidates = sparse.triu(rare @ rare.T, k=1).tocoo()
    found = []
    for start in range(0, candidates.nnz, CHUNK):
        i, j = candidates.row[start : start + CHUNK], candidates.col[start : start + CHUNK]
        shared = shingles[i].multiply(shingles[j]).sum(axis=1)
        near = shared >= threshold * (sizes[i] + sizes[j] - shared) - ROUNDING
        found.append(np.stack([i[near], j[near]], axis=1))
    pairs: NDArray[np.int64] = np.concatenate(found or [np.empty((0, 2))]).astype(np.int64)
    return pairs


def _shingle_matrix(texts: Sequence[str], shingle: int) -> Any:
    """The sparse 0/1 matrix (texts, distinct shingles); a text shorter than a shingle is padded to one."""
    import numpy as np
    from scipy import sparse

    numbers: dict[str, int] = {"": 0}
    documents = [
        [numbers.setdefault(word, len(numbers)) for word in words_of(text.casefold())] or [0] for text in texts
    ]
    for words in documents:
        words.extend(repeat(0, shingle - len(words)))
    flat = np.fromiter(chain.from_iterable(documents), dtype=np.int64)
    row = np.repeat(np.arange(len(texts)), [len(words) for words in documents])
    last = len(flat) - shingle + 1
    codes = np.zeros(last, dtype=np.int64)
    for offset in range(shingle):
        codes = codes * len(numbers) + flat[offset : offset + last]
        if offset < shingle - 1:  # numbered again, so that the next product stays far below 2**63
            codes = np.unique(codes, return_inverse=True)[1]
    inside = row[:last] == row[shingle - 1 :]
    columns = np.unique(codes[inside], return_inverse=True)[1]
    matrix = sparse.csr_array((np.ones(len(columns), dtype=np.int32), (row[:last][inside], columns)))
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def _rare_part(shingles: Any, threshold: float) -> Any:
    """Each text's rarest shingles, as many as prefix filtering needs, without those that no other text has."""
    import numpy as np
    from scipy import sparse

    sizes, frequency = np.diff(shingles.indptr), np.asarray(shingles.sum(axis=0))
    row, column = shingles.tocoo().coords
    order = np.lexsort((column, frequency[column], row))
    row, column = row[order], column[order]
    rank = np.arange(len(row)) - np.repeat(shingles.indptr[:-1], sizes)
    kept = (rank <= sizes[row] - np.ceil(threshold * sizes[row] - ROUNDING)) & (frequency[column] > 1)
    ones = np.ones(np.count_nonzero(kept), dtype=np.int32)
    return sparse.csr_array((ones, (row[kept], column[kept])), shape=shingles.shape)
