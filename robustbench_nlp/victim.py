"""What is attacked: the Victim protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp.data.example import Input

__all__ = ["Probabilities", "Victim", "VictimOptions"]

Probabilities = NDArray[np.float32]


@runtime_checkable
class Victim(Protocol):
    """Anything that turns inputs into class probabilities.

    `name` is what tables print; `label_names` meet the dataset's by name (empty: the dataset's own order is meant);
    `random` says whether equal inputs may get unequal answers; `fingerprint` changes with anything that changes a
    prediction (weights, precision, tokenizer, maximum length, defenses). Optional capabilities, looked up by `getattr`:
    `predict_exact(inputs)`, the referee's full-precision answer where `predict` is a faster approximation;
    `gradients(inputs, labels)`; `truncate(string)`, the part of the string that the victim reads; `batch_size`, the
    most inputs that one call should get. A wrapper has only the capabilities that it declares.
    """

    name: str
    label_names: tuple[str, ...]
    random: bool

    @property
    def fingerprint(self) -> str: ...

    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        """Probabilities, float32 (n, classes), rows summing to 1; a random victim is seeded by (seed, input, draw)."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class VictimOptions:
    """How a victim is opened. `device` is "auto", "cpu", "cuda", …; `dtype` is the precision of the search ("float32",
    "bfloat16", "float16"), the referee always works in float32; `max_length` counts tokens (None: the model's own)."""

    device: str = "auto"
    dtype: str = "float32"
    max_length: int | None = None
    trust_remote_code: bool = False
