"""Robust encodings (Jones et al., 2020): words that a typo can't tell apart become one word before the victim reads them.

The training split's words, `don't` and `well-made` among them, are clustered by typos, every word with a letter is replaced by
the code of its cluster, and the victim goes on learning from coded texts. Differs from the paper: clusters are stars around
frequent words, between its connected components (stable) and its agglomerative clusters (faithful); a code is a word of the
victim's own language.
It certifies against one typo in each of so many words (`robustbench-nlp certify`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import ClassVar

from robustbench_nlp.data.example import Example, content_hash
from robustbench_nlp.edits.characters import INTERNAL_KINDS
from robustbench_nlp.errors import UsageError
from robustbench_nlp.rewriting import Rewritten
from robustbench_nlp.text import words_of
from robustbench_nlp.training import further
from robustbench_nlp.typo_certificates import TypoCertified, coded
from robustbench_nlp.typo_clusters import TypoClusters
from robustbench_nlp.victim import Victim
from robustbench_nlp.victims.hf import HFVictim

__all__ = ["RobustEncodings"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RobustEncodings:
    """The `size` most frequent words of the training split are clustered. With `epochs` 0, or for a victim without weights,
    nothing is learned and the victim reads the codes as it is."""

    size: int = 10_000
    epochs: int = 2
    learning_rate: float = 5e-5
    version: ClassVar[int] = 2
    known: ClassVar[tuple[str, ...]] = INTERNAL_KINDS

    def __post_init__(self) -> None:
        if self.size < 1 or self.epochs < 0:
            raise UsageError("robust_encodings wants a size of 1 or more and no negative epochs")

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        """Raises `UsageError` without training examples: there would be no words to cluster."""
        if not train:
            raise UsageError(
                "robust_encodings clusters a training split's words, and there is none; name one with --train"
            )
        strings = (string for example in train for string in example.fields.values())
        counts = Counter(word.lower() for string in strings for word in words_of(string))
        clusters = TypoClusters(counts, self.size)
        if self.epochs and isinstance(victim, HFVictim):
            readable = [
                replace(example, fields={name: coded(string, clusters) for name, string in example.fields.items()})
                for example in train
            ]
            victim = further(self, victim, readable, rng)
        parts = ["robust_encodings", self.version, asdict(self), content_hash([*counts.items()])]
        if victim.random:
            return Rewritten(victim, lambda string: coded(string, clusters), parts)
        return TypoCertified(victim, clusters, parts)
