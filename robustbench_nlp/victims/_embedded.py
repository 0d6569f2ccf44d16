"""A model's answer where its tokens have other embeddings than their own.

How a model is given these is tried, not looked up: as transformers' `inputs_embeds`, or in place of what it looks up itself, for
decoders, which find the last token of a padded text by its number. Imports torch only where a model is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from robustbench_nlp.errors import UsageError

__all__ = ["answered"]

_TOLERANCE = 1e-3
"""Of logits that are the same but for their rounding, in half precision too."""
_Way = Callable[..., Any]
_found: WeakKeyDictionary[Any, dict[bool, _Way]] = WeakKeyDictionary()
"""The way of each model, of batches without and with padding."""


def answered(model: Any, tensors: Mapping[str, Any], vectors: Any, **options: Any) -> Any:
    """The model's outputs for `tensors` (`input_ids` among them) with `vectors` (rows, tokens, dimensions) in place of the input
    embeddings. Raises `UsageError` for a model that can't be given any."""
    ways, padded = _found.setdefault(model, {}), "attention_mask" in tensors
    if padded not in ways:
        ways[padded] = _tried(model, tensors)
    return ways[padded](model, tensors, vectors, **options)


def _tried(model: Any, tensors: Mapping[str, Any]) -> _Way:
    """The first way in which a batch's own embeddings give its own logits."""
    import torch

    learning = model.training
    model.eval()
    try:
        with torch.no_grad():
            plain = model(**tensors).logits
            own = model.get_input_embeddings()(tensors["input_ids"])
            for way in (_given, _looked_up):
                try:
                    same = torch.allclose(way(model, tensors, own).logits, plain, atol=_TOLERANCE, rtol=_TOLERANCE)
                except Exception:  # each architecture has its own errors
                    continue
                if same:
                    return way
    finally:
        model.train(learning)
    raise UsageError(
        f"{type(model).__name__} takes no embeddings in place of its tokens' own; take another architecture, or an attack or a "
        "defense that needs no gradients there"
    )


def _given(model: Any, tensors: Mapping[str, Any], vectors: Any, **options: Any) -> Any:
    others = {name: tensor for name, tensor in tensors.items() if name != "input_ids"}
    return model(inputs_embeds=vectors, **others, **options)


def _looked_up(model: Any, tensors: Mapping[str, Any], vectors: Any, **options: Any) -> Any:
    """Encoder-decoders look up twice, the encoder first; each part may have a module of its own for the weights that they share."""
    own = model.get_input_embeddings()
    taken: list[bool] = []

    def instead(*_: Any) -> Any:
        if taken:
            return None
        taken.append(True)
        return vectors

    sharing = [part for part in model.modules() if part is own or getattr(part, "weight", None) is own.weight]
    hooks = [part.register_forward_hook(instead) for part in sharing]
    try:
        outputs = model(**tensors, **options)
    finally:
        for hook in hooks:
            hook.remove()
    if not taken:
        raise LookupError("nothing was looked up there")
    return outputs
