"""Exact certificates against typos, by asking about every text that the typos of a text can be coded as (Jones et al., 2020)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, product
from math import prod

import numpy as np

from robustbench_nlp.certificates import DEFAULT_SAMPLING, Certificate, Sampling
from robustbench_nlp.data.example import Input, fields_of
from robustbench_nlp.rewriting import Rewritten
from robustbench_nlp.smoothing import replaced_words
from robustbench_nlp.text import Text
from robustbench_nlp.typo_clusters import TypoClusters, typos
from robustbench_nlp.victim import Victim

__all__ = ["TypoCertified", "coded"]

ASKED = 2_000
"""The most coded texts that are asked about for one certificate."""
MARGIN = 1e-4
"""By how much a prediction must lead to be one: batches move a transformer's probabilities by less."""


def coded(string: str, clusters: TypoClusters) -> str:
    """The string with its code in place of every word; what stands between them stays as it is."""
    text = Text(string)
    return str(text.replace({i: clusters.code(word.lower()) for i, word in enumerate(text.words)}))


class TypoCertified(Rewritten):
    """A deterministic victim that reads codes, and certifies that no typos in so many words change what it predicts.

    A typo is one internal edit of a word that has a letter and four characters or more, and leaves one word; case is free
    (`typo_clusters.typos`). It may move or drop an apostrophe or a hyphen, or take a word's only letter. Nothing is sampled: every sequence of codes that such typos lead to is predicted, so a certificate is wrong for none. It ends where
    more than `ASKED` texts would have to be.
    """

    certified_edits = "words with one typo inside"

    def __init__(self, victim: Victim, clusters: TypoClusters, fingerprint_parts: Sequence[object]) -> None:
        super().__init__(victim, lambda string: coded(string, clusters), fingerprint_parts)
        self._clusters = clusters

    def certify(self, item: Input, sampling: Sampling = DEFAULT_SAMPLING) -> Certificate:
        """The largest number of mistyped words that is harmless; all words of the input where no typo makes another code."""
        texts = [Text(field) for field in fields_of(item)]
        words = {
            (field, number): word.lower() for field, text in enumerate(texts) for number, word in enumerate(text.words)
        }
        start = {slot: self._clusters.code(word) for slot, word in words.items()}
        others = {
            slot: sorted(self._clusters.codes(word) - {start[slot]}) for slot, word in words.items() if _lettered(word)
        }
        open_slots = [slot for slot in others if others[slot]]

        def made(codes: dict[tuple[int, int], str]) -> Input:
            fields = [
                str(text.replace({number: code for (at, number), code in codes.items() if at == field}))
                for field, text in enumerate(texts)
            ]
            return fields[0] if isinstance(item, str) else tuple(fields)

        (guess,) = self._predictions([made(start)])
        if guess is None:
            return Certificate(None, 0)
        asked = 1
        for typed in range(1, len(open_slots) + 1):
            subsets = list(_subsets(open_slots, typed, others, ASKED - asked))
            if not subsets:
                return Certificate(guess, typed - 1)
            changed = [
                made(start | dict(zip(subset, codes, strict=True)))
                for subset in subsets
                for codes in product(*(others[slot] for slot in subset))
            ]
            asked += len(changed)
            if any(prediction != guess for prediction in self._predictions(changed)):
                return Certificate(guess, typed - 1)
        return Certificate(guess, len(others))

    def edits(self, original: Input, changed: Input) -> int | None:
        """The mistyped words; None where anything else changed."""
        total = 0
        for old, new in zip(fields_of(original), fields_of(changed), strict=True):
            pairs = replaced_words(old, new)
            if pairs is None or not all(_typo(*pair) for pair in pairs):
                return None
            total += sum(before.lower() != after.lower() for before, after in pairs)
        return total

    def _predictions(self, inputs: Sequence[Input]) -> list[int | None]:
        """The classes of coded inputs, None where two lead alike."""
        answers = self._victim.predict(list(inputs))
        best = np.sort(answers, axis=1)
        clear = (best[:, -1] - best[:, -2] >= MARGIN).tolist()
        return [int(top) if ahead else None for top, ahead in zip(answers.argmax(axis=1), clear, strict=True)]


def _subsets(
    slots: list[tuple[int, int]], size: int, others: dict[tuple[int, int], list[str]], most: int
) -> Iterator[tuple[tuple[int, int], ...]]:
    """All sets of so many slots; none where their codes make more than `most` texts."""
    if sum(prod(len(others[slot]) for slot in subset) for subset in combinations(slots, size)) <= most:
        yield from combinations(slots, size)


def _typo(before: str, after: str) -> bool:
    old, new = before.lower(), after.lower()
    return _lettered(old) and (old == new or new in typos(old))


def _lettered(word: str) -> bool:
    return any(map(str.isalpha, word))
