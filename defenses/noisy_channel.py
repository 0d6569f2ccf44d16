"""The noisy channel (Kernighan et al., 1990; Mays et al., 1991, for real words): what was likeliest meant stands before the victim.

Every word may be one that lies an edit or two away, two words written as one, or, with the next, one word with a slip between;
of all sentences that could have been mistyped so, the likeliest by pairs of words is read. Differs from the papers: insertions,
deletions, replacements and swaps cost the same (in a known word more than in an unknown one), and the language is that of the
training split and of film reviews.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import version as installed
from importlib.util import find_spec
from math import isinf
from random import Random
from typing import ClassVar

from robustbench_nlp.bigrams import recipe_of
from robustbench_nlp.correction import Channel, Corrector
from robustbench_nlp.data.example import Example, content_hash
from robustbench_nlp.errors import UsageError
from robustbench_nlp.rewriting import Rewritten
from robustbench_nlp.victim import Victim

__all__ = ["NoisyChannel"]

CACHE = 100_000
"""Strings whose readings are kept in memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NoisyChannel(Channel):
    """Costs are negative logarithms of chances: `edit` of an edit in a word that nobody knows, `slip` of one that makes a known
    word of another (infinite: known words stay), `novelty` + `per_letter` × letters of one that is new.

    A word is known that the training split has, or `corpus` (a data set, "" for none) at least `min_count` times; the training
    split counts `weight` times. Where that split has capitals, capitalised words inside a sentence stay, as do words with two
    digits or no letter a-z, which are joined with no others either. `smoothing`: as how many neighbours of each word a word's
    own chance counts."""

    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        missing = [name for name in ("symspellpy", "wordfreq") if find_spec(name) is None]
        if missing:
            raise UsageError(
                f"defense noisy_channel needs {' and '.join(missing)}: pip install 'robustbench-nlp[spell]'"
            )
        for name in ("min_count", "weight"):
            if getattr(self, name) < 1:
                raise UsageError(f"noisy_channel's {name} is {getattr(self, name)}; give at least 1")
        for name in ("edit", "slip", "novelty", "per_letter", "smoothing"):
            if not getattr(self, name) > 0:
                raise UsageError(f"noisy_channel's {name} is {getattr(self, name)}; give a number above 0")
        if isinf(self.smoothing):
            raise UsageError("noisy_channel's smoothing is infinite; give a finite number")

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        """Raises `UsageError` without training examples, whose words are the first that are known, or for a corpus that cannot
        be read: that one before any example is, so that a rehearsal tells."""
        language = recipe_of(self.corpus) if self.corpus else []
        strings = [string for example in train for string in example.fields.values()]
        if not strings:
            raise UsageError(
                "defense noisy_channel takes its words from a training split, and there is none; name one with --train"
            )
        corrector = Corrector(self, strings)
        libraries = [installed("symspellpy"), installed("wordfreq")]
        parts = ["noisy_channel", self.version, asdict(self), libraries, language, content_hash(sorted(strings))]
        return Rewritten(victim, lru_cache(CACHE)(corrector), parts)
