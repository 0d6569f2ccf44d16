"""A victim behind a rewriting of its inputs: what purifying defenses are made of."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial

from rapidfuzz.distance import Levenshtein

from robustbench_nlp.attack import Vocabulary
from robustbench_nlp.data.example import Input, content_hash
from robustbench_nlp.detection import Detecting, Suspicion
from robustbench_nlp.drawing import distinct, drawn
from robustbench_nlp.errors import UsageError, VictimError
from robustbench_nlp.text import Text
from robustbench_nlp.victim import Probabilities, TokenGradients, Victim

__all__ = ["Rewrite", "Rewritten"]

Rewrite = Callable[[str], str]
"""A deterministic function of one string, applied to every field of an input."""


class Rewritten:
    """`victim` reading `rewrite(input)`.

    `fingerprint_parts` (JSON-able) hold everything that the rewriting depends on. Of the optional capabilities only
    `predict_exact`, `predict_ahead`, `predict_apart`, `truncate`, `batch_size`, `vocabulary`, `gradients` and a detector's are kept, and
    only where the inner victim has them: what is suspicious is the rewritten text. Gradients pass straight through, as if the rewriting changed nothing (BPDA, Athalye et al., 2018): they are those
    at the rewritten text, each token's with the place in the original that it came from.
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

    def _gradients(self, inputs: Sequence[Input], labels: Sequence[int], placed: object = None) -> list[TokenGradients]:
        """Raises `UsageError` for embeddings in place of words, which no rewriting reads."""
        if placed is not None:
            raise UsageError(
                f"{self.name} rewrites what it reads and takes no embeddings; leave the attack that puts some out"
            )
        rewritten = self._rewritten(inputs)
        found: list[TokenGradients] = self._victim.gradients(rewritten, labels)  # type: ignore[attr-defined]
        return [
            gradients._replace(offsets=_offsets(before, after, gradients))
            for before, after, gradients in zip(inputs, rewritten, found, strict=True)
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


def _offsets(before: Input, after: Input, gradients: TokenGradients) -> list[tuple[int, int]]:
    """Each token's (start, end) in the input as it was before the rewriting."""
    fields = [(before, after)] if isinstance(before, str) else list(zip(before, after, strict=True))
    origins = [_origins(str(old), str(new)) for old, new in fields]

    def place(start: int, end: int, field: int) -> tuple[int, int]:
        if field < 0 or start == end:
            return start, end
        first, last = origins[field][start], origins[field][end - 1]
        return first, min(max(last + 1, first), len(fields[field][0]))

    return [place(*span, field) for span, field in zip(gradients.offsets, gradients.fields, strict=True)]


def _origins(old: str, new: str) -> list[int]:
    """For each position of the new string the one of the old string that it came from, by the cheapest edits; what was put
    behind the end came from the last."""
    found: list[int] = []
    for code in Levenshtein.opcodes(new, old):
        last = min(max(code.dest_end - 1, code.dest_start), max(len(old) - 1, 0))
        found += [min(code.dest_start + i, last) for i in range(code.src_end - code.src_start)]
    return found
