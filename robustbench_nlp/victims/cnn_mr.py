"""A convolutional network on words (Kim, 2014) trained on the mr training split at first use: small, and nothing pretrained.

Differs from the paper ("CNN-rand"): the words' vectors get dropout too and some words are read as unknown while it learns,
and AdamW with weight decay stands in for Adadelta with a limited norm. Right on 72.0 % of the test split
(`scripts/score_victims.py`).
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from math import nan
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from robustbench_nlp import cache, progress
from robustbench_nlp.attack import Vocabulary
from robustbench_nlp.costs import note_seconds, seconds_trained
from robustbench_nlp.data.example import Dataset, Input, content_hash
from robustbench_nlp.errors import UsageError, VictimError
from robustbench_nlp.text import Text, words_of
from robustbench_nlp.victim import Placed, Probabilities, TokenGradients, VictimOptions
from robustbench_nlp.victims._reader import batches, placements

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["load", "CnnRecipe", "CnnVictim", "place", "train_cnn"]  # noqa: RUF022 (the factory first)

SEED = 0
VERSION = 1
"""Raised by any change of `train_cnn` or of how a text is read that changes an answer."""
PADDING, UNKNOWN, FIRST = 0, 1, 2
"""Row numbers of the vectors: zeros, words that the vocabulary lacks, the vocabulary's first word."""
_BUDGET, _OVERHEAD = 4_000, 100
"""Padded words of one batch, and what one more batch costs in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CnnRecipe:
    """How the network is built and trained; the learning rate falls linearly to zero. `min_count` is how often a word
    must occur in the training texts to get its own vector."""

    dimensions: int = 128
    filters: int = 100
    widths: tuple[int, ...] = (3, 4, 5)
    min_count: int = 2
    dropout: float = 0.5
    word_dropout: float = 0.3
    epochs: int = 5
    batch_size: int = 50
    learning_rate: float = 2e-3
    weight_decay: float = 0.01


RECIPE = CnnRecipe()


def load(argument: str, options: VictimOptions) -> CnnVictim:
    """Open it, training it first where the cache has none (under a minute). Raises `UsageError` when given an argument."""
    from robustbench_nlp.data import load_dataset

    if argument:
        raise UsageError(f"cnn-mr takes no argument; '{argument}' was given")
    train: Dataset = load_dataset("mr", "train")

    def build(target: Path) -> None:
        texts, labels = [example.input for example in train.examples], [example.label for example in train.examples]
        start = time.perf_counter()
        train_cnn(texts, labels, name="cnn_mr", label_names=train.label_names, seed=SEED).save(target)
        note_seconds(target, time.perf_counter() - start)

    folder = cache.built("cnn-mr", _identity(train), build)
    return CnnVictim.from_folder(folder, name="cnn_mr", label_names=train.label_names)


def place() -> Path:
    """Where the trained network stands once it is there; splits the training texts where nobody has yet."""
    from robustbench_nlp.data import load_dataset

    return cache.place("cnn-mr", _identity(load_dataset("mr", "train")))


def _identity(train: Dataset) -> list[object]:
    return [VERSION, asdict(RECIPE), SEED, train.fingerprint]


class CnnVictim:
    """The network on its words, lower-cased, in float32 on the processor.

    `weights` are `vectors` (2 + words, dimensions), per width w `width_w.weight` (filters, dimensions, w) and `.bias`,
    `output.weight` (classes, filters in all) and `.bias`. Every text is read with as much padding behind it as the widest
    filter is wide, so more padding adds only windows that are there already: batches don't change an answer.
    """

    random = False

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        words: Sequence[str],
        *,
        name: str,
        label_names: tuple[str, ...],
        training_seconds: float = nan,
    ) -> None:
        self.name = name
        self.training_seconds = training_seconds
        self.label_names = label_names
        self._weights = dict(weights)
        self._words = tuple(words)
        self._numbers = {word: number for number, word in enumerate(words, FIRST)}
        self._behind = [PADDING] * max(_widths(weights))

    @classmethod
    def from_folder(cls, folder: Path, *, name: str, label_names: tuple[str, ...]) -> CnnVictim:
        """Load what `save` wrote."""
        from safetensors.torch import load_file

        words = (folder / "vocabulary.txt").read_text("utf-8").split("\n")
        return cls(
            load_file(folder / "weights.safetensors"),
            words,
            name=name,
            label_names=label_names,
            training_seconds=seconds_trained(folder),
        )

    def save(self, folder: Path) -> None:
        """Write `weights.safetensors` and `vocabulary.txt`, one word a line."""
        from safetensors.torch import save_file

        save_file(self._weights, folder / "weights.safetensors")
        (folder / "vocabulary.txt").write_text("\n".join(self._words), "utf-8")

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of version, weights (so of the recipe too) and vocabulary."""
        from safetensors.torch import save

        return content_hash("cnn", VERSION, hashlib.sha256(save(self._weights)).hexdigest(), self._words)[:16]

    @property
    def vocabulary(self) -> Vocabulary:
        """The words with vectors of their own."""
        return Vocabulary(self._words, self._weights["vectors"][FIRST:].numpy())

    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        """Probabilities, float32 (n, classes), from batches of near-equal length; equal within 1e-5 whatever the batch."""
        texts = self._texts(inputs)
        return self._answers(texts, batches([len(text) for text in texts], _BUDGET, _OVERHEAD))

    def predict_exact(self, inputs: Sequence[Input]) -> Probabilities:
        """Probabilities, float32 (n, classes): each input alone."""
        texts = self._texts(inputs)
        return self._answers(texts, [[row] for row in range(len(texts))])

    def gradients(
        self, inputs: Sequence[Input], labels: Sequence[int], placed: Sequence[Placed] | None = None
    ) -> list[TokenGradients]:
        """The cross-entropy of each input's label and its gradient at the words' vectors."""
        import torch

        found = []
        for item, label, vectors in zip(inputs, labels, placed or [()] * len(inputs), strict=True):
            text = Text(_string(item))
            embedded = _embed(self._weights, torch.tensor([self._read(text.words)])).clone()
            for token, vector in placements(vectors, text.spans, [0] * len(text)):
                embedded[0, token] = torch.from_numpy(vector).to(embedded)
            embedded.requires_grad_(True)
            loss = torch.nn.functional.cross_entropy(_logits(self._weights, embedded), torch.tensor([label]))
            (gradient,) = torch.autograd.grad(loss, embedded)
            rows = gradient[0, : len(text)].numpy()
            found.append(TokenGradients(float(loss.detach()), rows, text.spans, [0] * len(text)))
        return found

    def _texts(self, inputs: Sequence[Input]) -> list[list[int]]:
        return [self._read(words_of(_string(item))) for item in inputs]

    def _read(self, words: Sequence[str]) -> list[int]:
        return [*(self._numbers.get(word.lower(), UNKNOWN) for word in words), *self._behind]

    def _answers(self, texts: Sequence[list[int]], plan: Sequence[Sequence[int]]) -> Probabilities:
        import torch

        answer: Probabilities = np.zeros((len(texts), len(self.label_names)), np.float32)
        with torch.inference_mode():
            for rows in plan:
                outputs = _logits(self._weights, _embed(self._weights, _padded([texts[row] for row in rows])))
                answer[list(rows)] = outputs.softmax(dim=1).numpy()
        return answer


def train_cnn(
    inputs: Sequence[Input],
    labels: Sequence[int],
    *,
    name: str,
    label_names: tuple[str, ...],
    seed: int,
    recipe: CnnRecipe = RECIPE,
) -> CnnVictim:
    """Train the network from nothing. Same seed, same machine: same bits; torch's global generator is left as it was."""
    import torch

    counts = Counter(word.lower() for item in inputs for word in words_of(_string(item)))
    words = sorted(word for word, count in counts.items() if count >= recipe.min_count)
    rng = Random(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        weights = _start(len(words), len(label_names), recipe)
        victim = CnnVictim(weights, words, name=name, label_names=label_names)
        texts = victim._texts(inputs)
        optimizer = torch.optim.AdamW(weights.values(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        plans = [_plan(texts, recipe.batch_size, rng) for _ in range(recipe.epochs)]
        steps = sum(map(len, plans))
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: 1 - done / steps)
        with progress.task(f"training {name}", steps) as step:
            for rows in (rows for plan in plans for rows in plan):
                ids = _padded([texts[row] for row in rows])
                dropped = (torch.rand(ids.shape) < recipe.word_dropout) & (ids != PADDING)
                embedded = _embed(weights, ids.masked_fill(dropped, UNKNOWN))
                truth = torch.tensor([labels[row] for row in rows])
                loss = torch.nn.functional.cross_entropy(_logits(weights, embedded, recipe.dropout), truth)
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                schedule.step()
                step(1, f"loss {float(loss.detach()):.3f}")
    return CnnVictim(
        {key: tensor.detach() for key, tensor in weights.items()}, words, name=name, label_names=label_names
    )


def _start(words: int, classes: int, recipe: CnnRecipe) -> dict[str, Tensor]:
    """Fresh weights, drawn from torch's generator; the padding's vector is zero and stays so."""
    import torch

    weights = {"vectors": torch.empty(FIRST + words, recipe.dimensions).uniform_(-0.25, 0.25)}
    weights["vectors"][PADDING] = 0
    shapes = {f"width_{width}": (recipe.filters, recipe.dimensions, width) for width in recipe.widths}
    for layer, shape in (shapes | {"output": (classes, recipe.filters * len(recipe.widths))}).items():
        weights[f"{layer}.weight"] = torch.nn.init.xavier_uniform_(torch.empty(shape))
        weights[f"{layer}.bias"] = torch.zeros(shape[0])
    return {key: tensor.requires_grad_(True) for key, tensor in weights.items()}


def _plan(texts: Sequence[list[int]], size: int, rng: Random) -> list[list[int]]:
    """Shuffled batches; the texts of twenty are sorted by length together."""
    order = rng.sample(range(len(texts)), len(texts))
    plan = []
    for start in range(0, len(order), 20 * size):
        pool = sorted(order[start : start + 20 * size], key=lambda row: len(texts[row]))
        plan += [pool[i : i + size] for i in range(0, len(pool), size)]
    rng.shuffle(plan)
    return plan


def _embed(weights: Mapping[str, Tensor], ids: Tensor) -> Tensor:
    """The vectors (texts, words, dimensions) of word numbers (texts, words)."""
    import torch

    return torch.nn.functional.embedding(ids, weights["vectors"], padding_idx=PADDING)


def _logits(weights: Mapping[str, Tensor], embedded: Tensor, dropout: float = 0.0) -> Tensor:
    """The logits (texts, classes) of vectors (texts, words, dimensions): each filter's maximum over the text, weighed."""
    import torch
    from torch.nn import functional

    embedded = functional.dropout(embedded, dropout, training=dropout > 0).transpose(1, 2)
    found = [
        functional.conv1d(embedded, weights[f"width_{width}.weight"], weights[f"width_{width}.bias"]).amax(dim=2)
        for width in _widths(weights)
    ]
    hidden = functional.dropout(torch.cat(found, dim=1).relu(), dropout, training=dropout > 0)
    return functional.linear(hidden, weights["output.weight"], weights["output.bias"])


def _padded(texts: Sequence[list[int]]) -> Tensor:
    """Word numbers, int64 (texts, longest)."""
    import torch

    ids = np.full((len(texts), max(map(len, texts))), PADDING)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = text
    return torch.from_numpy(ids)


def _widths(weights: Mapping[str, Tensor]) -> list[int]:
    names = (key.removesuffix(".weight").partition("width_") for key in weights if key.endswith(".weight"))
    return sorted(int(width) for _, found, width in names if found)


def _string(item: Input) -> str:
    if not isinstance(item, str):
        raise VictimError(f"this victim reads one string, not {len(item)} fields")
    return item
