"""Bad Characters (Boucher et al., 2022): changes that a reader can't see, found by differential evolution.

The kinds: `invisible` zero-width characters, `homoglyphs` of other scripts, `reorderings` of two neighbouring letters that
bidirectional controls show in their old order, `deletions` of a letter by a backspace behind it. Differs from the paper:
reorderings use one override instead of nested isolates, a success ends the search, homoglyphs are those of
Unicode's confusables, and the search is smaller than SciPy's (its population doesn't grow with the number of changes).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from string import ascii_lowercase
from typing import ClassVar, Literal, NamedTuple

from robustbench_nlp.attack import Sample, Steps
from robustbench_nlp.constraints.words import inside
from robustbench_nlp.edits.characters import bare
from robustbench_nlp.edits.visual import homoglyphs
from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.search.differential import Genome, evolve
from robustbench_nlp.text import Text, edges_of
from robustbench_nlp.threat import Threat

__all__ = ["BadCharacters", "COST", "threat_of"]  # noqa: RUF022 (the factory first)

ZERO_WIDTH = "\u200b\u200c\u200d"
OVERRIDE, POP = "\u202e", "\u202c"
"""Right-to-left override, and the end of it."""

COST = {"invisible": 1, "homoglyphs": 1, "reorderings": 3, "deletions": 2}
"""Edits (Levenshtein, code points) of one change, by kind."""
CHANGES = 5


def threat_of(kind: str, changes: int = CHANGES) -> Threat:
    """The threat of a number of changes of one kind."""
    return Threat(
        name=f"{kind}_{changes}", unit="char", max_edits=changes * COST[kind], candidates=f"bad-characters-{kind}"
    )


HOMOGLYPHS_5 = threat_of("homoglyphs")


@dataclass(frozen=True, kw_only=True, slots=True)
class BadCharacters:
    """As many changes of one kind as the threat's `max_edits` pay for; the default threat, of five, follows the kind."""

    kind: Literal["invisible", "homoglyphs", "reorderings", "deletions"] = "homoglyphs"
    threat: Threat = HOMOGLYPHS_5
    population: int = 32
    iterations: int = 10
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.kind not in COST:
            raise unknown("kind of bad_characters", self.kind, COST)
        if self.population < 3 or self.iterations < 0:
            raise UsageError("bad_characters wants a population of 3 or more and iterations of 0 or more")
        if self.threat == HOMOGLYPHS_5:
            object.__setattr__(self, "threat", threat_of(self.kind))

    @property
    def drawn_from(self) -> tuple[str, ...]:
        """The characters that it puts in."""
        return (self.kind,)

    def run(self, sample: Sample, rng: Random) -> Steps:
        string, limit = str(sample.text), sample.threat.max_edits
        changes = CHANGES if limit is None else limit // COST[self.kind]
        places = _places(self.kind, string[: max((end for _, end in sample.text.spans), default=0)])
        if not places or not changes:
            return None

        def decode(genome: Genome) -> Text | None:
            pairs = zip(genome[::2], genome[1::2], strict=True)
            chosen = {int(place): choice for place, choice in pairs if 0 <= place < len(places)}
            text = _edited(string, [(places[number], chosen[number]) for number in sorted(chosen)])
            return text if text is not None and inside(sample.threat, string, [text]) else None

        bounds = [(-1.0, float(len(places))), (0.0, 1.0)] * changes  # a place below 0 is no change
        return (yield from evolve(bounds, decode, rng, population=self.population, iterations=self.iterations))


class _Place(NamedTuple):
    """`string[start : start + width]` may become any of `options`."""

    start: int
    width: int
    options: Sequence[str]


def _places(kind: str, string: str) -> list[_Place]:
    """Every change that the kind allows, from left to right; none parts a mark from its letter."""
    if kind == "invisible":
        return [_Place(i, 0, ZERO_WIDTH) for i in edges_of(string)] if string else []
    if kind == "homoglyphs":
        return [_Place(i, 1, near) for i, letter in enumerate(string) if (near := homoglyphs(letter))]
    if kind == "deletions":
        return [_Place(i, 0, [letter + "\b" for letter in ascii_lowercase]) for i in edges_of(string)[1:-1]]
    free = {i for i in bare(string) if string[i].isalpha() and unicodedata.bidirectional(string[i]) == "L"}
    return [
        _Place(i, 2, [OVERRIDE + string[i + 1] + string[i] + POP])
        for i in range(len(string) - 1)
        if {i, i + 1} <= free and string[i] != string[i + 1]
    ]


def _edited(string: str, changes: Sequence[tuple[_Place, float]]) -> Text | None:
    """The string with each place (from left to right) changed to the option at a share of its options; a place that
    overlaps the one before is left. None if nothing changes."""
    pieces, at = [], 0
    for (start, width, options), share in changes:
        if start >= at:
            pieces += [string[at:start], options[min(int(share * len(options)), len(options) - 1)]]
            at = start + width
    return Text("".join(pieces) + string[at:], end=0) if pieces else None
