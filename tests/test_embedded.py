"""Embeddings in place of a model's own: decoders find their last token, encoder-decoders are served or told apart."""

from __future__ import annotations

import copy
import sys
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_bert
import torch

from robustbench_nlp.data.example import Example
from robustbench_nlp.errors import UsageError
from robustbench_nlp.perturbation import embedded
from robustbench_nlp.plugins import create
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
    "defense",
    [
        *(
            "pgd(step=0.0,init=0.0)",
            "freelb(step=0.0,init=0.0)",
            "freelb_plus(step=0.0,init=0.0)",
            "vat(step=0.0,init=0.0)",
        ),
        *("tavat(step=0.0,init=0.0)", "infobert(steps=1,init=0.0)", "consistency(noises=('typos',),weight=0.0)"),
        *("consistency(aim=1.0,weight=0.0)", "hotflip_training(candidates=('spelling',),weight=0.0)", "dne(steps=0)"),
        *("ascc(weight=0.0)", "mixada(weight=0.0)"),
    ],
)
def test_decoders_learn_from_padded_texts_as_from_each_alone(
    defense: str, decoder: HFVictim, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing perturbed each objective is the mean loss of the texts, none of it read at the padding."""
    monkeypatch.setattr("robustbench_nlp.defenses.consistency.AimedSwaps", lambda *_: lambda *_: {})
    made = create("defense", defense)
    monkeypatch.setattr(sys.modules[type(made).__module__], "further", lambda *_, **how: how["objective"])
    objective: Any = made(decoder, EXAMPLES, Random(0))
    model = copy.deepcopy(decoder._model).requires_grad_(True)

    def loss(texts: list[str], labels: list[int]) -> float:
        torch.manual_seed(0)
        return float(objective(Batch(model, decoder._reader, [*texts], torch.tensor(labels), Random(0))))

    labels = [1, 0, 0]
    alone = [-np.log(row[label]) for row, label in zip(decoder.predict_exact(TEXTS), labels, strict=True)]
    assert loss(TEXTS, labels) == pytest.approx(float(np.mean(alone)), abs=1e-4)


def test_a_mixture_of_a_decoders_texts_ends_where_the_longer_does(
    decoder: HFVictim, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Swapped(Random):
        def sample(self, *_: Any, **__: Any) -> Any:
            return [1, 0]

        def betavariate(self, *_: Any) -> float:
            return 0.0

    monkeypatch.setattr("robustbench_nlp.defenses.mixada.further", lambda *_, **how: how["objective"])
    objective: Any = create("defense", "mixada(weight=1.0)")(decoder, EXAMPLES, Random(0))
    model = copy.deepcopy(decoder._model).requires_grad_(True)
    batch = Batch(model, decoder._reader, TEXTS[1:], torch.tensor([0, 1]), Swapped(0))
    place, entropy = embedded(batch), torch.nn.functional.cross_entropy
    plain, others = place.logits(), place.outputs(place.vectors.flip(0)).logits
    mixed = torch.stack([plain[1], others[1]])  # all of the longer text in the row of the shorter
    wanted = entropy(plain, batch.labels) + entropy(mixed, batch.labels.flip(0))
    assert objective(batch) == pytest.approx(float(wanted.detach()), abs=1e-5)


def ids() -> dict[str, Any]:
    return {"input_ids": torch.tensor([[5, 6, 7, 1], [8, 9, 10, 1]])}


def t5() -> Any:
    from transformers import T5Config, T5ForSequenceClassification

    sizes = {"vocab_size": 30, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    return T5ForSequenceClassification(T5Config(**sizes, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0))


def bart() -> Any:
    from transformers import BartConfig, BartForSequenceClassification

    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2}
    sizes |= {"decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "vocab_size": 30}
    return BartForSequenceClassification(BartConfig(**sizes, pad_token_id=0, bos_token_id=2, eos_token_id=1))


def xlnet() -> Any:
    from transformers import XLNetConfig, XLNetForSequenceClassification

    return XLNetForSequenceClassification(XLNetConfig(vocab_size=30, d_model=16, n_layer=1, n_head=2, d_inner=16))


@pytest.mark.parametrize("made", [t5, bart, xlnet])
def test_encoder_decoders_and_models_that_turn_their_texts_are_served(made: Any) -> None:
    model = made()
    own = model.get_input_embeddings()(ids()["input_ids"])
    outputs = answered(model, ids(), own)
    assert model.training
    model.eval()
    plain = model(**ids()).logits
    torch.testing.assert_close(answered(model, ids(), own).logits, plain)
    assert not torch.allclose(answered(model, ids(), own + torch.randn_like(own)).logits, plain)
    torch.testing.assert_close(model(**ids()).logits, plain)
    assert outputs.logits.requires_grad


class Elsewhere(torch.nn.Module):
    """Says that its input embeddings are others than those that it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.told = torch.nn.Embedding(30, 2), torch.nn.Embedding(30, 2)

    def get_input_embeddings(self) -> torch.nn.Embedding:
        return self.told

    def forward(self, input_ids: Any) -> Any:
        return SimpleNamespace(logits=self.read(input_ids).mean(dim=1))


def test_a_model_that_looks_its_tokens_up_elsewhere_is_refused() -> None:
    model = Elsewhere()
    with pytest.raises(UsageError, match="Elsewhere takes no embeddings in place of its tokens' own"):
        answered(model, ids(), model.told(ids()["input_ids"]))
