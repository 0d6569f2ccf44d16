"""The Attack protocol: a generator that yields typed requests; the engine answers them."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp.data.example import Example
from robustbench_nlp.errors import UsageError
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat

__all__ = [
    "HOLE",
    "REQUESTS",
    "Attack",
    "Blank",
    "Encode",
    "FillMask",
    "Fluency",
    "Generate",
    "Gradient",
    "Gradients",
    "Help",
    "Helped",
    "Probe",
    "Request",
    "Sample",
    "Score",
    "Scores",
    "Steps",
    "Together",
    "Vocabulary",
    "as_attack",
]


class Vocabulary(NamedTuple):
    """The words that a victim reads as one token each, and their input embeddings, float32 (words, dimensions)."""

    words: tuple[str, ...]
    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What an attack sees of one example: the text it may edit, its score, the label and the threat.

    `text` is the field under attack (`field`), cut to what the victim reads. An attempted example is classified right,
    so `label` is no secret; `score` is what query 1, the clean text, scored (0.0 under a decision threat). `vocabulary`
    is the victim's, under a gradient threat and where it has one; `prepared` is what the attack's `prepare` made.
    """

    example: Example
    text: Text
    field: str
    label: int
    threat: Threat
    score: float = 0.0
    vocabulary: Vocabulary | None = None
    prepared: Any = None


@dataclass(frozen=True, slots=True)
class Score:
    """Score candidates; each counts as one query.

    Among candidates whose prediction fools the victim the referee confirms in descending order of score, or of
    `preference` (one number a text) where there is one, and stops at the first that holds (`confirm="best"`), or tries
    them all (`confirm="all"`).
    """

    texts: Sequence[Text]
    confirm: Literal["best", "all"] = "best"
    preference: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if self.preference is not None and len(self.preference) != len(self.texts):
            raise ValueError(f"{len(self.texts)} texts, but {len(self.preference)} numbers of preference")


@dataclass(frozen=True, slots=True)
class Probe:
    """Score texts that are not candidates (a word masked or left out): never a success; each counts as one query."""

    texts: Sequence[Text]


@dataclass(frozen=True, slots=True)
class Gradient:
    """Loss and its gradient at the input embeddings, per text; white-box threats only; each counts as one query.

    `vectors` puts other embeddings, float32 (dimensions), in place of words that are one token each: by word slot, for each
    text.
    """

    texts: Sequence[Text]
    vectors: Sequence[Mapping[int, NDArray[np.float32]]] | None = None


HOLE = "\ufffc"
"""Where `Blank.before` and `.after` hide a word more (the object replacement character): the model reads a mask there too."""


class Blank(NamedTuple):
    """A place in a text for a masked language model: what stands before and after it, and the word that it reads there
    (None: a mask)."""

    before: str
    after: str
    word: str | None = None


@dataclass(frozen=True, slots=True)
class Encode:
    """Sentence vectors, float32 (n, dimensions) of unit length."""

    items: Sequence[str]
    model: str = "embedded"
    settings: ClassVar[dict[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class FillMask:
    """The `k` likeliest whole words at each blank: lists of (word, probability), best first."""

    items: Sequence[Blank]
    k: int = 50
    model: str = "embedded"

    @property
    def settings(self) -> dict[str, Any]:
        return {"k": self.k}


@dataclass(frozen=True, slots=True)
class Fluency:
    """The mean log-likelihood of each text's tokens (natural logarithm); higher reads better."""

    items: Sequence[str]
    model: str = "embedded"
    settings: ClassVar[dict[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class Generate:
    """What a sequence-to-sequence model makes of each text: lists of at most `n` distinct strings, the likeliest first.

    By beam search, or at a `temperature` above 0 by drawing tokens (with noise that follows from the text and the number
    of the draw alone). A text that isn't finished within `max_tokens` tokens is left out.
    """

    items: Sequence[str]
    model: str
    n: int = 1
    temperature: float = 0.0
    max_tokens: int = 128

    @property
    def settings(self) -> dict[str, Any]:
        return {"n": self.n, "temperature": self.temperature, "max_tokens": self.max_tokens}


Help = Encode | FillMask | Fluency | Generate
"""Requests to helper models, by name ("embedded": the one that comes with the package); no query, a helper call an item."""
Request = Score | Probe | Gradient | Help
Helped = tuple[tuple[type[Help], str], ...]
"""Kinds of requests to helper models, each with the model's name."""
REQUESTS = (Score, Probe, Gradient, Encode, FillMask, Fluency, Generate)


class Scores(NamedTuple):
    """The answer to `Score` and `Probe`, one entry a text: `score` in [0, 1] (higher fools better, rounded to 1e-5) and
    the referee's confirmed `success`; `outputs` are the class probabilities. Under a decision threat the score is 1.0 or
    0.0 (another class, or not) and there are no outputs."""

    score: list[float]
    success: list[bool]
    outputs: Sequence[Sequence[float]] | None = None


@dataclass(frozen=True, slots=True)
class Together:
    """`Probe` or `Gradient` for texts of several samples at once: what a `prepare` generator yields. The answer is one
    `Scores` or `Gradients` a pair."""

    kind: type[Probe] | type[Gradient]
    pairs: Sequence[tuple[Sample, Text]]


class Gradients(NamedTuple):
    """The answer to one text of `Gradient`: the loss of the true label, its gradient at the input embeddings
    (tokens, dimensions), and each token's word slot (-1: none)."""

    loss: float
    gradient: NDArray[np.float32]
    words: list[int]


Steps = Generator[Request, Any, Text | None]


@runtime_checkable
class Attack(Protocol):
    """One published attack. A frozen, keyword-only dataclass: its settings are its identity.

    `run` returns its adversarial text, or None to leave the choice to the engine (the best confirmed success, else the
    best score). Randomness comes only from `rng`. Class variables that the engine reads when they are there: `version`
    (int, default 1; raised by any change of behaviour), `mode` ("noise" for attacks without a search, "reduction" for those
    that keep the prediction), `goal` (a `tasks.classification.Goal`, by default any other class),
    `places_embeddings` (True when its `Gradient` requests hold vectors), and `one_at_a_time` (True when the attack drives a
    library that uses process-wide state), and `drawn_from` (the tables and kinds of edits that it draws on and that
    `Threat.candidates` doesn't name, for `defense.knows`). An attack that asks helper models
    names them in a property `helpers` (`Helped`), so that the models' weights enter its cells' fingerprints. An attack that learns first has
    `prepare(samples, rng)`, a generator of `Together` requests, run once per cell on the dev split.
    """

    @property
    def threat(self) -> Threat: ...

    def run(self, sample: Sample, rng: Random) -> Steps: ...


def as_attack(made: object) -> Attack:
    """The object, if it is an attack. Raises `UsageError` for anything else, and for a threat that the engine can't run."""
    kind = type(made).__name__
    if not isinstance(made, Attack):
        raise UsageError(f"a {kind} is no attack; give a selector or an object with `threat` and `run`")
    if not isinstance(made.threat, Threat):
        raise UsageError(f"the threat of {kind} is {made.threat!r}; give a robustbench_nlp.Threat")
    if len(made.threat.fields) > 1:
        raise UsageError(
            f"the threat of {kind} names {len(made.threat.fields)} fields; an attack changes one, name that"
        )
    return made
