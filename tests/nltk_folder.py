"""NLTK's data for the tests that run TextAttack, built into the cache once."""

from __future__ import annotations

from pathlib import Path

from robustbench_nlp import nltk_data


def ensure() -> Path:
    """The folder where the adapter looks; needs a package index the first time."""
    return nltk_data.build()
