"""What tests of the engine share: attacks that do as they are told, and a victim that remembers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any

from robustbench_nlp.attack import Sample, Score, Scores, Steps
from robustbench_nlp.data.example import Example
from robustbench_nlp.engine import Engine
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.records import Record
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat

WORDS = ["a", "really", "good", "film", "with", "a", "fine", "cast", "and", "bad", "lighting", "but", "great", "music"]
ANY = Threat(name="any")
TWO_QUERIES = Threat(name="any", max_queries=2)


def examples(n: int, label: int = 1) -> list[Example]:
    return [Example(fields={"text": f"{' '.join(WORDS)} number {i}"}, label=label) for i in range(n)]


def plain(records: Sequence[Record]) -> list[dict[str, Any]]:
    kept = [{key: value for key, value in asdict(record).items() if key != "seconds"} for record in records]
    return sorted(kept, key=lambda record: record["example_id"])


class Recorder:
    """A keyword victim that remembers what it was asked."""

    name = "recorder"
    label_names = ("negative", "positive")
    random = False
    fingerprint = "recorder"

    def __init__(self) -> None:
        self.inner = KeywordVictim()
        self.calls: list[list[Any]] = []

    def predict(self, inputs: Sequence[Any], draw: int = 0) -> Any:
        self.calls.append(list(inputs))
        return self.inner.predict(inputs)


@dataclass(frozen=True, kw_only=True)
class Asks:
    """Yields the given requests as they are and returns the given text."""

    requests: tuple[Any, ...] = ()
    returns: str | None = None
    threat: Threat = ANY
    heard: list[Scores] = field(default_factory=list)

    def run(self, sample: Sample, rng: Random) -> Steps:
        for request in self.requests:
            self.heard.append((yield request))
        return None if self.returns is None else Text(self.returns)


def score(*strings: str, **kwargs: Any) -> Score:
    return Score([Text(string) for string in strings], **kwargs)


GOOD = Example(fields={"text": "a good film"}, label=1)


def one(attack: Any, victim: Any = None, example: Example = GOOD, **kwargs: Any) -> Record:
    (record,) = Engine(attack, victim or KeywordVictim(), name="test", **kwargs).run([example])
    return record
