"""Where a masked language model looks: the tokens around a blank, and the vocabulary's whole words."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from robustbench_nlp.attack import HOLE, Blank
from robustbench_nlp.text import is_word

__all__ = ["Place", "Tokens", "Windows", "Words", "whole_words"]

_CHARACTERS = 16
"""Code points a token of the model's length, on either side of a mask; what stands further away isn't even tokenised."""


class Place(NamedTuple):
    """The token ids that the model reads, which of them it is asked about, and whether a space stands before that one."""

    ids: tuple[int, ...]
    at: int
    spaced: bool = False


class Tokens(NamedTuple):
    """A text's ids between those that the tokenizer puts around every text, and where each begins and ends, in code points."""

    head: tuple[int, ...]
    ids: tuple[int, ...]
    tail: tuple[int, ...]
    starts: list[int]
    ends: list[int]


class Windows:
    """Cuts texts into tokens, and finds the token of a blank in at most `length` of them."""

    def __init__(self, tokenizer: Any, length: int) -> None:
        self._backend = tokenizer.backend_tokenizer
        self._backend.no_padding()
        self._backend.no_truncation()
        self._mask = tokenizer.mask_token
        self._length = length
        first = self._backend.encode("a", add_special_tokens=False).tokens
        self._leading = bool(first) and first[0].startswith(_mark(tokenizer))

    def tokens(self, texts: Sequence[str]) -> Iterator[Tokens]:
        """Each text, however long; lone surrogates are read as question marks."""
        for encoding in self._backend.encode_batch([text.encode("utf-8", "replace").decode() for text in texts]):
            inside = [i for i, number in enumerate(encoding.sequence_ids) if number is not None]
            start, end = (inside[0], inside[-1] + 1) if inside else (len(encoding.ids), len(encoding.ids))
            ids, offsets = tuple(encoding.ids), encoding.offsets[start:end]
            starts, ends = [first for first, _ in offsets], [last for _, last in offsets]
            yield Tokens(ids[:start], ids[start:end], ids[end:], starts, ends)

    def places(self, blanks: Sequence[Blank]) -> list[Place | None]:
        """Where each blank's mask, or the first token of its word, stands; None where the tokenizer drops the word."""
        reach = _CHARACTERS * self._length
        near = [_near(blank, reach, self._mask) for blank in blanks]
        distinct = list(dict.fromkeys(map("".join, near)))
        tokens = dict(zip(distinct, self.tokens(distinct), strict=True))
        return [self._place(tokens["".join(parts)], parts[0], parts[1]) for parts in near]

    def _place(self, tokens: Tokens, before: str, filler: str) -> Place | None:
        """Neighbouring tokens share one window, in which a quarter of the length or more stands on either side of them."""
        at = bisect_right(tokens.ends, len(before))
        if at == len(tokens.ids) or tokens.starts[at] >= len(before) + len(filler):
            return None
        room = max(4, self._length - len(tokens.head) - len(tokens.tail))
        first = max(0, min(at // (room // 2) * (room // 2) - room // 4, len(tokens.ids) - room))
        window = (*tokens.head, *tokens.ids[first : first + room], *tokens.tail)
        spaced = before[-1].isspace() if before else self._leading
        return Place(window, len(tokens.head) + at - first, spaced)


def _near(blank: Blank, reach: int, mask: str) -> tuple[str, str, str]:
    """What is read before, at and after the blank: all of an unmasked text, so that its blanks are read together."""
    before, after = (part.replace(HOLE, mask) for part in (blank.before, blank.after))
    if blank.word is not None:
        return before, blank.word, after
    return before[-reach:], mask, after[:reach]


class Words(NamedTuple):
    """Whole words of a vocabulary: their ids, and the words."""

    ids: list[int]
    words: list[str]


def whole_words(tokenizer: Any) -> dict[bool, Words]:
    """The tokens that are exactly one word with a letter or digit: those that may follow a space (True), and anything else
    (False).

    Word-piece vocabularies mark pieces inside a word ("##ly") and use the same tokens in both cases; the others mark a
    token that follows a space ("Ġ" for bytes, "▁" for SentencePiece).
    """
    pieces = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    special, mark, prefix = set(tokenizer.all_special_ids), _mark(tokenizer), _prefix(tokenizer)
    found = {True: Words([], []), False: Words([], [])}
    for number, piece in enumerate(pieces):
        if number in special or (prefix and piece.startswith(prefix)):
            continue
        word = tokenizer.convert_tokens_to_string([piece]).strip()
        if is_word(word) and any(map(str.isalnum, word)):
            for spaced, (ids, words) in found.items():
                if not mark or piece.startswith(mark) == spaced:
                    ids.append(number)
                    words.append(word)
    return found


def _prefix(tokenizer: Any) -> str:
    """What marks a piece inside a word; "" where nothing does."""
    return getattr(tokenizer.backend_tokenizer.model, "continuing_subword_prefix", None) or ""


def _mark(tokenizer: Any) -> str:
    """What marks a token that follows a space; "" where nothing does."""
    if _prefix(tokenizer):
        return ""
    pieces = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    return max("Ġ▁", key=lambda sign: sum(piece.startswith(sign) for piece in pieces))
