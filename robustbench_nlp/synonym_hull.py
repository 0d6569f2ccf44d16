"""Mixtures of a token's embedding with those of its synonyms: the convex hull that some defenses train against.

Only words that the tokenizer reads as one token have synonyms here, and only such words are synonyms; the first piece of a longer
word is no word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from rapidfuzz.distance import OSA

from robustbench_nlp.edits.words import candidate_words
from robustbench_nlp.perturbation import Embedded
from robustbench_nlp.victims._reader import Reader

__all__ = ["Hull", "SynonymTable", "known_sets"]

SPELLING = "spelling"
"""The candidate set of words that are one edit away."""


class Hull(NamedTuple):
    """Of a batch: each token's own embedding and those of its synonyms (rows, tokens, 1 + most, dimensions), and which of them
    are there (rows, tokens, 1 + most); a token without synonyms has itself alone."""

    vectors: Any
    there: Any

    def change(self, logits: Any) -> Any:
        """The perturbation that puts each token's mixture, by the softmax of its logits, in place of the token."""
        weights = logits.masked_fill(~self.there, float("-inf")).softmax(dim=-1)
        return (weights[..., None] * self.vectors).sum(dim=2) - self.vectors[:, :, 0]

    def entropy(self, logits: Any) -> Any:
        """The mean entropy of the mixtures, in nats: small where each is nearly one word."""
        import torch

        weights = logits.masked_fill(~self.there, float("-inf")).softmax(dim=-1)
        return -(weights * torch.where(weights > 0, weights, 1.0).log()).sum(dim=-1).mean()


class SynonymTable:
    """The synonyms of every token, of a candidate set (`edits.words`, or "spelling"); made at the first batch."""

    def __init__(self, candidates: str) -> None:
        self._others = None if candidates == SPELLING else candidate_words(candidates)
        self._rows: Any = None
        self._inner: Any = None

    def numbers(self, place: Embedded, reader: Reader) -> Any:
        """The numbers of a batch's tokens and of their synonyms (rows, tokens, 1 + most), -1 where there are no more."""
        import torch

        if self._rows is None:
            self._rows = self._table(reader, place.model.get_input_embeddings().weight)
            self._inner = torch.tensor(reader.inner_pieces(), dtype=torch.int64, device=self._rows.device)
        rows = self._rows[place.tokens]
        goes_on = torch.isin(place.tokens[:, 1:], self._inner)
        rows[:, :-1, 1:].masked_fill_(goes_on[..., None], -1)
        return rows

    def hull(self, place: Embedded, reader: Reader) -> Hull:
        """The hull of a batch; no gradient reaches the embedding matrix through it."""
        matrix = place.model.get_input_embeddings().weight.detach()
        numbers = self.numbers(place, reader)
        there = numbers >= 0
        there[..., 0] = True
        return Hull(matrix[numbers.clamp_min(0)], there)

    def _table(self, reader: Reader, matrix: Any) -> Any:
        """(tokens, 1 + most): the token itself, its synonyms, and -1 where there are no more."""
        import torch

        words = reader.whole_words()
        others = self._others or near_spellings(words)
        rows = {number: [words[other] for other in others(word) if other in words] for word, number in words.items()}
        table = torch.full((len(matrix), 1 + max(map(len, rows.values()), default=0)), -1)
        table[:, 0] = torch.arange(len(matrix))
        for number, found in rows.items():
            table[number, 1 : 1 + len(found)] = torch.tensor(found, dtype=torch.int64)
        return table.to(matrix.device)


def known_sets(candidates: Sequence[str]) -> tuple[str, ...]:
    """The names of candidate sets without their settings. Raises `UsageError` for an unknown one."""
    for name in candidates:
        if name != SPELLING:
            candidate_words(name)
    return tuple(map(set_name, candidates))


def set_name(candidates: str) -> str:
    """A candidate set's name without its settings."""
    return candidates.partition("(")[0].partition(":")[0]


def near_spellings(words: Iterable[str]) -> Callable[[str], list[str]]:
    """For a word of three letters or more, those of the words that are one edit away, a swap of neighbours included."""
    by_rest: dict[str, list[str]] = {}
    for word in words:
        for rest in _rests(word):
            by_rest.setdefault(rest, []).append(word)

    def near(word: str) -> list[str]:
        found = {other for rest in _rests(word) for other in by_rest.get(rest, ())}
        return sorted(other for other in found if OSA.distance(word, other) == 1)

    return near


def _rests(word: str) -> set[str]:
    """The word, and what is left of it without one letter; two words that are one edit apart share one of these."""
    return {word, *(word[:i] + word[i + 1 :] for i in range(len(word)))} if len(word) >= 3 else set()
