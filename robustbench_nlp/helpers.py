"""Helper models by name: sentence encoders, language models, rewriters; each loaded when first asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from robustbench_nlp.attack import Encode, FillMask, Fluency, Generate, Help

__all__ = ["Answer", "Helpers", "identity", "provider"]

Answer = Callable[..., Any]
"""Items to a sequence of answers, one each; keyword arguments are the request's other settings."""


def provider(kind: type[Help], model: str, device: str = "auto", dtype: str = "float32") -> Answer:
    """What answers requests of a kind by the named model in a precision; a rewriter draws, so it is always in float32.

    Raises `UsageError` where it can't be had.
    """
    if kind is Encode:
        from robustbench_nlp.encoder import encoder

        return encoder(model, device, dtype)
    if kind is Generate:
        from robustbench_nlp.seq2seq import generator

        return generator(model, device)
    from robustbench_nlp import language_model

    if kind is FillMask:
        return language_model.masked(model, device, dtype)
    if kind is Fluency:
        return language_model.fluency(model, device, dtype)
    raise TypeError(f"nobody answers {kind.__name__}")


def identity(kind: type[Help], model: str) -> str:
    """16 hex digits of the weights and the tokenizer that the named model has here. Raises `UsageError` without it."""
    from robustbench_nlp import encoder, language_model
    from robustbench_nlp.victims.hf import files_hash

    return files_hash(encoder.folder_of(model) if kind is Encode else language_model.folder_of(model))[:16]


class Helpers:
    """Answers helper requests of one kind, model and settings in one call; `given` stands before what `provider` loads.

    Attacks search with helpers in `dtype`; what is credited or recorded is measured by `exact` ones, in float32.
    """

    def __init__(
        self,
        device: str = "auto",
        given: Mapping[tuple[type[Help], str], Answer] | None = None,
        dtype: str = "float32",
    ) -> None:
        self._device = device
        self._dtype = dtype
        self._given = dict(given or {})
        self._loaded: dict[tuple[type[Help], str, str], Answer] = {}

    def get(self, kind: type[Help], model: str) -> Answer:
        return self._named(kind, model, self._dtype)

    def exact(self, kind: type[Help], model: str) -> Answer:
        return self._named(kind, model, "float32")

    def _named(self, kind: type[Help], model: str, dtype: str) -> Answer:
        if (kind, model) in self._given:
            return self._given[kind, model]
        if (kind, model, dtype) not in self._loaded:
            self._loaded[kind, model, dtype] = provider(kind, model, self._device, dtype)
        return self._loaded[kind, model, dtype]

    def identity(self, kind: type[Help], model: str) -> str:
        """What tells the model from any other of its name; "given" where it was given without a `fingerprint`."""
        given = self._given.get((kind, model))
        return str(getattr(given, "fingerprint", "given")) if given is not None else identity(kind, model)

    def __call__(self, requests: Sequence[Help]) -> list[Sequence[Any]]:
        """The answers to requests that share kind, model and settings, in order."""
        first = requests[0]
        answers = self.get(type(first), first.model)([item for r in requests for item in r.items], **first.settings)
        parts, start = [], 0
        for request in requests:
            parts.append(answers[start : start + len(request.items)])
            start += len(request.items)
        return parts
