"""Swaps aimed by a gradient: against all swaps tried one by one, on a tiny model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
import tiny_bert
import torch

from robustbench_nlp import language_model
from robustbench_nlp.aimed_swaps import AimedSwaps
from robustbench_nlp.attack import Blank
from robustbench_nlp.data.example import Input
from robustbench_nlp.perturbation import embedded
from robustbench_nlp.training import Batch
from robustbench_nlp.victims._reader import Reader

WORDS = ("great", "is", "no", "movie", "wonderful", "that")
LIKELY = ["great", "bad", "movie", "unheard", "wonderful", "film", "no"]
PAIR = ("The great film", "is it no movie")


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Blank]:
    """What the masked model is shown; at every place it finds the same words likely."""
    blanks: list[Blank] = []

    def fill(asked: Sequence[Blank], k: int) -> list[list[tuple[str, float]]]:
        blanks.extend(asked)
        return [[(word, 0.1) for word in LIKELY[:k]] for _ in asked]

    monkeypatch.setattr(language_model, "masked", lambda _model: fill)
    return blanks


@pytest.fixture
def batch_of(tmp_path: Path) -> Callable[[Sequence[Input]], tuple[Batch, Any]]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = tiny_bert.save(tmp_path, vocabulary=[*tiny_bert.VOCABULARY, *WORDS])
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    reader = Reader(AutoTokenizer.from_pretrained(folder), 32)

    def made(inputs: Sequence[Input]) -> tuple[Batch, Any]:
        """The batch, and the gradient of its loss at the embeddings."""
        batch = Batch(model, reader, list(inputs), torch.ones(len(inputs), dtype=torch.int64), Random(0))
        place = embedded(batch)
        vectors = place.vectors.detach().requires_grad_(True)
        logits = model(inputs_embeds=vectors, **place.others).logits
        (gradient,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, batch.labels), vectors)
        return batch, gradient

    return made


def gains(batch: Batch, gradient: Any, row: int, at: int, words: Sequence[str]) -> dict[str, float]:
    """How much each word in place of a token raises the loss, to first order."""
    known, matrix = batch.reader.whole_words(), batch.model.get_input_embeddings().weight.detach()
    own = embedded(batch).tokens[row, at]
    return {word: float((matrix[known[word]] - matrix[own]) @ gradient[row, at]) for word in words if word in known}


@pytest.mark.parametrize("k", [2, 7])
def test_the_swap_that_raises_the_loss_most_is_made(seen: list[Blank], batch_of: Any, k: int) -> None:
    batch, gradient = batch_of(["the great film", "no bad movie that is"])
    every = {
        (gain, text.split()[number], word): " ".join([*text.split()[:number], word, *text.split()[number + 1 :]])
        for row, text in enumerate(batch.inputs[1:], 1)
        for number in range(len(text.split()))
        for word, gain in gains(batch, gradient, row, number + 1, LIKELY[:k]).items()
    }
    assert max(every)[0] > 0
    swapped = AimedSwaps(0.2, k)(batch, embedded(batch), gradient, [1])
    assert swapped == {1: every[max(every)]}
    assert seen[:2] == [Blank("", " bad movie that is", "no"), Blank("no ", " movie that is", "bad")]


def test_a_share_of_the_words_one_at_least_is_swapped(seen: list[Blank], batch_of: Any) -> None:
    batch, gradient = batch_of(["the great film is no bad movie that"] * 2)
    for share, most in ((0.0, 1), (0.25, 2), (1.0, 8)):
        (text,) = AimedSwaps(share, 7)(batch, embedded(batch), gradient, [0]).values()
        words = zip(text.split(), batch.inputs[0].split(), strict=True)
        changed = sum(new != old for new, old in words)
        assert 1 <= changed <= most
        assert changed == most or share == 1.0, "words that no other makes worse stay"


def test_words_of_several_tokens_and_other_fields_keep_their_place(seen: list[Blank], batch_of: Any) -> None:
    batch, gradient = batch_of([PAIR, ("", "zzz!"), ("", "")])
    found = AimedSwaps(1.0, 7)(batch, embedded(batch), gradient, [0, 1, 2])
    assert found[1] == batch.inputs[1]
    assert found[2] == batch.inputs[2]
    assert [len(field.split()) for field in found[0]] == [3, 4]
    assert found[0][1].split()[1] == "it", "two tokens"
    assert found[0] != PAIR
    capital = found[0][0].split()[0]
    assert capital == capital.capitalize()


def test_without_a_gradient_nothing_is_worse(seen: list[Blank], batch_of: Any) -> None:
    batch, gradient = batch_of(["the great film"])
    assert AimedSwaps(1.0, 7)(batch, embedded(batch), 0 * gradient, [0]) == {0: "the great film"}
