"""Whether a word that stands in for another is the same part of speech: by the dictionary, or in its sentence."""

from __future__ import annotations

from collections.abc import Callable

from robustbench_nlp.constraints.meaning import same_part
from robustbench_nlp.errors import unknown
from robustbench_nlp.lexicon.tagger import parts_in, tagger_of
from robustbench_nlp.text import Text

__all__ = ["Fits", "fits_by"]

Fits = Callable[[Text, int, str], bool]
"""Whether a word may stand in a slot of a text, by the part of speech of what stands there."""


def fits_by(parts: str, *, verb_noun_swap: bool = False, language: str = "en") -> Fits:
    """The rule by its name: "wordnet" asks whether the two words share a part of speech that they commonly have, "tagger"
    whether the Hanover Tagger reads the same part before and after. With the swap verbs and nouns are one part.

    Raises `UsageError` for another name, and where the tagger can't be had.
    """
    if parts == "wordnet":
        return lambda text, number, word: same_part(text.word(number), word, verb_noun_swap)
    if parts != "tagger":
        raise unknown("rule for parts of speech", parts, ["wordnet", "tagger"])
    tagger_of(language)

    def fits(text: Text, number: int, word: str) -> bool:
        before = parts_in(text.words, language)[number]
        after = parts_in(text.swap(number, word).words, language)[number]
        return before == after or (verb_noun_swap and {before, after} == {"n", "v"})

    return fits
