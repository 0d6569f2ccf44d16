"""Language models that help attacks: masked ones propose words, and tell how fluent a text is.

"embedded" is the masked language model of `masked_lm_training`; any other name is a folder or a hub id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robustbench_nlp import masked_lm_training
from robustbench_nlp.attack import Blank
from robustbench_nlp.encoder import EMBEDDED
from robustbench_nlp.errors import UsageError
from robustbench_nlp.token_windows import Place, Tokens, Windows, whole_words
from robustbench_nlp.victim import VictimOptions
from robustbench_nlp.victims._reader import batches
from robustbench_nlp.victims.hf import device_of, local_folder, longest_input, quiet

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["FOLDS", "Filled", "fluency", "folder_of", "masked"]

Filled = list[tuple[str, float]]
"""Words and their probabilities, best first."""

FOLDS = 6
"""A masked model judges a text in six readings; in each of them every sixth token is masked."""
_CHUNK = 512
"""Items that are tokenised together."""
_BUDGET = {"cpu": 1_600, "cuda": 16_384}
_OVERHEAD = {"cpu": 32, "cuda": 2_048}
"""Padded tokens of one batch, and what one more call of the model costs in tokens."""


@cache
def masked(model: str, device: str = "auto", dtype: str = "float32") -> Callable[..., list[Filled]]:
    """Blanks, and `k`, to the `k` likeliest whole words at each, best first, with their share of the whole vocabulary.

    Left out are pieces of words, special tokens, and all that is not exactly one word by the rule of `Text`. A blank with
    a `word` is read unmasked; a word of several tokens is judged where its first one stands, so it costs no more than any
    other (all combinations of its pieces would be exponentially many). Of a text that is longer than the model reads,
    a window is read in which a quarter of the model's length or more stands on either side of the blank. Raises `UsageError`.
    """
    opened = _opened(model, device, dtype)
    if opened.words is None:
        raise UsageError(f"'{model}' has no mask token, so it fills no blanks; name a masked language model")

    def fill(blanks: Sequence[Blank], k: int = 50) -> list[Filled]:
        return [filled for start in range(0, len(blanks), _CHUNK) for filled in opened.fill(blanks[start:][:_CHUNK], k)]

    return fill


@cache
def fluency(model: str, device: str = "auto", dtype: str = "float32") -> Callable[[Sequence[str]], list[float]]:
    """Texts to the mean log-likelihood of their tokens (natural logarithm); 0.0 for a text of no tokens.

    A causal model judges each token by those before it. A masked one judges each token by all that are not masked with it:
    the pseudo-log-likelihood of Salazar et al. (2020), but six readings that mask every sixth token each, where they
    mask one token in each of as many readings as there are tokens. Raises `UsageError`.
    """
    opened = _opened(model, device, dtype)
    return lambda texts: [value for start in range(0, len(texts), 64) for value in opened.judge(texts[start:][:64])]


class _Model:
    """A language model that learns no more, and its tokenizer; `words`, None for a causal one, are ids (a tensor) and words by
    whether a space stands before them."""

    def __init__(self, model: Any, tokenizer: Any, device: Any) -> None:
        import torch

        self._model = model
        self._device = device
        self._length = longest_input(tokenizer, model.config)
        self._windows = Windows(tokenizer, self._length)
        self._mask_id = tokenizer.mask_token_id
        self._pad = tokenizer.pad_token_id or 0
        self._first = () if tokenizer.bos_token_id is None else (tokenizer.bos_token_id,)
        self.words: dict[bool, tuple[Tensor, list[str]]] | None = None
        if self._mask_id is not None:
            found = whole_words(tokenizer)
            self.words = {
                key: (torch.tensor(ids, device=device, dtype=torch.int64), words) for key, (ids, words) in found.items()
            }

    def fill(self, blanks: Sequence[Blank], k: int) -> list[Filled]:
        """At most `_CHUNK` blanks filled; see `masked`. Nothing where the tokenizer drops the word."""
        assert self.words is not None
        places = self._windows.places(blanks)
        there = [number for number, place in enumerate(places) if place is not None]
        filled: list[Filled] = [[] for _ in blanks]
        asked = [place for place in places if place is not None]
        for numbers, logits in self._logits(asked):
            chances = logits.softmax(dim=-1)
            for spaced, (ids, words) in self.words.items():
                rows = [row for row, number in enumerate(numbers) if asked[number].spaced == spaced]
                top = chances[rows][:, ids].topk(min(k, len(words)))
                for row, values, picks in zip(rows, top.values.tolist(), top.indices.tolist(), strict=True):
                    filled[there[numbers[row]]] = [(words[i], value) for i, value in zip(picks, values, strict=True)]
        return filled

    def judge(self, texts: Sequence[str]) -> list[float]:
        """The texts' mean log-likelihoods; see `fluency`."""
        import torch

        places: list[Place] = []
        truths: list[int] = []
        owners: list[int] = []
        totals, counts = [0.0] * len(texts), [0] * len(texts)
        for owner, tokens in enumerate(self._windows.tokens(texts)):
            for place, truth in self._readings(tokens):
                places.append(place)
                truths.append(truth)
                owners.append(owner)
        for numbers, logits in self._logits(places):
            wanted = torch.tensor([truths[number] for number in numbers], device=self._device)
            values = logits.log_softmax(dim=-1).gather(1, wanted[:, None])[:, 0].tolist()
            for number, value in zip(numbers, values, strict=True):
                totals[owners[number]] += value
                counts[owners[number]] += 1
        return [total / count if count else 0.0 for total, count in zip(totals, counts, strict=True)]

    def _readings(self, tokens: Tokens) -> Iterator[tuple[Place, int]]:
        """Each token that can be judged: where the model judges it, and what it is. Longer texts are read part by part."""
        head, ids, tail = tokens[:3]
        if self.words is None:
            head, tail = head or self._first, ()
        room = max(1, self._length - len(head) - len(tail))
        for start in range(0, len(ids), room):
            part = ids[start : start + room]
            if self.words is None:
                for i in range(not head, len(part)):
                    yield Place((*head, *part), len(head) + i - 1), part[i]
                continue
            for fold in range(min(FOLDS, len(part))):
                shown = list(part)
                shown[fold::FOLDS] = [self._mask_id] * len(part[fold::FOLDS])
                row = (*head, *shown, *tail)
                for i in range(fold, len(part), FOLDS):
                    yield Place(row, len(head) + i), part[i]

    def _logits(self, places: Sequence[Place]) -> Iterator[tuple[list[int], Tensor]]:
        """Batch by batch: numbers of places, and what the model says there, float32 (places, vocabulary). Each distinct
        row of ids is read once."""
        rows: dict[tuple[int, ...], list[int]] = {}
        for number, place in enumerate(places):
            rows.setdefault(place.ids, []).append(number)
        texts = list(rows)
        kind = self._device.type if self._device.type in _BUDGET else "cuda"
        for batch in batches([len(ids) for ids in texts], _BUDGET[kind], _OVERHEAD[kind]):
            read = [texts[row] for row in batch]
            numbers = [number for ids in read for number in rows[ids]]
            owners = [owner for owner, ids in enumerate(read) for _ in rows[ids]]
            yield numbers, self._forward(read, owners, [places[number].at for number in numbers])

    def _forward(self, read: Sequence[Sequence[int]], rows: list[int], columns: list[int]) -> Tensor:
        """The logits at some tokens; the output layer, half of a small model's work, computes no others."""
        import torch

        longest = max(map(len, read))
        ids = torch.full((len(read), longest), self._pad)
        seen = torch.zeros((len(read), longest), dtype=torch.int64)
        for row, part in enumerate(read):
            ids[row, : len(part)] = torch.tensor(part)
            seen[row, : len(part)] = 1
        output = self._model.get_output_embeddings()
        hook = (
            None
            if output is None
            else output.register_forward_pre_hook(lambda _, inputs: (inputs[0][rows, columns], *inputs[1:]))
        )
        try:
            with torch.inference_mode():
                logits = self._model(input_ids=ids.to(self._device), attention_mask=seen.to(self._device)).logits
        finally:
            if hook is not None:
                hook.remove()
        if logits.dim() == 3:  # a model that doesn't call its output layer
            logits = logits[rows, columns]
        chosen: Tensor = logits.float()
        return chosen


@cache
def _opened(name: str, device: str, dtype: str) -> _Model:
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

    from robustbench_nlp.packing import packed

    folder = folder_of(name)
    if not list(folder.glob("*.safetensors")):
        raise UsageError(
            f"'{name}' has no safetensors weights; convert them with save_pretrained(..., safe_serialization=True)"
        )
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True)
            kind = AutoModelForCausalLM if tokenizer.mask_token is None else AutoModelForMaskedLM
            model, report = kind.from_pretrained(
                folder, use_safetensors=True, dtype="float32", output_loading_info=True
            )
    except Exception as problem:  # the library raises many kinds for files it cannot read
        first = str(problem).strip().partition("\n")[0]
        raise UsageError(f"cannot open '{name}' as a language model: {first}") from problem
    if report["missing_keys"]:
        raise UsageError(
            f"'{name}' has no language-model head ({sorted(report['missing_keys'])[0]} is missing); name a model with one"
        )
    if not tokenizer.is_fast:
        raise UsageError(f"'{name}' has no fast tokenizer; save one as tokenizer.json beside the weights")
    place = device_of(VictimOptions(device=device))
    lowered = model.to(place, getattr(torch, dtype)).eval().requires_grad_(False)
    return _Model(packed(lowered), tokenizer, place)


def folder_of(name: str) -> Path:
    """The named model's folder; a hub model is fetched into the hub's cache. Raises `UsageError` where it can't be had."""
    if name != EMBEDDED:
        return local_folder(name.removeprefix("hf:"))
    folder = masked_lm_training.find()
    if folder is None:
        raise UsageError(
            "the embedded masked language model is not trained yet; run `robustbench-nlp fetch mlm` (about 7 minutes), "
            "or name an hf model"
        )
    return folder
