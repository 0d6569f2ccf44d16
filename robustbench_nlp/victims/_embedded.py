"""A model's answer where its tokens have other embeddings than their own.

The model gets the tokens too, unlike with transformers' `inputs_embeds`: by them decoders find the last one of a padded text, and
encoder-decoders make what their decoder reads. Imports torch objects only: nothing here loads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from robustbench_nlp.errors import UsageError

__all__ = ["answered"]


def answered(model: Any, tensors: Mapping[str, Any], vectors: Any, **options: Any) -> Any:
    """The model's outputs for `tensors` (`input_ids` among them) with `vectors` (rows, tokens, dimensions) where it first looks its
    input embeddings up. Raises `UsageError` for a model that looks them up elsewhere."""
    taken: list[bool] = []

    def instead(*_: Any) -> Any:
        if taken:  # a decoder that shares the encoder's embeddings has its own tokens
            return None
        taken.append(True)
        return vectors

    hook = model.get_input_embeddings().register_forward_hook(instead)
    try:
        outputs = model(**tensors, **options)
    finally:
        hook.remove()
    if not taken:
        raise UsageError(
            f"{type(model).__name__} doesn't read its input embeddings where it says it has them, so nothing can be put in their place; "
            "take another architecture, or an attack or a defense that needs no gradients"
        )
    return outputs
