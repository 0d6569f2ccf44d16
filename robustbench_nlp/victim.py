"""What is attacked: the Victim protocol, and how a selector or a function becomes one."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp import plugins
from robustbench_nlp.data.example import Input, content_hash
from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.patience import Patience

__all__ = [
    "DEFAULT_OPTIONS",
    "FunctionVictim",
    "Placed",
    "Probabilities",
    "TokenGradients",
    "Victim",
    "VictimOptions",
    "as_victim",
    "open_victim",
    "refuse_code",
]

Probabilities = NDArray[np.float32]


class TokenGradients(NamedTuple):
    """What `gradients` gives for one input: the loss of the true label, its gradient at the input embeddings, float32 (tokens, dimensions), each token's
    (start, end) in code points of its field, and the field's number (-1: a special token)."""

    loss: float
    gradient: NDArray[np.float32]
    offsets: list[tuple[int, int]]
    fields: list[int]


Placed = Sequence[tuple[int, int, NDArray[np.float32]]]
"""Embeddings in place of an input's own: (field number, a place in it in code points, vector for the token that reads it; where
none does, as behind what is truncated, nothing changes)."""


@runtime_checkable
class Victim(Protocol):
    """Anything that turns inputs into class probabilities.

    `name` is what tables print; `label_names` meet the dataset's by name (empty: the dataset's own order is meant);
    `random` says whether equal inputs may get unequal answers; `fingerprint` changes with anything that changes a
    prediction (weights, precision, tokenizer, maximum length, defenses). Optional capabilities, looked up by `getattr`:
    `predict_exact(inputs)`, the referee's full-precision answer to each input alone where `predict` is a faster approximation;
    `predict_full(inputs)`, the same in batches;
    `predict_ahead(inputs, draw=0)`, which begins what `predict` does and returns a function that waits for the answer, where work goes on
    meanwhile (None: nowhere);
    `predict_drawn(inputs, draws, exact)`, the answer to each input under the draw of the same place, in one call (`drawn`);
    `predict_apart(inputs)`, the answer (1, classes) or `VictimError` of each input asked alone, where that can be done side by side;
    `gradients(inputs, labels, placed=...)`, a `TokenGradients` an input, with `Placed` embeddings where they are given, of a random victim under
    one `draw=...`;
    `vocabulary`, for attacks that look words up by gradient; `truncate(string)`, the part of the string that the victim
    reads; `batch_size`, the most inputs that one call should get; `mask_token`, what it reads as a masked word;
    `forwards_per_prediction`, the texts that its models read for one (1 where it isn't there); `training_seconds`
    of a model, and `added_seconds`, how long defenses trained since (0 where it isn't there, NaN: not known); `spending`, what asking it costs (a
    `Spending`), and `keep_in(folder, resume=...)`, which counts that in a run folder; `one_process`, whether its rate or its budget can't be shared with other processes; `selector`, how it is named
    without settings that change no prediction; and what `Certified` needs.
    A wrapper has only the capabilities that it declares.
    """

    @property
    def name(self) -> str: ...

    @property
    def label_names(self) -> tuple[str, ...]: ...

    @property
    def random(self) -> bool: ...

    @property
    def fingerprint(self) -> str: ...

    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        """Probabilities, float32 (n, classes), rows summing to 1; a random victim is seeded by (seed, input, draw)."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class VictimOptions:
    """How a victim is opened. `device` is "auto", "cpu", "cuda", …; `dtype` is the precision of the search ("float32",
    "bfloat16", "float16"), the referee always works in float32; `compile` has torch compile the model that searches; `max_length` counts tokens (None: the model's own);
    `timeout` is how many seconds a function or a server may take for a batch (None: as long as it takes, or a server's
    minute)."""

    device: str = "auto"
    dtype: str = "float32"
    compile: bool = False
    max_length: int | None = None
    trust_remote_code: bool = False
    timeout: float | None = None

    def __post_init__(self) -> None:
        """Raises `UsageError` for what is no time."""
        if self.timeout is not None and not (isinstance(self.timeout, int | float) and self.timeout > 0):
            raise UsageError(f"timeout is {self.timeout!r}; give seconds, more than 0")


DEFAULT_OPTIONS = VictimOptions()


def open_victim(selector: str, options: VictimOptions = DEFAULT_OPTIONS) -> Victim:
    """The victim of a selector: `minilm-mr`, `hf:FOLDER`, `http:URL`, …; settings in parentheses override the options, or are those of the
    plug-in itself, keywords of its factory: `http(concurrency=8):URL`.

    Raises `UsageError`.
    """
    name, argument, settings = plugins.parse(selector)
    if name == "https":
        name, argument = "http", f"https:{argument}"
    make = plugins.factory("victim", name)
    general = [field.name for field in dataclasses.fields(VictimOptions)]
    own = [p.name for p in inspect.signature(make).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for setting in settings:
        if setting not in (*general, *own):
            raise unknown("victim setting", setting, [*general, *own])
    chosen = dataclasses.replace(options, **{key: value for key, value in settings.items() if key in general})
    victim: Victim = make(argument, chosen, **{key: value for key, value in settings.items() if key in own})
    return victim


def refuse_code(selector: str, place: Path) -> None:
    """Raises `UsageError` for a selector that a file of somebody else's names and that would run its code, or send texts and a
    token to its server."""
    name, _, settings = plugins.parse(selector)
    does = {"python": "runs code", "http": "sends texts to a server", "https": "sends texts to a server"}.get(name)
    if does or settings.get("trust_remote_code"):
        raise UsageError(
            f"{place.name} names the victim {selector}, which {does or 'runs code'}; look at it, then add --trust "
            "(trust=True), or name another with --victim"
        )


def as_victim(victim: object, options: VictimOptions = DEFAULT_OPTIONS) -> Victim:
    """A victim as it is, a selector opened, a callable `texts -> (n, classes)` wrapped. Raises `UsageError` for the rest."""
    if isinstance(victim, str):
        return open_victim(victim, options)
    if isinstance(victim, Victim):
        return victim
    if callable(victim):
        return FunctionVictim(victim, timeout=options.timeout)
    raise UsageError(
        f"a {type(victim).__name__} is no victim; give a selector, a callable texts -> (n, classes), or a Victim"
    )


class FunctionVictim:
    """A plain function `list of inputs -> (n, classes)` as a victim, given up after `timeout` seconds; its answers are checked
    by whoever asks."""

    label_names: tuple[str, ...] = ()
    random = False

    def __init__(
        self, function: Callable[[list[Input]], Any], name: str | None = None, timeout: float | None = None
    ) -> None:
        self.function = function
        self.name = name or str(getattr(function, "__qualname__", type(function).__name__))
        self._patience = Patience(timeout, self.name)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of the function's name, its source file's bytes, and what it holds besides (`_state`)."""
        kind = self.function if hasattr(self.function, "__qualname__") else type(self.function)
        try:
            source = Path(inspect.getsourcefile(kind) or "").read_bytes()
        except (TypeError, OSError):
            source = getattr(getattr(kind, "__code__", None), "co_code", b"")
        digest = hashlib.sha256(source).hexdigest()
        return content_hash("function", kind.__module__, kind.__qualname__, digest, _state(self.function))[:16]

    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        answer = self._patience(lambda: self.function(list(inputs)), len(inputs))
        made: Probabilities = np.asarray(answer, dtype=np.float32)
        return made


def _state(function: Any) -> str:
    """A digest of what a callable holds: a function's constants and closure, else the object itself, pickled.

    Where that can't be pickled it is a new token each time, so that nothing takes up the records of another object.
    """
    held = function
    if inspect.isfunction(function):
        constants = [constant for constant in function.__code__.co_consts if not inspect.iscode(constant)]
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
        held = function.__code__.co_code, constants, cells, function.__defaults__, function.__kwdefaults__
    try:
        return hashlib.sha256(pickle.dumps(held)).hexdigest()
    except Exception:  # what refuses to be pickled says so in many ways
        return uuid4().hex
