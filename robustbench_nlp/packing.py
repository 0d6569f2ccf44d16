"""Linear layers whose weights lie as oneDNN wants them: on processors that torch's own library of matrix products serves badly
(AMD's) float32 takes less than half the time, on others about the same, at the same precision.

Imports torch: import it where a model is opened.
"""

from __future__ import annotations

import copy
from typing import Any

import torch

__all__ = ["PackedLinear", "packed"]


class PackedLinear(torch.nn.Module):
    """Answers as a linear layer on the CPU does, without gradients: x (…, in) to x Aᵀ + b (…, out), float32."""

    def __init__(self, layer: torch.nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight, self.bias = layer.weight, layer.bias
        self._packed = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach())

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = torch.ops.mkldnn._linear_pointwise(states, self._packed, self.bias, "none", [], "")
        return answer


def packed(model: Any) -> Any:
    """A twin of the model for inference, all but packed weights shared; the model itself where it is still being trained, isn't in
    float32, or not on a processor that oneDNN serves."""
    weights = [*model.parameters(), *model.buffers()]
    kinds = {(weight.device.type, weight.dtype) for weight in model.parameters()}
    learning = any(weight.requires_grad for weight in weights)
    if learning or kinds != {("cpu", torch.float32)} or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return model
    twin = copy.deepcopy(model, {id(weight): weight for weight in weights})
    for module in list(twin.modules()):
        for name, child in list(module.named_children()):
            if type(child) is torch.nn.Linear:
                setattr(module, name, PackedLinear(child))
    return twin
