"""Token ids and padded batches for transformers: as little work as possible around the forward pass."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp.data.example import Input
from robustbench_nlp.text import is_word
from robustbench_nlp.victim import Placed

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Limits", "Reader", "batches", "limits", "placements"]

_SURROGATES = re.compile("[\ud800-\udfff]")
_SPACES = "ĠĊĉč"
"""How byte-level tokenizers write a space, a line feed, a tab and a carriage return; these are letters."""


class Limits(NamedTuple):
    """Padded tokens of one batch, and what one more call of the model costs in tokens."""

    budget: int
    overhead: int


def limits(device: str) -> Limits:
    """Of a small encoder on a kind of device. CPU: MiniLM-L6 with packed layers on two cores is at its best from about 600 tokens a batch
    on, and a call costs 2.3 ms beside 0.05 ms a token; budgets from 900 and overheads to 48 take the same time."""
    return Limits(1_600, 32) if device == "cpu" else Limits(65_536, 2_048)


def batches(lengths: Sequence[int], budget: int, overhead: int) -> list[list[int]]:
    """Row numbers in batches of near-equal length and at most `budget` padded tokens (always one row at least).

    Rows of unequal length share a batch only while the padding costs fewer tokens than `overhead`, the price of one
    more call of the model in tokens.
    """
    plan: list[list[int]] = []
    longest = wasted = 0
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        length = lengths[row]
        more = wasted + len(plan[-1]) * (length - longest) if plan else 0
        if not plan or more > overhead or (len(plan[-1]) + 1) * length > budget:
            plan.append([row])
            wasted = 0
        else:
            plan[-1].append(row)
            wasted = more
        longest = length
    return plan


def placements(
    placed: Placed, offsets: Sequence[tuple[int, int]], fields: Sequence[int | None]
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """The number of the token that reads each place, with the vector for it; places that none reads are left out."""
    for field, place, vector in placed:
        readers = (
            token
            for token, (own, (start, end)) in enumerate(zip(fields, offsets, strict=True))
            if own == field and start <= place < end
        )
        if (token := next(readers, None)) is not None:
            yield token, vector


class Reader:
    """A fast tokenizer set to truncate at `max_length` tokens; padding happens here, by numpy."""

    def __init__(self, tokenizer: Any, max_length: int, padding: int | None = None) -> None:
        """`padding` is the number that the model takes for padding; None: the tokenizer's."""
        self.max_length = max_length
        backend = tokenizer.backend_tokenizer
        backend.no_padding()
        backend.enable_truncation(max_length)
        self._backend = backend
        self._encode = getattr(backend, "encode_batch_fast", backend.encode_batch)
        self._pad: int = (tokenizer.pad_token_id or 0) if padding is None else padding
        self.mask_id: int | None = tokenizer.mask_token_id
        self.special_ids: list[int] = tokenizer.all_special_ids
        self._typed = "token_type_ids" in tokenizer.model_input_names

    def __call__(self, inputs: Sequence[Input]) -> list[Any]:
        """One encoding an input, without offsets; lone surrogates are read as U+FFFD."""
        return list(self._encode(_clean(inputs)))

    def with_offsets(self, item: Input) -> Any:
        """One encoding with each token's (start, end) in code points of its field."""
        return self._backend.encode_batch(_clean([item]))[0]

    def truncate(self, string: str) -> str:
        """The part of the string, alone in the input, that fits into `max_length` tokens."""
        encoding = self.with_offsets(string)
        if not encoding.overflowing:
            return string
        ends = [
            end for (_, end), special in zip(encoding.offsets, encoding.special_tokens_mask, strict=True) if not special
        ]
        return string[: max(ends, default=0)]

    def whole_words(self) -> dict[str, int]:
        """The words, by the rule of `Text`, of letters alone that are read as one token after a space, each with the token's
        number, in its order."""
        numbers = sorted(self._backend.get_vocab().items(), key=lambda entry: entry[1])
        bare = {word: number for token, number in numbers if (word := token.lstrip("Ġ▁")).isalpha()}
        known = [word for word in bare if is_word(word)]
        read = self._backend.encode_batch([f" {word}" for word in known], add_special_tokens=False)
        return {word: encoding.ids[0] for word, encoding in zip(known, read, strict=True) if len(encoding.ids) == 1}

    def inner_pieces(self) -> list[int]:
        """The numbers of the tokens that go on with a word that an earlier token began."""
        vocabulary = self._backend.get_vocab().items()
        if mark := getattr(self._backend.model, "continuing_subword_prefix", None):
            return [number for token, number in vocabulary if token.startswith(mark)]
        return [number for token, number in vocabulary if token[:1].isalnum() and token[0] not in _SPACES]

    def tensors(self, encodings: Sequence[Any], device: Any) -> dict[str, Tensor]:
        """The model's inputs, int64 (rows, longest); the mask is left out where nothing is padded."""
        import torch

        lengths = [len(encoding) for encoding in encodings]
        made = {"input_ids": _padded([encoding.ids for encoding in encodings], lengths, self._pad)}
        if self._typed:
            types = _padded([encoding.type_ids for encoding in encodings], lengths, 0)
            if types.any():
                made["token_type_ids"] = types
        if min(lengths) != max(lengths):
            made["attention_mask"] = (np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.int64)
        tensors = {name: torch.from_numpy(array) for name, array in made.items()}
        if torch.device(device).type == "cuda":  # pinned, so that the next batch is made while this one is computed
            return {name: tensor.pin_memory().to(device, non_blocking=True) for name, tensor in tensors.items()}
        return {name: tensor.to(device) for name, tensor in tensors.items()}


def _clean(inputs: Sequence[Input]) -> list[Input]:
    try:
        for item in inputs:
            (item if isinstance(item, str) else "".join(item)).encode()
    except UnicodeEncodeError:
        return [_mended(item) if isinstance(item, str) else tuple(map(_mended, item)) for item in inputs]
    return list(inputs)


def _mended(string: str) -> str:
    return _SURROGATES.sub("\ufffd", string)


def _padded(rows: Sequence[Sequence[int]], lengths: Sequence[int], filler: int) -> Any:
    longest = max(lengths)
    if min(lengths) == longest:
        return np.array(rows, dtype=np.int64).reshape(len(rows), longest)
    table = np.full((len(rows), longest), filler, dtype=np.int64)
    for row, ids in enumerate(rows):
        table[row, : len(ids)] = ids
    return table
