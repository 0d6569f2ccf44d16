"""A small recurrent word recogniser that reads mistyped words in their sentence (Sakaguchi et al., 2017; Pruthi et al., 2019).

A word is seen as its first letter, its last one and the bag of the letters between them, so most typos move it little; a
bidirectional LSTM over the sentence names the word that was meant, of the training split's most frequent ones.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from random import Random
from string import ascii_lowercase
from typing import Any

from robustbench_nlp import cache, progress
from robustbench_nlp.checkpoint import Checkpoint
from robustbench_nlp.costs import note_seconds
from robustbench_nlp.edits.characters import one_typo
from robustbench_nlp.text import words_of

__all__ = ["UNKNOWN", "recogniser", "trained"]

UNKNOWN = ""
"""What the recogniser answers where it knows no such word."""
_LETTERS = {letter: i for i, letter in enumerate(ascii_lowercase)}
_SIZE = len(_LETTERS) + 1
HIDDEN, BATCH, RATE = 50, 32, 0.005
VERSION = 1
KIND = "word-recognition"

Recogniser = Callable[[Sequence[str]], list[str]]
"""The words of one sentence, lower case, to the words that were meant (`UNKNOWN`: none that it knows)."""


def trained(sentences: Sequence[str], seed: int, *, size: int, epochs: int, noisy: float) -> Path:
    """The folder of a recogniser that learned `size` words from sentences with typos in `noisy` of their words, cached."""
    told = [VERSION, seed, size, epochs, noisy, HIDDEN, BATCH, RATE, sentences]
    place = cache.place(KIND, told)
    checkpoint = place.with_name(f".{place.name}.checkpoint")

    def build(target: Path) -> None:
        _train(target, checkpoint, sentences, Random(seed), size=size, epochs=epochs, noisy=noisy)

    return cache.built(KIND, told, build)


def recogniser(folder: Path) -> Recogniser:
    """A trained recogniser; sentences that it has read are remembered."""
    import torch
    from safetensors.torch import load_file

    words: list[str] = json.loads((folder / "words.json").read_text("utf-8"))
    model = _model(len(words))
    model.load_state_dict(load_file(folder / "model.safetensors"))
    model.eval()

    @lru_cache(10_000)
    def read(sentence: tuple[str, ...]) -> list[str]:
        with torch.inference_mode():
            rows = torch.stack([_seen(word) for word in sentence])[None]
            return [words[i] for i in model(rows)[0].argmax(dim=-1).tolist()]

    return lambda sentence: read(tuple(sentence)) if sentence else []


def _seen(word: str) -> Any:
    """First letter, last letter, and how often each occurs between them."""
    import torch

    row = torch.zeros(3 * _SIZE)
    places = [_LETTERS.get(letter, _SIZE - 1) for letter in word] or [_SIZE - 1]
    row[places[0]] = 1.0
    row[_SIZE + places[-1]] = 1.0
    for place in places[1:-1]:
        row[2 * _SIZE + place] += 1.0
    return row


def _model(words: int) -> Any:
    import torch

    class Recogniser(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = torch.nn.LSTM(3 * _SIZE, HIDDEN, batch_first=True, bidirectional=True)
            self.out = torch.nn.Linear(2 * HIDDEN, words)

        def forward(self, rows: Any) -> Any:
            return self.out(self.lstm(rows)[0])

    return Recogniser()


def _train(
    target: Path, path: Path, sentences: Sequence[str], rng: Random, *, size: int, epochs: int, noisy: float
) -> None:
    """Train into the folder, from the checkpoint of the last whole epoch where there is one."""
    import torch
    from safetensors.torch import save_file

    start = time.perf_counter()
    split = [words for sentence in sentences if (words := words_of(sentence.lower()))]
    counts = Counter(word for words in split for word in words)
    known = [UNKNOWN, *(word for word, _ in counts.most_common(size))]
    numbers = {word: i for i, word in enumerate(known)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(rng.getrandbits(32))
        model = _model(len(known))
        optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
        checkpoint = Checkpoint(path=path, model=model, optimizer=optimizer, rng=rng, device=torch.device("cpu"))
        _, notes = checkpoint.restore() or ({}, {"done": 0, "seconds": 0.0})
        start -= notes["seconds"]
        with progress.task("training the word recogniser", epochs * len(split), notes["done"] * len(split)) as step:
            for done in range(notes["done"], epochs):
                order = sorted(range(len(split)), key=lambda i: (len(split[i]), rng.random()))
                batches = [order[i : i + BATCH] for i in range(0, len(order), BATCH)]
                rng.shuffle(batches)
                for rows in batches:
                    longest = max(len(split[i]) for i in rows)
                    seen = torch.zeros(len(rows), longest, 3 * _SIZE)
                    meant = torch.full((len(rows), longest), -100)
                    for row, i in enumerate(rows):
                        for column, word in enumerate(split[i]):
                            typed = one_typo(word, rng).lower() if rng.random() < noisy else word
                            seen[row, column] = _seen(typed)
                            meant[row, column] = numbers.get(word, 0)
                    loss = torch.nn.functional.cross_entropy(model(seen).flatten(0, 1), meant.flatten())
                    optimizer.zero_grad()
                    torch.autograd.backward(loss)
                    optimizer.step()
                    step(len(rows), f"loss {float(loss.detach()):.3f}")
                checkpoint.save({}, {"done": done + 1, "seconds": time.perf_counter() - start})
    save_file(model.state_dict(), target / "model.safetensors")
    (target / "words.json").write_text(json.dumps(known), "utf-8")
    note_seconds(target, time.perf_counter() - start)
    path.unlink(missing_ok=True)
