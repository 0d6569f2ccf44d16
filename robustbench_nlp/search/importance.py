"""How much each word matters to the victim, found by probing texts without it."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from robustbench_nlp.attack import Gradient, Probe, Request, Sample, Scores
from robustbench_nlp.text import Text

__all__ = ["MASK", "deleted_scores", "descending", "gradient_sizes", "masked_scores", "probed", "temporal_scores"]

MASK = "[UNK]"
EMPTY = 0.5
"""The score of the empty text, which is no input for a victim: undecided."""


_CHUNK = 256
"""The most texts of one request: enough to fill batches, and few enough for texts of ten thousand words."""


def descending(values: Sequence[float]) -> list[int]:
    """Positions from the highest value to the lowest; equal values keep their order."""
    return sorted(range(len(values)), key=lambda i: -values[i])


def probed(texts: Iterable[Text]) -> Generator[Request, Any, list[float]]:
    """The scores of texts that are no candidates; the texts are made as they are asked for, a chunk at a time."""
    scores: list[float] = []
    source: Iterator[Text] = iter(texts)
    while chunk := list(islice(source, _CHUNK)):
        answer: Scores = yield Probe(chunk)
        scores += answer.score
    return scores


def masked_scores(text: Text, numbers: Sequence[int]) -> Generator[Request, Any, list[float]]:
    """The score with each numbered word masked; higher fools the victim better. One query each."""
    return (yield from probed(text.swap(number, MASK) for number in numbers))


def deleted_scores(text: Text, numbers: Sequence[int]) -> Generator[Request, Any, list[float]]:
    """The score without each numbered word; higher fools the victim better. One query each; none for a single word,
    whose rank is known."""
    if len(numbers) < 2:
        return [0.0] * len(numbers)
    return (yield from probed(text.delete(number) for number in numbers))


def gradient_sizes(text: Text) -> Generator[Request, Any, list[float]]:
    """By word slot: the sum of absolute values of the loss's mean gradient over the word's tokens; 0 for a word without
    tokens. One query."""
    (answer,) = yield Gradient([text])
    words = np.asarray(answer.words)
    inside = words >= 0
    total = np.zeros((len(text), answer.gradient.shape[1]))
    np.add.at(total, words[inside], answer.gradient[inside])
    counts = np.bincount(words[inside], minlength=len(text))
    sizes: list[float] = (np.abs(total).sum(axis=1) / np.maximum(counts, 1)).tolist()
    return sizes


def temporal_scores(sample: Sample) -> Generator[Request, Any, list[float]]:
    """By word: what it adds for the label to the words before it, plus what it adds to those after (Gao et al., 2018).

    Probes the text up to each word and from each word on: two queries a word.
    """
    string, spans = str(sample.text), sample.text.spans
    head = [EMPTY, *(yield from probed(Text(string[:end], end=0) for _, end in spans))]
    tail = [*(yield from probed(Text(string[start:], end=0) for start, _ in spans)), EMPTY]
    return [head[i] - head[i + 1] + tail[i + 1] - tail[i] for i in range(len(spans))]
