"""hf:ID_OR_FOLDER: any sequence classifier of the transformers library, from a hub (ID@REVISION) or a folder.

Weights load from safetensors only, and code that comes with a model runs only when asked for.
"""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from robustbench_nlp.attack import Vocabulary
from robustbench_nlp.costs import seconds_trained
from robustbench_nlp.data.example import Input, content_hash
from robustbench_nlp.errors import UsageError, VictimError
from robustbench_nlp.interrupts import batch_ended
from robustbench_nlp.victim import DEFAULT_OPTIONS, Placed, Probabilities, TokenGradients, VictimOptions
from robustbench_nlp.victims._embedded import answered
from robustbench_nlp.victims._reader import Reader, batches, limits, placements
from robustbench_nlp.victims._shortcut import shortened

__all__ = ["load", "HFVictim", "device_of", "files_hash", "local_folder", "longest_input", "pad", "quiet"]  # noqa: RUF022 (the factory first)

AHEAD = 2_048
"""Inputs that are tokenised at a time where a GPU computes meanwhile: enough to fill its batches."""


def load(argument: str, options: VictimOptions = DEFAULT_OPTIONS) -> HFVictim:
    """Open a model by hub id or folder. Raises `UsageError` where there is no such classifier."""
    if not argument:
        raise UsageError("hf: needs a model; write hf:ID or hf:FOLDER")
    return HFVictim.from_folder(local_folder(argument, options), options, name=f"hf:{argument}")


class HFVictim:
    """A transformers sequence classifier.

    `predict` runs length-sorted batches in the options' precision, `predict_exact` one input at a time in float32.
    `forward_seconds` (tokenisation included; on a GPU what is launched and waited for) and `forward_count` (inputs) add up over both. `folder` is where the weights
    came from, `mask_token` what the tokenizer reads as a masked word (None: nothing).
    """

    random = False

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        name: str,
        options: VictimOptions = DEFAULT_OPTIONS,
        folder: Path | None = None,
    ) -> None:
        self.name = name
        self.folder = folder
        self.options = options
        self.forward_seconds = 0.0
        self.forward_count = 0
        self._device = device_of(options)
        self._launches = self._device.type == "cuda"  # Python goes on while it computes
        self._model = model.to(self._device).eval()
        pad(model, tokenizer)
        self._exact = shortened(self._model)
        self.training_seconds = seconds_trained(folder)
        self.added_seconds = 0.0
        self.mask_token: str | None = tokenizer.special_tokens_map.get("mask_token")
        longest = options.max_length or longest_input(tokenizer, model.config)
        self._reader = Reader(tokenizer, longest, model.config.pad_token_id)
        self._fast = self._lowered(options.dtype)
        self._budget, self._overhead = limits(self._device.type)
        names = model.config.id2label
        self.label_names = tuple(str(names[i]) for i in sorted(names))

    def in_precision(self, dtype: str) -> HFVictim:
        """The same victim with its searches in another precision; the weights of the float32 model are shared."""
        twin = copy.copy(self)
        twin.options = replace(self.options, dtype=dtype)
        twin._fast = self._lowered(dtype)
        twin.forward_seconds, twin.forward_count = 0.0, 0
        return twin

    def _lowered(self, dtype: str) -> Any:
        """The model that answers searches in a precision. Raises `UsageError` where it can't be compiled."""
        import torch

        from robustbench_nlp.packing import packed

        model = self._exact if dtype == "float32" else copy.deepcopy(self._exact).to(getattr(torch, dtype))
        return self._compiled(model) if self.options.compile else packed(model)

    def _compiled(self, model: Any) -> Any:
        """The model for texts of any number and length, tried once."""
        import torch

        made = torch.compile(model, dynamic=True)
        tried = [self._reader([text, text]) for text in ("a", "a few more words")]
        try:
            with torch.inference_mode():
                for encodings in tried:
                    self._forward(made, encodings)
        except (
            Exception
        ) as problem:  # a missing C++ compiler, an operation that it doesn't know: each has its own error
            first = str(problem).strip().partition("\n")[0]
            raise UsageError(f"torch can't compile {self.name} here: {first}; drop compile=True") from problem
        return made

    @classmethod
    def from_folder(cls, folder: Path, options: VictimOptions = DEFAULT_OPTIONS, *, name: str) -> HFVictim:
        """Load a saved classifier. Raises `UsageError` where the folder holds none."""
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        if not list(folder.glob("*.safetensors")):
            raise UsageError(
                f"'{name}' has no safetensors weights; convert them with save_pretrained(..., safe_serialization=True)"
            )
        code = {"trust_remote_code": options.trust_remote_code}
        try:
            with quiet():
                tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True, **code)
                model, report = AutoModelForSequenceClassification.from_pretrained(
                    folder, use_safetensors=True, dtype="float32", output_loading_info=True, **code
                )
        except Exception as problem:  # the library raises many kinds for files it cannot read
            first = str(problem).strip().partition("\n")[0]
            raise UsageError(f"cannot open '{name}' as a sequence classifier: {first}") from problem
        _check(name, model, tokenizer, report["missing_keys"])
        model.requires_grad_(False)
        return cls(model, tokenizer, name=name, options=options, folder=folder)

    @property
    def fingerprint(self) -> str:
        """16 hex digits of weights, configuration, tokenizer, precision and maximum length."""
        weights = files_hash(self.folder) if self.folder else _parameters_hash(self._model)
        return content_hash("hf", weights, self.options.dtype, self._reader.max_length)[:16]

    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        """Probabilities, float32 (n, classes), in the options' precision; halves its batches where CUDA memory ends."""
        return self._begun(self._fast, inputs)()

    @property
    def predict_ahead(self) -> Callable[..., Callable[[], Probabilities]] | None:
        """`predict` on a GPU, begun: what is returned waits for the answer. None on a processor, where nothing goes on meanwhile."""
        return (lambda inputs, draw=0: self._begun(self._fast, inputs)) if self._launches else None

    def predict_full(self, inputs: Sequence[Input]) -> Probabilities:
        """The same in float32."""
        return self._begun(self._fast if self.options.dtype == "float32" else self._exact, inputs)()

    def _begun(self, model: Any, inputs: Sequence[Input]) -> Callable[[], Probabilities]:
        """The answers, once they are waited for. On a GPU the forward passes are only launched here, a chunk of inputs at a time, so that
        the next is tokenised while one is computed; the wait is for these alone, not for what was launched since."""
        import torch

        if not inputs:
            return lambda: np.zeros((0, len(self.label_names)), np.float32)
        size = AHEAD if self._launches else len(inputs)
        launched: list[tuple[list[int], Any]] = []
        with self._counted(len(inputs)), torch.inference_mode():
            for start in range(0, len(inputs), size):
                launched += self._launched(model, inputs[start : start + size], start)
            found = torch.cat([part for _, part in launched]).to("cpu", non_blocking=self._launches)
            copied = torch.cuda.current_stream(self._device).record_event() if self._launches else None

        def wait() -> Probabilities:
            if copied is not None:
                with self._counted(0):
                    copied.synchronize()
            answer: Probabilities = np.empty(found.shape, np.float32)
            answer[np.concatenate([rows for rows, _ in launched])] = found.numpy()
            return answer

        return wait

    def _launched(self, model: Any, inputs: Sequence[Input], start: int) -> list[tuple[list[int], Any]]:
        """Row numbers, from `start` on, and answers of each batch, which a GPU may still be computing."""
        import torch

        encodings = self._reader(inputs)
        lengths = [len(encoding) for encoding in encodings]
        while True:
            plan = batches(lengths, self._budget, self._overhead)
            try:
                parts = [self._forward(model, [encodings[row] for row in batch]) for batch in plan]
                return [([start + row for row in batch], part) for batch, part in zip(plan, parts, strict=True)]
            except torch.cuda.OutOfMemoryError:
                if max(map(len, plan)) == 1:
                    raise VictimError(
                        "the device's memory is too small for one input; lower the maximum length"
                    ) from None
                torch.cuda.empty_cache()
                self._budget //= 2

    def predict_exact(self, inputs: Sequence[Input]) -> Probabilities:
        """Probabilities, float32 (n, classes): each input alone, unpadded, in float32."""
        import torch

        with self._counted(len(inputs)), torch.inference_mode():
            rows = [self._forward(self._exact, [encoding]) for encoding in self._reader(inputs)]
            return torch.cat(rows).cpu().numpy() if rows else np.zeros((0, len(self.label_names)), np.float32)

    def gradients(
        self, inputs: Sequence[Input], labels: Sequence[int], placed: Sequence[Placed] | None = None
    ) -> list[TokenGradients]:
        """The cross-entropy of each input's label and its gradient at the input embeddings, in float32, by length."""
        placed = placed or [()] * len(inputs)
        encodings = [self._reader.with_offsets(item) for item in inputs]
        found: dict[int, TokenGradients] = {}
        with self._counted(len(inputs)):
            for rows in batches([len(encoding) for encoding in encodings], self._budget // 4, self._overhead):
                batch = [(encodings[i], labels[i], placed[i]) for i in rows]
                found |= zip(rows, self._gradients(batch), strict=True)
        return [found[row] for row in range(len(inputs))]

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The words that are one token each, with their input embeddings."""
        words = self._reader.whole_words()
        weight = self._model.get_input_embeddings().weight.detach()
        return Vocabulary(tuple(words), weight[list(words.values())].float().cpu().numpy())

    def truncate(self, string: str) -> str:
        """The prefix of the string that the model reads when it stands alone."""
        return self._reader.truncate(string)

    def _forward(self, model: Any, encodings: Sequence[Any]) -> Any:
        batch_ended()  # the one before
        return model(**self._reader.tensors(encodings, self._device)).logits.float().softmax(dim=-1)

    def _gradients(self, batch: Sequence[tuple[Any, int, Placed]]) -> list[TokenGradients]:
        import torch

        encodings = [encoding for encoding, _, _ in batch]
        tensors = self._reader.tensors(encodings, self._device)
        embedded = self._model.get_input_embeddings()(tensors["input_ids"]).detach().clone()
        for row, (encoding, _, vectors) in enumerate(batch):
            for token, vector in placements(vectors, encoding.offsets, encoding.sequence_ids):
                embedded[row, token] = torch.from_numpy(vector).to(embedded)
        embedded.requires_grad_(True)
        logits = answered(self._model, tensors, embedded).logits.float()
        wanted = torch.tensor([label for _, label, _ in batch], device=self._device)
        losses = torch.nn.functional.cross_entropy(logits, wanted, reduction="none")
        (gradient,) = torch.autograd.grad(losses.sum(), embedded)
        return [
            TokenGradients(
                float(loss),
                rows[: len(encoding)].float().cpu().numpy(),
                list(encoding.offsets),
                [-1 if number is None else number for number in encoding.sequence_ids],
            )
            for loss, rows, encoding in zip(losses.detach(), gradient, encodings, strict=True)
        ]

    @contextmanager
    def _counted(self, inputs: int) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.forward_seconds += time.perf_counter() - start
            self.forward_count += inputs


def pad(model: Any, tokenizer: Any) -> None:
    """Give a model without a padding token one: decoders refuse batches else."""
    if model.config.pad_token_id is None:
        offered = (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)
        model.config.pad_token_id = next(number for number in offered if number is not None)


def device_of(options: VictimOptions) -> Any:
    """The torch device that the options mean. Raises `UsageError` for one that isn't there."""
    import torch

    chosen = options.device
    if chosen == "auto":
        chosen = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=chosen).device
    except (RuntimeError, AssertionError) as problem:
        raise UsageError(f"no device '{chosen}' here; use --device cpu or auto") from problem


def longest_input(tokenizer: Any, config: Any) -> int:
    """The most tokens that both tokenizer and model take; 512 where neither says."""
    positions = getattr(config, "max_position_embeddings", None) or 512
    if "roberta" in config.model_type and config.pad_token_id is not None:  # its positions start after the padding's
        positions -= config.pad_token_id + 1
    return int(min(tokenizer.model_max_length, positions))


def local_folder(argument: str, options: VictimOptions = DEFAULT_OPTIONS) -> Path:
    """The folder itself, or a hub model's files fetched into the hub's cache. Raises `UsageError`."""
    folder = Path(argument).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_absolute() or argument.startswith((".", "~")):
        raise UsageError(f"no folder '{argument}'; give a saved model's folder or a hub id")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    name, _, revision = argument.partition("@")
    wanted = ["*.json", "*.safetensors", "*.txt", "*.model", *(["*.py"] if options.trust_remote_code else [])]
    try:
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=wanted, ignore_patterns=["*/*"]))
    except GatedRepoError as problem:
        raise UsageError(
            f"the hub model '{name}' is gated; accept its terms there and log in with `hf auth login`"
        ) from problem
    except (HFValidationError, RepositoryNotFoundError) as problem:
        raise UsageError(f"no folder and no hub model '{name}'; check the spelling") from problem
    except RevisionNotFoundError as problem:
        raise UsageError(f"the hub model '{name}' has no revision '{revision}'") from problem
    except (
        Exception
    ) as problem:  # no connection, a proxy's answer, offline mode: each library version has its own errors
        raise UsageError(
            f"'{name}' is no folder here, not in the hub's cache, and the hub can't be reached ({type(problem).__name__}); "
            "check the connection or give a folder"
        ) from problem


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the transformers library's warnings and bars off the terminal while the block runs."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _check(name: str, model: Any, tokenizer: Any, missing: Sequence[str]) -> None:
    if missing:
        raise UsageError(f"'{name}' has no classification head ({sorted(missing)[0]} is missing); fine-tune it first")
    if not getattr(tokenizer, "is_fast", False):
        raise UsageError(f"'{name}' has no fast tokenizer; save one as tokenizer.json beside the weights")
    if model.config.num_labels < 2:
        raise UsageError(f"'{name}' has a single output: a regression, not a classifier")
    if model.config.problem_type == "multi_label_classification":
        raise UsageError(f"'{name}' gives several labels at once; a classifier with one label per text is wanted")


def files_hash(folder: Path, weights: Sequence[str] = ("*.safetensors",)) -> str:
    """A hex digest of a model folder's weights (by the patterns of their names), configuration and tokenizer files."""
    names = ("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt")
    files = sorted(
        [
            *(file for name in weights for file in folder.glob(name)),
            *(folder / name for name in names if (folder / name).is_file()),
        ]
    )
    digests = {}
    for path in files:
        status = path.stat()
        digests[path.name] = _file_hash(path, status.st_mtime_ns, status.st_size)
    return content_hash(digests)


@cache
def _file_hash(path: Path, changed: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _parameters_hash(model: Any) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
