"""Training in bfloat16 where the hardware computes in it, with weights, losses and updates in float32 (Micikevicius et al., 2018;
for bfloat16 Kalamkar et al., 2019)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

__all__ = ["mixed_precision", "training_dtype"]


def training_dtype(device: Any) -> str:
    """ "bfloat16" where the processor or the GPU of a torch device has units for it, else "float32": a property of the machine,
    not a measurement, so that a training is the same each time."""
    import torch

    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device.type != "cpu":
        return "float32"
    units = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return "bfloat16" if any(getattr(torch.cpu, name, bool)() for name in units) else "float32"


@contextmanager
def mixed_precision(model: Any, dtype: str) -> Iterator[None]:
    """Inside, calls of the model multiply matrices in `dtype` and answer in float32; its weights and their gradients stay
    float32."""
    import torch

    if dtype == "float32":
        yield
        return
    forward, low = model.forward, getattr(torch, dtype)
    device = next(model.parameters()).device.type

    def lowered(*args: Any, **kwargs: Any) -> Any:
        with torch.autocast(device, low):
            return _in_float32(forward(*args, **kwargs))

    model.forward = lowered
    try:
        yield
    finally:
        del model.forward


def _in_float32(found: Any) -> Any:
    import torch

    if isinstance(found, torch.Tensor):
        return found.float() if found.is_floating_point() else found
    if isinstance(found, tuple):
        return tuple(map(_in_float32, found))
    if isinstance(found, Mapping):
        return type(found)(**{name: _in_float32(part) for name, part in found.items()})
    return found
