"""Writes docs/defense-list.md from the defenses' own docstrings and settings: `python scripts/build_defense_docs.py`.

Whether one certifies is tried out on a handful of sentences. Needs the extras of `all`.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from build_attack_docs import headed

from robustbench_nlp.certificates import Certified
from robustbench_nlp.data.example import Example
from robustbench_nlp.defense import Composed
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.plugins import create, plugin_names, selector_of

PAGE = Path(__file__).parent.parent / "docs" / "defense-list.md"
HEAD = """# The defenses, one by one

What each is and where it differs from its paper, from its own docstring, with its settings and their defaults: `"spell(max_edits=1)"` is
one with another setting, `unicode-normalize+spell` is two in the order in which a text meets them. What they are worth stands in
[defenses](defenses.md), in [the leaderboard](../results/leaderboard/README.md), and in a run of your own. Those that train the victim leave its word
embeddings as they are. Made by `python scripts/build_defense_docs.py`.
"""
TRIED: dict[str, Any] = {"train": False, "corpus": ""}
"""What stands for these settings, so that a trial learns nothing and loads no data set."""
SENTENCES = ("a good film", "the film is bad", "one great story", "an awful story") * 8
PAPER = re.compile(r"\(([^()]*\b(?:19|20)\d\d\b[^()]*)\)")


def sections() -> Iterator[str]:
    """The page from top to bottom."""
    every = {name: create("defense", name) for name in plugin_names("defense")}
    with _own_cache():
        edits = {name: certified(made) for name, made in every.items()}
    rows = [
        f"| [`{name}`](#{name}) | {paper(made)} | {'yes' if trains(made) else ''} | {edits[name]} |"
        for name, made in every.items()
    ]
    yield HEAD
    yield "\n".join(["| defense | paper | trains a model | certifies against |", "|---|---|---|---|", *rows, ""])
    for name, made in every.items():
        lines = [*headed(name, made), inspect.cleandoc(type(made).__doc__ or ""), ""]
        lines += [f"- **settings** {', '.join(settings(made)) or 'none'}"]
        lines += [
            f"- **trains a model** {'yes' if trains(made) else 'no'}",
            f"- **certifies** {f'against {edits[name]}' if edits[name] else 'no'}",
        ]
        yield "\n".join(lines) + "\n"


def paper(made: object) -> str:
    """The citation in the first line of a defense's docstring; "" where it has none."""
    title = (inspect.getdoc(inspect.getmodule(type(made))) or "").partition("\n")[0]
    found = PAPER.search(title)
    return found[1] if found else ""


def settings(made: Any) -> Iterator[str]:
    """Each setting with its type and its default."""
    for field in dataclasses.fields(made):
        value = getattr(made, field.name)
        parts = isinstance(made, Composed) and field.name == "parts"
        yield f"`{field.name}: {field.type} = {'+'.join(map(selector, value)) if parts else repr(value)}`"


def selector(made: Any) -> str:
    """As one would write a defense, with the settings that aren't the default."""
    given = [f"{f.name}={value!r}" for f in dataclasses.fields(made) if (value := getattr(made, f.name)) != f.default]
    return selector_of("defense", made) + (f"({', '.join(given)})" if given else "")


def trains(made: Any) -> bool:
    """Whether a defense, or one of its parts, goes through the training split in epochs."""
    if isinstance(made, Composed):
        return any(map(trains, made.parts))
    return any(field.name == "epochs" for field in dataclasses.fields(made))


def certified(made: Any) -> str:
    """Against which edits the victim behind a defense certifies; "" where it doesn't."""
    fields = {field.name for field in dataclasses.fields(made)}
    tried = dataclasses.replace(made, **{name: value for name, value in TRIED.items() if name in fields})
    train = [Example(fields={"text": text}, label=int("good" in text or "great" in text)) for text in SENTENCES]
    try:
        defended = tried(KeywordVictim(), train, Random(0))
    except UsageError:  # it wants a victim with weights, and those that train nothing else certify nothing
        return ""
    return defended.certified_edits if isinstance(defended, Certified) else ""


@contextmanager
def _own_cache() -> Iterator[None]:
    """What trials train is thrown away."""
    before = os.environ.get("ROBUSTBENCH_NLP_CACHE")
    with TemporaryDirectory() as folder:
        os.environ["ROBUSTBENCH_NLP_CACHE"] = folder
        try:
            yield
        finally:
            del os.environ["ROBUSTBENCH_NLP_CACHE"]
            if before is not None:
                os.environ["ROBUSTBENCH_NLP_CACHE"] = before


def page() -> str:
    return "\n".join(sections())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
