"""Clusters of words that one typo can't tell apart, and the code of every string: robust encodings (Jones et al., 2020).

A typo is one internal edit (`edits.characters.internal_edits`: a swap, drop, insertion or neighbouring key that leaves the
first and last letter alone).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache

from robustbench_nlp.edits.characters import internal_edits

__all__ = ["OTHER", "TypoClusters"]

OTHER = "something"
"""The code of words that no cluster knows."""
CACHE = 100_000


class TypoClusters:
    """Codes words (`text.words_of`): a known word by the head of its cluster, another one by that of the most frequent known word within one
    typo of it, else `OTHER`; the code of a cluster is its most frequent word.

    Words join in the order of their frequency: each joins the cluster of the most frequent head that shares a typo with it
    (stability: both words, mistyped, keep one code), and heads one otherwise (fidelity: clusters don't chain).
    """

    def __init__(self, counts: Mapping[str, int], size: int) -> None:
        self.heads: dict[str, str] = {}
        self._reached: dict[str, str] = {}
        for word, _ in Counter(counts).most_common(size):
            near = [word, *typos(word)]
            head = next((self._reached[other] for other in near if other in self._reached), word)
            self.heads[word] = head
            for other in near:
                self._reached.setdefault(other, head)

    def code(self, word: str) -> str:
        """The code of a lower-case word; one without letters is its own."""
        if not any(map(str.isalpha, word)):
            return word
        return self.heads.get(word) or self._reached.get(word) or OTHER

    def codes(self, word: str) -> frozenset[str]:
        """The codes of a word and of all its typos: what an attacker with one typo can choose from."""
        return frozenset(map(self.code, [word, *typos(word)]))


@lru_cache(CACHE)
def typos(word: str) -> tuple[str, ...]:
    """Every internal edit of a word of four characters or more, in lower case, that leaves one word; none for shorter ones (Pruthi et al., 2019)."""
    return tuple(internal_edits(word)) if len(word) >= 4 else ()
