"""A transformers classifier as a folder for ONNX Runtime, held against the original before anybody relies on it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from robustbench_nlp.data.example import Input
from robustbench_nlp.errors import UsageError
from robustbench_nlp.victim import Victim
from robustbench_nlp.victims.hf import HFVictim, quiet
from robustbench_nlp.victims.onnx import MODEL, OnnxVictim

__all__ = ["Agreement", "export"]


class Agreement(NamedTuple):
    """How the exported model answers beside the original: the largest difference of a probability, and the texts, of so many,
    that it answers with another class."""

    largest: float
    changed: int
    texts: int


def export(victim: Victim, target: Path, texts: Sequence[Input], *, int8: bool = False) -> Agreement:
    """Write the victim's model, tokenizer and configuration into the folder `target`, the weights as 8-bit integers if asked, and
    compare both on `texts`.

    Raises `UsageError` for a victim that is no transformers model, for a folder that holds something, and without the extra
    `onnx`.
    """
    if not isinstance(victim, HFVictim) or victim.folder is None:
        raise UsageError(f"{victim.name} is no transformers model; export exports hf: victims and minilm-mr")
    if target.exists() and any(target.iterdir()):
        raise UsageError(f"{target} holds something already; name an empty folder")
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as problem:
        raise UsageError(f"export needs {problem.name}; pip install 'robustbench-nlp[onnx]'") from problem
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    target.mkdir(parents=True, exist_ok=True)
    with quiet():
        AutoTokenizer.from_pretrained(victim.folder, use_fast=True).save_pretrained(target)
        model = AutoModelForSequenceClassification.from_pretrained(victim.folder, use_safetensors=True, dtype="float32")
    model.config.save_pretrained(target)
    path = target / MODEL
    _written(model.eval(), path)
    if int8:
        _quantised(path)
    made = OnnxVictim(target, victim.options, name=f"onnx:{target}")
    before, after = victim.predict_exact(texts), made.predict_exact(texts)
    changed = int((before.argmax(axis=1) != after.argmax(axis=1)).sum())
    return Agreement(float(np.abs(before - after).max(initial=0.0)), changed, len(texts))


def _written(model: Any, path: Path) -> None:
    import logging
    import warnings

    import torch

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.model(input_ids=input_ids, attention_mask=attention_mask).logits

    ids = torch.ones(2, 7, dtype=torch.int64)
    axes = {0: torch.export.Dim("rows"), 1: torch.export.Dim("tokens", max=model.config.max_position_embeddings)}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about itself
        torch.onnx.export(
            Logits().eval(),
            (ids, torch.ones_like(ids)),  # one tensor given twice would become one input
            path,
            dynamo=True,
            verbose=False,
            external_data=False,
            dynamic_shapes=(axes, axes),
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
        )


def _quantised(path: Path) -> None:
    """Replace the model by one whose weights are 8-bit integers, a scale a channel, and activations are quantised as they come.

    Weights keep to 7 of the bits: processors without instructions for 8-bit dot products (VNNI) add pairs of products in 16 bits, which
    8 times 8 bits overflow.
    """
    import logging

    from onnxruntime.quantization import QuantType, quantize_dynamic

    full = path.with_name("float32.onnx")
    shutil.move(path, full)
    logging.getLogger().setLevel(max(logging.ERROR, logging.getLogger().level))
    quantize_dynamic(full, path, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)
    full.unlink()
