"""A victim behind a rewriting of its inputs: what purifying defenses are made of."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial

from robustbench_nlp.attack import Vocabulary
from robustbench_nlp.data.example import Input, content_hash, fields_of
from robustbench_nlp.detection import Detecting, Suspicion
from robustbench_nlp.drawing import distinct, drawn
from robustbench_nlp.errors import VictimError
from robustbench_nlp.gradients import Change, by_edits, traced
from robustbench_nlp.text import Text
from robustbench_nlp.victim import Placed, Probabilities, TokenGradients, Victim

__all__ = ["Rewrite", "Rewritten"]

Rewrite = Callable[[str], str]
"""A deterministic function of one string, applied to every field of an input."""


class Rewritten:
    """`victim` reading `rewrite(input)`.

    `fingerprint_parts` (JSON-able) hold everything that the rewriting depends on. Of the optional capabilities only
    `predict_exact`, `predict_ahead`, `predict_apart`, `truncate`, `batch_size`, `vocabulary`, `gradients` and a detector's are kept, and
    only where the inner victim has them: what is suspicious is the rewritten text. Gradients pass straight through, as if the rewriting changed nothing (BPDA, Athalye et al., 2018): they are those
    at the rewritten text, each token's with the place in the original that it came from; tokens that were put in have none.
    """

    def __init__(
        self, victim: Victim, rewrite: Rewrite, fingerprint_parts: Sequence[object], *, seconds: float = 0.0
    ) -> None:
        """`seconds` is how long the rewriting itself was trained."""
        self.name = victim.name
        self.label_names = victim.label_names
        self.random = victim.random
        self._victim = victim
        self._rewrite = rewrite
        self._parts = tuple(fingerprint_parts)
        if (batch_size := getattr(victim, "batch_size", None)) is not None:
            self.batch_size: int = batch_size
        self.added_seconds: float = seconds + getattr(victim, "added_seconds", 0.0)
        self.forwards_per_prediction: int = getattr(victim, "forwards_per_prediction", 1)
        if (exact := getattr(victim, "predict_exact", None)) is not None:
            self.predict_exact: Callable[[Sequence[Input]], Probabilities] = lambda inputs: exact(
                self._rewritten(inputs)
            )
        if getattr(victim, "predict_ahead", None) is not None:
            self.predict_ahead = self._ahead
        if (apart := getattr(victim, "predict_apart", None)) is not None:
            self.predict_apart: Callable[[Sequence[Input]], list[Probabilities | VictimError]] = lambda inputs: apart(
                self._rewritten(inputs)
            )
        if isinstance(victim, Detecting):
            self.threshold, self.evaded = victim.threshold, getattr(victim, "evaded", False)
            self.suspicion: Suspicion = lambda inputs: victim.suspicion(self._rewritten(inputs))
        if hasattr(victim, "truncate"):
            self.truncate = self._truncate
        if hasattr(victim, "gradients"):
            self.gradients = self._gradients
        if hasattr(victim, "vocabulary"):
            self.vocabulary: Vocabulary = victim.vocabulary

    @property
    def fingerprint(self) -> str:
        return content_hash(self._victim.fingerprint, *self._parts)[:16]

    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        """The inner victim's answer; inputs that a rewriting makes equal are asked once."""
        return distinct(
            lambda items, _: self._victim.predict(items, draw), self._rewritten(inputs), [draw] * len(inputs)
        )

    def predict_drawn(self, inputs: Sequence[Input], draws: Sequence[int], exact: bool = False) -> Probabilities:
        """The inner victim's answers, each under its own draw."""
        return distinct(partial(drawn, self._victim, exact=exact), self._rewritten(inputs), draws)

    def _ahead(self, inputs: Sequence[Input], draw: int = 0) -> Callable[[], Probabilities]:
        """The same, begun; a GPU works on while the next inputs are rewritten."""
        rewritten = self._rewritten(inputs)
        rows = {item: row for row, item in enumerate(dict.fromkeys(rewritten))}
        wait: Callable[[], Probabilities] = self._victim.predict_ahead(list(rows), draw)  # type: ignore[attr-defined]
        return lambda: wait()[[rows[item] for item in rewritten]]

    def _rewritten(self, inputs: Sequence[Input]) -> list[Input]:
        return [
            self._rewrite(item) if isinstance(item, str) else tuple(self._rewrite(part) for part in item)
            for item in inputs
        ]

    def _gradients(
        self, inputs: Sequence[Input], labels: Sequence[int], placed: Sequence[Placed] | None = None, draw: int = 0
    ) -> list[TokenGradients]:
        rewritten = self._rewritten(inputs)
        changes = [
            Change(before, after, [*map(by_edits, fields_of(before), fields_of(after))])
            for before, after in zip(inputs, rewritten, strict=True)
        ]
        return traced(self._victim, changes, labels, placed, draw)

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
