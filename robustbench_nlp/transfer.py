"""Transfer: the texts that an attack found against one victim, shown to another. Never part of an adaptive table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar

from robustbench_nlp.attack import Attack, Sample, Score, Steps
from robustbench_nlp.records import Record
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat

__all__ = ["Transfer", "transferred"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Transfer:
    """Shows each example's text of the cell `source` (its fingerprint): what fooled the victim there, else the attack's best
    attempt. An example without one, because it was wrong there from the start, is left alone."""

    threat: Threat
    source: str
    texts: Mapping[str, str | tuple[str, ...]] = field(repr=False, compare=False)
    version: ClassVar[int] = 1
    mode: ClassVar[str] = "transfer"

    def run(self, sample: Sample, rng: Random) -> Steps:
        found = self.texts.get(sample.example.id)
        if found is not None:
            at = list(sample.example.fields).index(sample.field)
            string = found if isinstance(found, str) else found[at]
            if string != str(sample.text):
                yield Score([Text(string)])
        return None


def transferred(attack: Attack, header: Mapping[str, Any], records: Iterable[Record]) -> Transfer:
    """The attack as it was recorded against another victim."""
    texts = {record.example_id: record.adversarial for record in records if record.adversarial is not None}
    return Transfer(threat=attack.threat, source=header["fingerprint"], texts=texts)
