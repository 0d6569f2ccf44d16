"""A victim behind a rewriting of its inputs: what purifying defenses are made of."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

from robustbench_nlp.data.example import Input, content_hash
from robustbench_nlp.text import Text
from robustbench_nlp.victim import Probabilities, Victim

__all__ = ["Rewrite", "Rewritten"]

Rewrite = Callable[[str], str]
"""A deterministic function of one string, applied to every field of an input."""


class Rewritten:
    """`victim` reading `rewrite(input)`.

    `fingerprint_parts` (JSON-able) hold everything that the rewriting depends on. Of the optional capabilities only
    `predict_exact`, `truncate` and `batch_size` are kept, and only where the inner victim has them: gradients at the
    rewritten text are none at the text that an attack edits.
    """

    def __init__(self, victim: Victim, rewrite: Rewrite, fingerprint_parts: Sequence[object]) -> None:
        self.name = victim.name
        self.label_names = victim.label_names
        self.random = victim.random
        self._victim = victim
        self._rewrite = rewrite
        self._parts = tuple(fingerprint_parts)
        if (batch_size := getattr(victim, "batch_size", None)) is not None:
            self.batch_size: int = batch_size
        if (exact := getattr(victim, "predict_exact", None)) is not None:
            self.predict_exact: Callable[[Sequence[Input]], Probabilities] = lambda inputs: exact(
                self._rewritten(inputs)
            )
        if hasattr(victim, "truncate"):
            self.truncate = self._truncate

    @property
    def fingerprint(self) -> str:
        return content_hash(self._victim.fingerprint, *self._parts)[:16]

    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        """The inner victim's answer; inputs that a rewriting makes equal are asked once."""
        rewritten = self._rewritten(inputs)
        rows = {item: row for row, item in enumerate(dict.fromkeys(rewritten))}
        if len(rows) == len(rewritten):
            return self._victim.predict(rewritten, draw)
        return self._victim.predict(list(rows), draw)[[rows[item] for item in rewritten]]

    def _rewritten(self, inputs: Sequence[Input]) -> list[Input]:
        return [
            self._rewrite(item) if isinstance(item, str) else tuple(self._rewrite(part) for part in item)
            for item in inputs
        ]

    def _truncate(self, string: str) -> str:
        """The shortest run of whole words whose rewriting covers what the inner victim reads of the whole rewriting:
        rather a word too many than one that an attack could have used."""
        read: Callable[[str], str] = self._victim.truncate  # type: ignore[attr-defined]
        rewritten = self._rewrite(string)
        kept = read(rewritten)
        if len(kept) == len(rewritten):
            return string
        ends = [end for _, end in Text(string).spans]
        last = bisect_left(ends, len(kept), key=lambda end: len(self._rewrite(string[:end])))
        return string[: ends[last]] if last < len(ends) else string
