"""onnx:FOLDER: a classifier for ONNX Runtime, as `robustbench-nlp export` writes it: model.onnx beside its tokenizer and config.json.

The model takes `input_ids`, and if it likes `attention_mask` and `token_type_ids` (int64, rows × tokens); its first output are
logits. A quantised model is a victim of its own: the referee asks it too, one input at a time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from robustbench_nlp.data.example import Input, content_hash
from robustbench_nlp.errors import UsageError
from robustbench_nlp.interrupts import batch_ended
from robustbench_nlp.victim import DEFAULT_OPTIONS, Probabilities, VictimOptions
from robustbench_nlp.victims._reader import Reader, batches, limits
from robustbench_nlp.victims.hf import files_hash, longest_input, quiet

__all__ = ["load", "OnnxVictim"]  # noqa: RUF022 (the factory first)

MODEL = "model.onnx"
WEIGHTS = ("*.onnx", "*.onnx.data", "*.onnx_data")


def load(argument: str, options: VictimOptions = DEFAULT_OPTIONS) -> OnnxVictim:
    """Open an exported model's folder. Raises `UsageError` where there is none, or without ONNX Runtime."""
    if not argument:
        raise UsageError("onnx: needs a folder; `robustbench-nlp export --victim hf:MODEL FOLDER` makes one")
    return OnnxVictim(Path(argument).expanduser(), options, name=f"onnx:{argument}")


class OnnxVictim:
    """`forward_seconds` (tokenisation included) and `forward_count` (inputs) add up over all calls."""

    random = False

    def __init__(self, folder: Path, options: VictimOptions = DEFAULT_OPTIONS, *, name: str) -> None:
        """Raises `UsageError` for a folder that is no exported classifier."""
        from transformers import AutoConfig, AutoTokenizer

        missing = [file for file in (MODEL, "config.json", "tokenizer.json") if not (folder / file).is_file()]
        if missing:
            raise UsageError(
                f"{folder} has no {missing[0]}; `robustbench-nlp export --victim hf:MODEL FOLDER` writes all that is needed"
            )
        self.name = name
        self.folder = folder
        self.forward_seconds = 0.0
        self.forward_count = 0
        self._session = _opened(folder / MODEL, options.device)
        self._wanted = [item.name for item in self._session.get_inputs()]
        with quiet():
            config = AutoConfig.from_pretrained(folder)
            tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True)
        self.label_names = tuple(str(config.id2label[i]) for i in sorted(config.id2label))
        self._reader = Reader(tokenizer, options.max_length or longest_input(tokenizer, config), config.pad_token_id)
        self.mask_token: str | None = tokenizer.special_tokens_map.get("mask_token")

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of model, configuration, tokenizer and maximum length."""
        return content_hash("onnx", files_hash(self.folder, WEIGHTS), self._reader.max_length)[:16]

    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        """Probabilities, float32 (n, classes), in batches of near-equal length."""
        if not inputs:
            return np.zeros((0, len(self.label_names)), np.float32)
        start = time.perf_counter()
        encodings = self._reader(inputs)
        plan = batches([len(encoding) for encoding in encodings], *limits("cpu"))
        rows = np.concatenate([self._forward([encodings[row] for row in batch]) for batch in plan])
        answer: Probabilities = np.empty_like(rows)
        answer[np.concatenate(plan)] = rows
        self._count(start, len(inputs))
        return answer

    def predict_exact(self, inputs: Sequence[Input]) -> Probabilities:
        """Probabilities, float32 (n, classes): each input alone, unpadded."""
        if not inputs:
            return np.zeros((0, len(self.label_names)), np.float32)
        start = time.perf_counter()
        rows: Probabilities = np.concatenate([self._forward([encoding]) for encoding in self._reader(inputs)])
        self._count(start, len(inputs))
        return rows

    def truncate(self, string: str) -> str:
        """The prefix of the string that the model reads when it stands alone."""
        return self._reader.truncate(string)

    def _forward(self, encodings: Sequence[Any]) -> Probabilities:
        tensors = {name: tensor.numpy() for name, tensor in self._reader.tensors(encodings, "cpu").items()}
        shape = tensors["input_ids"].shape
        defaults = {"attention_mask": np.ones(shape, np.int64), "token_type_ids": np.zeros(shape, np.int64)}
        logits = self._session.run(None, {name: tensors.get(name, defaults.get(name)) for name in self._wanted})[0]
        batch_ended()
        exps = np.exp(logits.astype(np.float32) - logits.max(axis=-1, keepdims=True).astype(np.float32))
        probabilities: Probabilities = exps / exps.sum(axis=-1, keepdims=True)
        return probabilities

    def _count(self, start: float, inputs: int) -> None:
        self.forward_seconds += time.perf_counter() - start
        self.forward_count += inputs


def _opened(path: Path, device: str) -> Any:
    """The session, on the GPU where one is asked for (or there, for `auto`)."""
    try:
        import onnxruntime
    except ImportError as problem:
        raise UsageError("onnx: needs ONNX Runtime; pip install 'robustbench-nlp[onnx]'") from problem
    from torch import get_num_threads

    there = onnxruntime.get_available_providers()
    if device.startswith("cuda") and "CUDAExecutionProvider" not in there:
        raise UsageError("this ONNX Runtime has no CUDA; install onnxruntime-gpu, or use --device cpu")
    wanted = ["CPUExecutionProvider"] if device == "cpu" else ["CUDAExecutionProvider", "CPUExecutionProvider"]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = get_num_threads()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=[name for name in wanted if name in there])
    except Exception as problem:  # the library has a dozen kinds for files that it can't read
        first = str(problem).strip().partition("\n")[0]
        raise UsageError(f"cannot open {path} as an ONNX model: {first}") from problem
