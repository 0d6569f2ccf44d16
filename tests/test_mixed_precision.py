"""Matrix products in bfloat16 while a model learns: answers and weights stay float32, and what is learned is the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny_bert
import torch
from test_training import LABELS, QUICK, toy

from robustbench_nlp import training
from robustbench_nlp.mixed_precision import mixed_precision, training_dtype
from robustbench_nlp.training import fine_tune
from robustbench_nlp.victims.hf import HFVictim


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert.save(tmp_path_factory.mktemp("base"), head=False)


def test_answers_gradients_and_weights_are_float32_and_the_model_is_left_as_it_was(base: Path) -> None:
    victim = HFVictim.from_folder(tiny_bert.save(base.parent / "victim"), name="tiny")
    model = victim._model.requires_grad_(True)
    ids = torch.tensor([[2, 5, 6, 3]])
    exact = model(ids).logits
    with mixed_precision(model, "bfloat16"):
        answer = model(ids, output_hidden_states=True)
        torch.autograd.backward(answer.logits.sum())
    assert answer.logits.dtype == answer.hidden_states[-1].dtype == torch.float32
    assert not torch.equal(answer.logits, exact)
    torch.testing.assert_close(answer.logits, exact, atol=0.05, rtol=0.05)
    assert {p.grad.dtype for p in model.parameters() if p.grad is not None} == {torch.float32}
    assert torch.equal(model(ids).logits, exact)


def test_a_model_is_left_as_it_was_after_an_error(base: Path) -> None:
    model = HFVictim.from_folder(tiny_bert.save(base.parent / "failing"), name="tiny")._model
    ids = torch.tensor([[2, 5, 6, 3]])
    exact = model(ids).logits
    with pytest.raises(RuntimeError, match="planted"), mixed_precision(model, "bfloat16"):
        raise RuntimeError("planted")
    assert torch.equal(model(ids).logits, exact)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_rule_is_learned_in_either_precision_and_the_record_says_which(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    monkeypatch.setattr(training, "training_dtype", lambda device: dtype)
    assert fine_tune(tmp_path, base, *toy(), label_names=LABELS, seed=0, recipe=QUICK) >= 0.95
    assert json.loads((tmp_path / "training.json").read_text("utf-8"))["dtype"] == dtype
    weights = HFVictim.from_folder(tmp_path, name="learned")._model.state_dict().values()
    assert {tensor.dtype for tensor in weights if tensor.is_floating_point()} == {torch.float32}


def test_a_processor_without_units_for_it_trains_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    assert training_dtype(torch.device("cpu")) == "float32"
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert training_dtype(torch.device("cpu")) == "bfloat16"
    assert training_dtype(torch.device("meta")) == "float32"
