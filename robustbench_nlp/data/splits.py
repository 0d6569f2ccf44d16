"""The fixed train, dev and test split: decided by each text alone, and free of near-duplicates across splits."""

from __future__ import annotations

from collections.abc import Sequence

from robustbench_nlp.data.duplicates import near_pairs, normalise
from robustbench_nlp.data.example import Example, content_hash

__all__ = ["RECIPE", "SPLITS", "split_examples", "split_of"]

RECIPE = 1
"""Raised by every change of what this module or `duplicates` returns: it versions the datasets split here."""

SPLITS = ("train", "dev", "test")
_TEST, _DEV = 0.12, 0.05


def split_of(text: str) -> str:
    """The split of a text, by the hash of its words: a copy that differs in case or punctuation goes the same way."""
    share = int(content_hash("split", normalise(text))[:12], 16) / 16**12
    return "test" if share < _TEST else "dev" if share < _TEST + _DEV else "train"


def split_examples(examples: Sequence[Example]) -> dict[str, list[Example]]:
    """Split examples into 83 % train, 5 % dev, 12 % test, each in content-hash order.

    Empty texts are dropped, of texts with equal words one is kept (also where their labels contradict each other), and
    what resembles a text of another split leaves: train gives way to dev and test, dev to test, so test stays fixed.
    """
    distinct: dict[str, Example] = {}
    for example in sorted(examples, key=lambda example: (example.id, example.label)):
        text = _whole(example)
        if text.strip():
            distinct.setdefault(normalise(text), example)
    kept, texts = list(distinct.values()), list(distinct)
    splits = [split_of(text) for text in texts]
    leaving = set()
    for i, j in near_pairs(texts).tolist():
        if splits[i] != splits[j]:
            leaving.add(min(i, j, key=lambda number: SPLITS.index(splits[number])))
    parts: dict[str, list[Example]] = {name: [] for name in SPLITS}
    for number, example in enumerate(kept):
        if number not in leaving:
            parts[splits[number]].append(example)
    return parts


def _whole(example: Example) -> str:
    return "\n".join(example.fields.values())
