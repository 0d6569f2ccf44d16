"""Likely words where they hurt most: the swaps of an adversary that reads a masked language model and one gradient.

Among the words that the model finds likely in place of each, the gradient at the embeddings tells to first order which raises
the loss most (Ebrahimi et al., 2018); the best of each text are made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from robustbench_nlp.attack import Blank
from robustbench_nlp.data.example import Input, fields_of
from robustbench_nlp.edits.blanks import Blanks
from robustbench_nlp.encoder import EMBEDDED
from robustbench_nlp.lexicon.case import in_case_of
from robustbench_nlp.perturbation import Embedded
from robustbench_nlp.text import Text
from robustbench_nlp.training_loop import Batch

__all__ = ["AimedSwaps"]


class _Place(NamedTuple):
    """A word that is one token: where it stands in the batch and in its input, and the blank to fill there."""

    row: int
    token: int
    field: int
    number: int
    old: str
    blank: Blank


class AimedSwaps:
    """In `share` of an input's words, at least one, the worst of `k` words that the embedded masked language model, which sees
    the word itself, finds likely there; only words that the victim reads as one token are changed or come in."""

    def __init__(self, share: float, k: int) -> None:
        self._share = share
        self._k = k
        self._known: dict[str, int] = {}
        self._numbers: frozenset[int] = frozenset()

    def __call__(self, batch: Batch, place: Embedded, gradient: Any, rows: Sequence[int]) -> dict[int, Input]:
        """These rows of the batch, swapped; `gradient` (rows, tokens, dimensions) is that of the loss at the embeddings."""
        import torch

        from robustbench_nlp.language_model import masked

        if not self._known:
            self._known = batch.reader.whole_words()
            self._numbers = frozenset(self._known.values())
        places = [found for row in rows for found in self._places(batch, row)]
        fills = masked(EMBEDDED)([found.blank for found in places], self._k)
        swaps: dict[tuple[int, int], list[tuple[float, int, str]]] = {}
        if places:
            owners, columns = [found.row for found in places], [found.token for found in places]
            own = place.tokens[owners, columns]
            words = [[word for word, _ in filled if word in self._known] for filled in fills]
            others = own[:, None].repeat(1, self._k)
            for number, likely in enumerate(words):
                others[number, : len(likely)] = torch.tensor([self._known[word] for word in likely], dtype=torch.int64)
            matrix = place.model.get_input_embeddings().weight.detach()
            gains = ((matrix[others] - matrix[own][:, None]) * gradient[owners, columns][:, None]).sum(dim=-1)
            best = gains.max(dim=-1)
            for found, likely, gain, at in zip(places, words, best.values.tolist(), best.indices.tolist(), strict=True):
                if gain > 0:
                    swap = (gain, found.number, in_case_of(likely[at], found.old))
                    swaps.setdefault((found.row, found.field), []).append(swap)
        return {row: self._swapped(batch.inputs[row], row, swaps) for row in rows}

    def _places(self, batch: Batch, row: int) -> Iterator[_Place]:
        item = batch.inputs[row]
        encoding = batch.reader.with_offsets(item)
        spans = zip(encoding.sequence_ids, encoding.offsets, strict=True)
        tokens = {(field, *span): token for token, (field, span) in enumerate(spans)}
        for field, string in enumerate(fields_of(item)):
            text = Text(string)
            blanks = Blanks(text)
            for number, span in enumerate(text.spans):
                token = tokens.get((field, *span))
                if token is not None and encoding.ids[token] in self._numbers:
                    blank = blanks.at(number, masked=False)
                    yield _Place(row, token, field, number, text.word(number), blank)

    def _swapped(self, item: Input, row: int, swaps: dict[tuple[int, int], list[tuple[float, int, str]]]) -> Input:
        def changed(field: int, string: str) -> str:
            text = Text(string)
            most = max(1, round(self._share * len(text)))
            chosen = sorted(swaps.get((row, field), ()), reverse=True)[:most]
            return str(text.replace({number: word for _, number, word in chosen})) if chosen else string

        if isinstance(item, str):
            return changed(0, item)
        return tuple(changed(field, string) for field, string in enumerate(item))
