"""Unicode normalisation: compatibility forms, invisible characters and look-alike letters become what they look like.

The counterpart of the attacks of Boucher et al. (2022, "Bad Characters"); plain ASCII passes bit for bit.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import ClassVar

import regex

from robustbench_nlp.data.example import Example
from robustbench_nlp.lexicon.confusables import lookalikes
from robustbench_nlp.rewriting import Rewritten
from robustbench_nlp.victim import Victim

__all__ = ["UnicodeNormalize", "ascii_lookalikes", "visible"]

_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+")
_FOREIGN = regex.compile(r"[\p{L}--\p{Script=Latin}]", regex.V1)
# Default-ignorable code points, except joiners, emoji selectors and flag tags that follow something other than ASCII:
# Indic and Persian spelling and emoji need those.
_INVISIBLE = regex.compile(
    r"[\p{Default_Ignorable_Code_Point}\uFFF9-\uFFFB--[\u200C\u200D\uFE0E\uFE0F\U000E0020-\U000E007F]]"
    r"|(?<![^\p{ASCII}])[\u200C\u200D\uFE0E\uFE0F\U000E0020-\U000E007F]",
    regex.V1,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class UnicodeNormalize:
    """Each step can be switched off: NFKC, removal of invisible and bidirectional controls, look-alikes to ASCII."""

    version: ClassVar[int] = 1

    compatibility: bool = True
    invisible: bool = True
    lookalikes: bool = True
    known: ClassVar[tuple[str, ...]] = ("homoglyphs", "bad-characters-invisible", "bad-characters-reorderings")

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        return Rewritten(
            victim, self.rewrite, ["unicode_normalize", self.version, unicodedata.unidata_version, asdict(self)]
        )

    def rewrite(self, string: str) -> str:
        """The normalised string, which a second pass leaves as it is."""
        while not string.isascii():
            before = string
            if self.compatibility:
                string = unicodedata.normalize("NFKC", string)
            if self.invisible:
                string = visible(string)
            if self.lookalikes:
                string = ascii_lookalikes(string)
            if string == before:
                break
        return string


def visible(string: str) -> str:
    """Without invisible characters: zero-width and bidirectional controls, soft hyphens, fillers, stray selectors."""
    return _INVISIBLE.sub("", string)


def ascii_lookalikes(string: str) -> str:
    """Look-alikes of ASCII letters, replaced in words that only imitate the Latin script.

    A word imitates when it mixes them with ASCII letters, or when it consists of them although no other word of the
    string is really written in their script: in Russian text "он" and "а" stay, in English text a lone "а" does not.
    """
    table = lookalikes()
    words = _WORD.findall(string)
    genuine = {
        _script(letter)
        for word in words
        if not any(letter.isascii() and letter.isalpha() for letter in word)
        for letter in _FOREIGN.findall(word)
        if letter not in table
    }

    def replaced(match: regex.Match[str]) -> str:
        word = match.group()
        mixed = any(letter.isascii() and letter.isalpha() for letter in word)
        foreign = [letter for letter in word if letter.isalpha() and not letter.isascii()]
        imitates = all(letter in table and _script(letter) not in genuine for letter in foreign)
        return "".join(table.get(letter, letter) for letter in word) if mixed or imitates else word

    return _WORD.sub(replaced, string)


def _script(letter: str) -> str:
    """The script as the first word of the letter's name: CYRILLIC, GREEK, LATIN, …"""
    return unicodedata.name(letter, "").partition(" ")[0]
