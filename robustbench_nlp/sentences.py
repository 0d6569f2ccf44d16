"""A text as sentences and the gaps between them."""

from __future__ import annotations

from itertools import pairwise

import regex

from robustbench_nlp.text import Text, words_of

__all__ = ["sentence_pieces"]

_SHORT = r"\b(?:mr|mrs|ms|dr|st|vs|jr|sr|prof|(?<!['’])\p{L})"
_BREAK = r"(?:<br\s*/?>\s*)+"
_END = regex.compile(
    rf"(?<!(?:{_SHORT}|[.…])\s?)[.!?…]+[^\s\w<]*(?=\s+(?![.…\s])|<)|[。！？]+[^\s\w]*|\n+|(?=<br)|{_BREAK}",
    regex.IGNORECASE,
)
"""Marks, and the quotes and brackets that close after them, where white space follows: not behind a title or a single
letter, nor dots with spaces between them. Chinese marks need no space; a line's end is one, in HTML too."""
_TAGS = regex.compile(_BREAK, regex.IGNORECASE)


def sentence_pieces(text: Text) -> list[str]:
    """Gap, sentence, gap, sentence, …, gap, as in `Text`: joined, they are the text. Sentences hold words; what stands
    between them is in the gaps, and in the last one, what follows the last sentence that the victim reads to its end."""
    string, spans = str(text), text.spans
    read = spans[-1][1] if spans else 0
    whole = not words_of(string[read:])
    cuts = [0, *(match.end() for match in _END.finditer(string)), len(string)]
    pieces, done = list[str](), 0
    for start, end in pairwise(cuts):
        sentence = string[start:end].strip()
        if words_of(sentence) and not _TAGS.fullmatch(sentence) and (whole or end <= read):
            at = string.index(sentence, start)
            pieces += [string[done:at], sentence]
            done = at + len(sentence)
    return [*pieces, string[done:]]
