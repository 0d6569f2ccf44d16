"""Packed linear layers answer as the plain ones do, on shared weights, and only where nothing learns."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_bert
import torch

from robustbench_nlp.packing import PackedLinear, packed
from robustbench_nlp.victims.hf import HFVictim

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN")


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> HFVictim:
    return HFVictim.from_folder(tiny_bert.save(tmp_path_factory.mktemp("tiny")), name="tiny")


@pytest.mark.parametrize("shape", [(1, 7), (3, 7), (2, 5, 7), (0, 7)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_layer_answers_as_the_layer_does(shape: tuple[int, ...], bias: bool) -> None:
    layer = torch.nn.Linear(7, 11, bias=bias).requires_grad_(False)
    states = torch.randn(shape)
    torch.testing.assert_close(PackedLinear(layer)(states), layer(states), atol=1e-5, rtol=1e-5)


def test_a_victim_searches_with_packed_layers_and_answers_as_its_exact_self(victim: HFVictim) -> None:
    kinds = {type(module) for module in victim._fast.modules()}
    assert PackedLinear in kinds
    assert torch.nn.Linear not in kinds
    texts = ["a good film", "bad", "the film is a good film"]
    np.testing.assert_allclose(victim.predict(texts), victim.predict_exact(texts), atol=1e-5)


def test_other_weights_are_shared_and_the_model_keeps_its_layers(victim: HFVictim) -> None:
    twin = packed(victim._model)
    assert twin.get_input_embeddings().weight is victim._model.get_input_embeddings().weight
    assert not any(isinstance(module, PackedLinear) for module in victim._model.modules())


def test_what_learns_or_is_in_low_precision_is_left_as_it_is(victim: HFVictim) -> None:
    learning = torch.nn.Sequential(torch.nn.Linear(3, 3))
    assert packed(learning) is learning
    low = torch.nn.Sequential(torch.nn.Linear(3, 3)).requires_grad_(False).to(torch.bfloat16)
    assert packed(low) is low
    twin = victim.in_precision("bfloat16")
    assert not any(isinstance(module, PackedLinear) for module in twin._fast.modules())
    assert any(isinstance(module, PackedLinear) for module in twin.in_precision("float32")._fast.modules())
