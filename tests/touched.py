"""Which tables, language models and edits a task looks something up in or draws from: what the mark † is about."""

from __future__ import annotations

import gc
import re
import sys
import threading
from collections.abc import Callable, Iterable
from functools import _lru_cache_wrapper
from inspect import unwrap
from typing import Any

from robustbench_nlp import language_model
from robustbench_nlp.defenses.random_deletion import Deletion
from robustbench_nlp.edits import characters, noise, visual
from robustbench_nlp.lexicon import confusables, homophones, keyboard, misspellings, neighbours, wordnet

__all__ = ["material", "touched"]

WATCHED: dict[Any, tuple[str, ...]] = {
    neighbours.neighbours: ("neighbours",),
    wordnet.synonyms: ("wordnet",),
    misspellings.misspellings: ("misspellings",),
    homophones.homophones: ("homophones",),
    confusables.lookalikes: ("homoglyphs",),
    visual.accented: ("accents",),
    language_model._Model.fill: ("masked-lm",),
    keyboard.neighbours: ("keyboard",),
    **{edit: (edit.__name__,) for edit in (*characters.NOISE, characters.substitute, noise.drop_words)},
    characters.internal_edits: characters.INTERNAL_KINDS,
    Deletion.draw: ("drop_words",),
}
"""What is shared, by the names that `known`, `drawn_from` and `Threat.candidates` have for it."""
NAMES = {id(unwrap(watched).__code__): names for watched, names in WATCHED.items()}
CACHING = (
    "robustbench_nlp.lexicon.",
    "robustbench_nlp.edits.",
    "robustbench_nlp.defenses.",
    "robustbench_nlp.typo_clusters",
)


def touched(task: Callable[[], object]) -> set[str]:
    """The names of all that is watched and called while the task runs, in its thread or one that it starts."""
    seen: set[str] = set()

    def profile(frame: Any, event: str, _: object) -> None:
        if event == "call":
            seen.update(NAMES.get(id(frame.f_code), ()))

    _forget()
    before = sys.getprofile()
    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        task()
    finally:
        sys.setprofile(before)
        threading.setprofile(None)
    return seen


def _forget() -> None:
    """Nothing is remembered that would be looked up, but for the packed tables; caches inside of functions are found by the collector."""
    for found in gc.get_objects():
        if (
            type(found) is _lru_cache_wrapper
            and f"{found.__module__}.".startswith(CACHING)
            and getattr(found, "__name__", "") != "_table"  # of a callable object, it has none
        ):
            found.cache_clear()


def material(told: Iterable[str]) -> set[str]:
    """Of what a defense or an attack says, the names of what is watched, without versions and settings."""
    names = {name for names in WATCHED.values() for name in names}
    return {re.split(r"-\d|\(", name)[0] for name in told} & names
