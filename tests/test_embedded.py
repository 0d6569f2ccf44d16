"""Embeddings in place of a model's own: decoders find their last token, encoder-decoders are served or told apart."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import tiny_bert
import torch

from robustbench_nlp.data.example import Example
from robustbench_nlp.defense import defend
from robustbench_nlp.errors import UsageError
from robustbench_nlp.perturbation import embedded
from robustbench_nlp.training import Batch
from robustbench_nlp.victim import VictimOptions
from robustbench_nlp.victims._embedded import answered
from robustbench_nlp.victims.hf import HFVictim

TEXTS = ["the film is good", "bad", "the film is bad and the film is bad and bad"]
EXAMPLES = [Example(fields={"text": text}, label=label) for text, label in zip(TEXTS, (1, 0, 0), strict=True)] * 4


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> HFVictim:
    """A GPT-2 whose padding isn't its tokenizer's."""
    from transformers import GPT2Config, GPT2ForSequenceClassification

    folder = tiny_bert.save_bytes(tmp_path_factory.mktemp("decoder"), causal=True)
    sizes = {"n_positions": 32, "n_embd": 16, "n_layer": 2, "n_head": 2, "bos_token_id": 0, "eos_token_id": 0}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GPT2ForSequenceClassification(
            GPT2Config(vocab_size=300, pad_token_id=299, initializer_range=0.5, **sizes)
        )
    model.save_pretrained(folder)
    return HFVictim.from_folder(folder, VictimOptions(device="cpu"), name="decoder")


def test_a_decoder_answers_padded_texts_as_alone(decoder: HFVictim) -> None:
    np.testing.assert_allclose(decoder.predict(TEXTS), decoder.predict_exact(TEXTS), atol=1e-5)
    model: Any = decoder._model
    place = embedded(Batch(model, decoder._reader, TEXTS, torch.tensor([1, 0, 0]), Random(0)))
    assert (place.mask == 0).any()
    np.testing.assert_allclose(place.logits().softmax(dim=-1), decoder.predict_exact(TEXTS), atol=1e-5)
    together = decoder.gradients(TEXTS, [1, 0, 0])
    for found, text, label in zip(together, TEXTS, (1, 0, 0), strict=True):
        (alone,) = decoder.gradients([text], [label])
        np.testing.assert_allclose(found.gradient, alone.gradient, atol=1e-5)
        assert found.loss == pytest.approx(alone.loss, abs=1e-5)


@pytest.mark.parametrize(
    "defense", ["freelb", "consistency(noises=('typos',))", "hotflip_training(candidates=('spelling',))"]
)
def test_decoders_are_trained_at_their_last_token(
    defense: str, decoder: HFVictim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robustbench_nlp.training._check", lambda *_: 1.0)
    monkeypatch.setenv("ROBUSTBENCH_NLP_CACHE", str(tmp_path))
    defended = defend(decoder, defense, EXAMPLES, 0)
    assert isinstance(defended, HFVictim)
    np.testing.assert_allclose(defended.predict(TEXTS), defended.predict_exact(TEXTS), atol=1e-5)
    assert np.abs(defended.predict(TEXTS) - decoder.predict(TEXTS)).max() > 1e-3


def ids() -> dict[str, Any]:
    return {"input_ids": torch.tensor([[5, 6, 7, 1], [8, 9, 10, 1]])}


def test_an_encoder_decoder_that_shares_its_embeddings_keeps_the_decoders() -> None:
    from transformers import T5Config, T5ForSequenceClassification

    sizes = {"vocab_size": 30, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    model = T5ForSequenceClassification(
        T5Config(**sizes, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0)
    ).eval()
    own = model.get_input_embeddings()(ids()["input_ids"])
    plain = model(**ids()).logits
    torch.testing.assert_close(answered(model, ids(), own).logits, plain)
    assert not torch.allclose(answered(model, ids(), own + 1.0).logits, plain)
    torch.testing.assert_close(model(**ids()).logits, plain)


def test_a_model_that_looks_its_tokens_up_elsewhere_is_refused() -> None:
    from transformers import BartConfig, BartForSequenceClassification

    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2}
    sizes |= {"decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "vocab_size": 30}
    model = BartForSequenceClassification(BartConfig(**sizes, pad_token_id=0, bos_token_id=2, eos_token_id=1)).eval()
    own = model.get_input_embeddings()(ids()["input_ids"])
    with pytest.raises(UsageError, match="take another architecture"):
        answered(model, ids(), own)
