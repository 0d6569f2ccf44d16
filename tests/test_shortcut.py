"""The short way through the last layer gives the model's own answers, on the model's own weights."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import transformers

from robustbench_nlp.victims._shortcut import shortened

SMALL = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "initializer_range": 0.3,
}


def small(kind: str, **settings: Any) -> Any:
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**(SMALL | settings))
    return getattr(transformers, f"{kind}ForSequenceClassification")(config).eval()


def logits(model: Any, mask: Any = None) -> Any:
    ids = torch.arange(36).reshape(3, 12) * 7 % 50 + 5
    with torch.inference_mode():
        return model(input_ids=ids, attention_mask=mask).logits


@pytest.mark.parametrize(
    ("kind", "attention"), [("Bert", "sdpa"), ("Bert", "eager"), ("Roberta", "sdpa"), ("Electra", "eager")]
)
def test_the_answers_are_the_models_own(kind: str, attention: str) -> None:
    model = small(kind, attn_implementation=attention)
    twin = shortened(model)
    assert twin is not model
    mask = torch.ones(3, 12, dtype=torch.int64)
    mask[1, 5:] = 0
    for given in (None, mask):
        torch.testing.assert_close(logits(twin, given), logits(model, given), atol=1e-5, rtol=1e-5)
    hidden = model(torch.arange(8)[None], output_hidden_states=True).hidden_states[-1]
    assert hidden.shape == (1, 8, 16)


def test_the_weights_are_shared_and_a_copy_stands_alone() -> None:
    model = small("Bert")
    twin = shortened(model)
    half = copy.deepcopy(twin).to(torch.bfloat16)
    with torch.no_grad():
        model.bert.encoder.layer[-1].output.dense.weight.mul_(2)
    torch.testing.assert_close(logits(twin), logits(model), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(logits(half).float(), logits(model), atol=0.05)


@pytest.mark.parametrize("kind", ["DistilBert", "GPT2", "Bert"])
def test_other_models_are_left_as_they_are(kind: str) -> None:
    if kind == "Bert":
        model = small(kind)
        model.bert.pooler.forward = lambda hidden: torch.tanh(hidden.mean(1))  # reads every position
    elif kind == "GPT2":
        model = transformers.GPT2ForSequenceClassification(
            transformers.GPT2Config(vocab_size=60, n_embd=16, n_layer=2, n_head=2, pad_token_id=0)
        )
    else:
        model = transformers.DistilBertForSequenceClassification(
            transformers.DistilBertConfig(vocab_size=60, dim=16, n_layers=2, n_heads=2, hidden_dim=32)
        )
    assert shortened(model.eval()) is model
