"""Encoder-decoder models that reword texts: paraphrasers and translators, from a folder or a hub, by beam search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from robustbench_nlp.encoder import EMBEDDED
from robustbench_nlp.errors import UsageError
from robustbench_nlp.victim import VictimOptions
from robustbench_nlp.victims.hf import device_of, local_folder, quiet

__all__ = ["rewriter"]

BATCH = 16
LENGTH = 256
"""The most tokens that are read or written."""


@cache
def rewriter(model: str, device: str = "auto") -> Callable[..., list[list[str]]]:
    """Texts to `n` rewordings each, likeliest first; deterministic, for it is a beam search of at least `n` beams.

    Raises `UsageError` for a model that is no encoder-decoder with safetensors weights, and for "embedded": none ships.
    """
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    if model == EMBEDDED:
        raise UsageError(
            "no rewording model ships; name one by its folder or hub id, such as a T5 paraphraser or Marian"
        )
    folder = local_folder(model)
    if not list(folder.glob("*.safetensors")):
        raise UsageError(
            f"'{model}' has no safetensors weights; convert them with save_pretrained(..., safe_serialization=True)"
        )
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(folder)
            made = AutoModelForSeq2SeqLM.from_pretrained(folder, use_safetensors=True, dtype="float32")
    except Exception as problem:  # the library raises many kinds for files it cannot read
        first = str(problem).strip().partition("\n")[0]
        raise UsageError(f"cannot open '{model}' as an encoder-decoder: {first}") from problem
    place = device_of(VictimOptions(device=device))
    made = made.to(place).eval().requires_grad_(False)

    def reworded(texts: Sequence[str], n: int) -> list[list[str]]:
        return _reworded(texts, n, made, tokenizer, place)

    return reworded


def _reworded(texts: Sequence[str], n: int, model: Any, tokenizer: Any, device: Any) -> list[list[str]]:
    """Batches by length."""
    import torch

    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    found: dict[int, list[str]] = {}
    with torch.inference_mode(), quiet():
        for start in range(0, len(order), BATCH):
            part = order[start : start + BATCH]
            clean = [texts[i].encode("utf-16", "surrogatepass").decode("utf-16", "replace") for i in part]
            batch = tokenizer(clean, padding=True, truncation=True, max_length=LENGTH, return_tensors="pt").to(device)
            made = model.generate(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                num_beams=max(n, 4),
                num_return_sequences=n,
                max_length=LENGTH,
                do_sample=False,
            )
            strings = [string.strip() for string in tokenizer.batch_decode(made, skip_special_tokens=True)]
            found.update((i, strings[row * n : (row + 1) * n]) for row, i in enumerate(part))
    return [found[i] for i in range(len(texts))]
