"""Datasets: examples, splits and their sources. `load_dataset("mr")` is the way in."""

from __future__ import annotations

import inspect

from robustbench_nlp.data.example import Dataset, Example, Input
from robustbench_nlp.data.labels import match_labels
from robustbench_nlp.data.tables import from_pairs
from robustbench_nlp.errors import unknown

__all__ = ["Dataset", "Example", "Input", "from_pairs", "load_dataset", "match_labels"]


def load_dataset(selector: str, split: str = "test") -> Dataset:
    """One split of the dataset that a selector names: `mr`, `imdb`, `csv:PATH`, `jsonl:PATH`, `hf:ID` or a plug-in's.

    Settings in parentheses reach the source as keywords: `csv(text='review',label='stars'):PATH`. A source without
    splits says so in `Dataset.split` ("all"). Raises `UsageError` for an unknown source or setting, and for bad data.
    """
    from robustbench_nlp.plugins import factory, parse  # not above: plug-ins may import this package

    name, argument, settings = parse(selector)
    load = factory("dataset", name)
    keywords = [p.name for p in inspect.signature(load).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for setting in settings:
        if setting not in keywords:
            raise unknown(f"setting of dataset {name}", setting, keywords)
    dataset: Dataset = load(argument, split, **settings)
    return dataset
