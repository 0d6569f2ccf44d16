"""One example under attack: its generator, its budget, what it has seen, and in the end its record."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from robustbench_nlp.attack import REQUESTS, Gradient, Gradients, Probe, Request, Sample, Score, Scores, Steps
from robustbench_nlp.data.example import Example, Input, content_hash
from robustbench_nlp.errors import UsageError, VictimError
from robustbench_nlp.gradients import slots
from robustbench_nlp.records import Outcome, Record
from robustbench_nlp.referee import Verdict
from robustbench_nlp.tasks.classification import judge, right
from robustbench_nlp.text import Text
from robustbench_nlp.threat import measure, violations
from robustbench_nlp.victim import Placed, Probabilities, TokenGradients

if TYPE_CHECKING:
    from robustbench_nlp.engine import Engine

__all__ = ["Live", "Seen"]


class Seen(NamedTuple):
    """What the search's prediction said of a text; the output is row `row` of a whole round's `outputs`."""

    score: float
    margin: float
    outputs: Probabilities
    row: int

    @property
    def output(self) -> Probabilities:
        row: Probabilities = self.outputs[self.row]
        return row


class Live:
    """One example in the engine's live set. `request` is what it asks now, `strings` the texts of it within the budget, `ending` the
    text that its attack returned where the referee judges those of a round together (`conclude`)."""

    def __init__(self, example: Example, engine: Engine) -> None:
        self.example = example
        self.engine = engine
        threat = engine.threat
        self.field = engine.field or next(iter(example.fields))
        if self.field not in example.fields:
            raise UsageError(
                f"the threat {threat} changes the field '{self.field}'; the examples have {', '.join(example.fields)}"
            )
        self.plain = len(example.fields) == 1
        self.original = example.fields[self.field]
        self.request: Request = Probe([])
        self.strings: list[str] = [self.original]
        self.seen: dict[str, Seen | None] = {}
        self.queries = 0
        self.helper_calls = 0
        self.seconds = 0.0
        self.done = False
        self.final = self.original
        self.similarity: float | None = None
        self.ending: str | None = None
        self._sample: Sample | None = None
        self._steps: Steps | None = None
        self._closing = False
        self._best: tuple[float, str] | None = None
        self._verdicts: dict[str, Verdict] = {}
        self._first_success_query: int | None = None
        self._returned: str | None = None
        self._outcome: Outcome = "failed"
        self._error: str | None = None
        self._truncated = False
        self._clean: Seen | None = None

    @property
    def succeeded(self) -> bool:
        return self._outcome == "success"

    def admit(self) -> bool:
        """Fix which of the requested texts the budget allows; False (and done) when it allows none."""
        if self._clean is not None:
            assert isinstance(self.request, Score | Probe)
            texts: Sequence[Text] = self.request.texts
            left = self._left()
            if left is not None and left < len(texts):
                self._closing = True
                texts = texts[:left]
                if not texts:
                    self._conclude(None)
                    return False
            self.strings = [str(text) for text in texts]
        self.queries += len(self.strings) * self.engine.predictor.cost
        return True

    def _left(self) -> int | None:
        budget = self.engine.threat.max_queries
        return None if budget is None else max(budget - self.queries, 0) // self.engine.predictor.cost

    def hear(self) -> None:
        """Take the predictions of `strings` in: as the clean answer, as the check of a returned text, or as an answer."""
        if self._clean is None:
            self._begin()
            return
        seen = [entry for string in self.strings if (entry := self.seen[string]) is not None]
        scores = [entry.score for entry in seen]
        success = [False] * len(seen)
        if isinstance(self.request, Score) and not self._credit(self.request, seen, scores, success):
            return
        if self._returned is not None or self._closing:
            self._conclude(self._returned)
            return
        if self.engine.threat.knowledge == "decision":
            self.send(Scores([float(self.engine.goal.met(entry.margin)) for entry in seen], success))
        else:
            self.send(Scores(scores, success, _Outputs(seen)))

    def _begin(self) -> None:
        clean = self.seen[self.original]
        assert clean is not None
        try:
            self._clean = self._counted(clean)
        except VictimError as problem:
            self.fail(problem)
            return
        if not right(self._clean.margin):
            self._finish("skipped")
            return
        if (left := self._left()) is not None and left < 1:
            self._finish("failed")
            return
        end = None
        truncate = getattr(self.engine.predictor.victim, "truncate", None)
        if truncate is not None:
            end = len(truncate(self.original))
            self._truncated = end < len(self.original.rstrip())
        self._sample = Sample(
            example=self.example,
            text=Text(self.original, end),
            field=self.field,
            label=self.example.label,
            threat=self.engine.threat,
            score=0.0 if self.engine.threat.knowledge == "decision" else clean.score,
            vocabulary=self.engine.vocabulary,
            prepared=self.engine.prepared,
        )
        seed = int(content_hash(self.engine.seed, self.engine.name, self.example.id)[:16], 16)
        try:
            self._steps = self.engine.attack.run(self._sample, Random(seed))
            if not isinstance(self._steps, Generator):
                raise TypeError("run is no generator; it must yield requests")
        except Exception as problem:
            self._steps = None
            self.fail(problem)
        else:
            self.send(None)

    def _counted(self, clean: Seen) -> Seen:
        """What counts of the clean text: what the search saw, of a random victim what judges attacked texts too."""
        if not self.engine.predictor.victim.random:
            return clean
        output = self.engine.predictor.exact(self.example.input)[np.newaxis]
        return Seen(clean.score, float(judge(output, [self.example.label]).margin[0]), output, 0)

    def _credit(self, request: Score, seen: list[Seen], scores: list[float], success: list[bool]) -> bool:
        """Let the referee confirm claims, the best or preferred first; False when the victim failed."""
        top = max(range(len(seen)), key=scores.__getitem__, default=None)
        if top is not None and (self._best is None or scores[top] > self._best[0]):
            self._best = scores[top], self.strings[top]
        for i in self._claims(request, seen):
            verdict = self._judged(self.strings[i])
            if verdict is None:
                return False
            if verdict.success:
                success[i] = True
                if self._first_success_query is None:
                    cost = self.engine.predictor.cost
                    self._first_success_query = self.queries - (len(seen) - 1 - i) * cost
                if request.confirm == "best":
                    break
        return True

    def _claims(self, request: Score, seen: Sequence[Seen]) -> list[int]:
        """The request's texts that claim a success, the best or preferred first."""
        claims = [i for i, entry in enumerate(seen) if self.engine.goal.met(entry.margin)]
        ranks = [entry.score for entry in seen] if request.preference is None else request.preference
        return sorted(claims, key=lambda i: -ranks[i])

    def claim(self) -> Input | None:
        """The input that the referee will predict first when this example concludes or hears its answers; None where that isn't
        known."""
        if self.ending is not None:
            return self.example.with_field(self.field, self.ending)
        if self.done or self._clean is None or not isinstance(self.request, Score):
            return None
        string = self._returned
        if string is None:
            claims = self._claims(self.request, [entry for string in self.strings if (entry := self.seen[string])])
            string = self.strings[claims[0]] if claims else self.original
        return self.example.with_field(self.field, string) if self._unjudged(string) else None

    def _unjudged(self, string: str | None) -> bool:
        """Whether the referee would have to predict the text."""
        threat = self.engine.threat
        if string is None or string == self.original or string in self._verdicts or threat.min_similarity is not None:
            return False
        return not violations(threat, self.original, string)

    def conclude(self) -> None:
        """End with the text that the attack returned."""
        self._conclude(self.ending)

    def _judged(self, string: str) -> Verdict | None:
        """The referee's verdict on a text, asked once; None (and done, an error) when the victim failed."""
        if string not in self._verdicts:
            try:
                self._verdicts[string] = self.engine.referee.judge(self.example, self.field, string)
            except VictimError as problem:
                self.fail(problem)
                return None
        return self._verdicts[string]

    def admit_gradients(self) -> bool:
        """Whether the budget allows the request's gradients; else this example is done."""
        assert isinstance(self.request, Gradient)
        left = self._left()
        allowed = len(self.request.texts) if left is None else min(left, len(self.request.texts))
        self.queries += allowed * self.engine.predictor.cost
        if allowed < len(self.request.texts):
            self._conclude(None)
        return not self.done

    def placed_vectors(self) -> list[Placed]:
        """The embeddings that the request puts in place of words, by text, as the victim takes them."""
        assert isinstance(self.request, Gradient)
        if self.request.vectors is None:
            return [()] * len(self.request.texts)
        field = list(self.example.fields).index(self.field)
        return [
            [(field, text.spans[slot][0], vector) for slot, vector in vectors.items()]
            for text, vectors in zip(self.request.texts, self.request.vectors, strict=True)
        ]

    def hear_gradients(self, found: Sequence[TokenGradients]) -> None:
        """Hand the attack the gradients of its texts, each token with the word slot that it belongs to."""
        assert isinstance(self.request, Gradient)
        assert self._sample is not None
        self.send(
            [
                Gradients(loss, gradient, slots(text, self._sample, offsets, fields))
                for text, (loss, gradient, offsets, fields) in zip(self.request.texts, found, strict=True)
            ]
        )

    def send(self, answer: Any) -> None:
        """Hand the attack its answer and take its next request, or its end."""
        assert self._steps is not None
        try:
            request = self._steps.send(answer)
        except StopIteration as end:
            self._end(None if end.value is None else str(end.value))
        except UsageError:
            raise
        except Exception as problem:  # an attack's own fault is an error of this example, never a failed attack
            self.fail(problem)
        else:
            if isinstance(request, REQUESTS):
                self.request = request
            else:
                self.fail(TypeError(f"the attack yielded a {type(request).__name__}, which is no request"))

    def _end(self, string: str | None) -> None:
        """The attack returned: judge its text now, or ask for the prediction of one that was never scored."""
        if string is None or string == self.original or string in self.seen:
            if self.engine.predictor.apart is not None and self._unjudged(string):
                self.ending = string
            else:
                self._conclude(string)
        elif self._left() == 0:
            self._conclude(None)
        else:
            self._returned = string
            self.request = Score([Text(string)])

    def _conclude(self, string: str | None) -> None:
        """Settle the outcome: the returned text if it holds, else the best confirmed success, else the best score.

        Of successes under a decision threat, which shows no scores, the one that changes the fewest words; of those that keep
        the prediction the one that changes the most.
        """
        if string is not None and string != self.original:
            verdict = self._judged(string)
            if verdict is None:
                return
            if verdict.success:
                if self._first_success_query is None:
                    self._first_success_query = self.queries
                self.final = string
                self._finish("success")
                return
        confirmed = [text for text, verdict in self._verdicts.items() if verdict.success]
        if confirmed:
            if not self.engine.goal.fools:
                self.final = max(confirmed, key=self._words_changed)
            elif self.engine.threat.knowledge == "decision":
                self.final = min(confirmed, key=self._words_changed)
            else:
                self.final = max(confirmed, key=self._score)
            self._finish("success")
            return
        self.final = string or (self._best[1] if self._best else self.original)
        self._finish("failed")

    def _words_changed(self, text: str) -> int:
        return measure(self.original, text).words_changed

    def _score(self, text: str) -> float:
        return entry.score if (entry := self.seen.get(text)) else 0.0

    def fail(self, problem: Exception) -> None:
        """Make this example an error record."""
        self._error = str(problem) if isinstance(problem, VictimError) else f"{type(problem).__name__}: {problem}"
        self._finish("error")

    def _finish(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self.done = True
        if self._steps is not None:
            try:
                self._steps.close()
            except Exception as problem:  # an attack that won't end, or fails while it is closed
                self._steps = None
                self.fail(problem)

    def record(self) -> Record:
        """The example's record; to be called once it is done."""
        clean, attacked = self._clean, self._outcome in ("success", "failed")
        verdict = self._verdicts.get(self.final)
        output, margin = None, clean.margin if clean else None
        if verdict is not None and verdict.output is not None:
            output, margin = verdict.output, verdict.margin
        elif attacked and (entry := self.seen.get(self.final)) is not None:
            output, margin = entry.output, entry.margin
        changes = measure(self.original, self.final) if attacked else None
        return Record(
            example_id=self.example.id,
            label=self.example.label,
            original=self.example.input,
            adversarial=self.example.with_field(self.field, self.final) if attacked else None,
            clean_output=_rounded(clean.output) if clean else None,
            adversarial_output=_rounded(output) if attacked and output is not None else None,
            clean_prediction=int(clean.output.argmax()) if clean else None,
            adversarial_prediction=int(output.argmax()) if attacked and output is not None else None,
            outcome=self._outcome,
            winner=self.engine.name if self.succeeded else None,
            error=self._error,
            queries=self.queries,
            forwards=len(self.seen),
            helper_calls=self.helper_calls,
            first_success_query=self._first_success_query,
            margin=None if margin is None else round(margin, 5),
            words_changed=changes.words_changed if changes else None,
            words_total=changes.words_total if changes else None,
            edits_chars=changes.edits_chars if changes else None,
            similarity=self.similarity,
            truncated=self._truncated,
            rejected_successes=sum(
                not verdict.success and (seen := self.seen.get(text)) is not None and self.engine.goal.met(seen.margin)
                for text, verdict in self._verdicts.items()
            ),
            seconds=round(self.seconds, 5),
            seed=self.engine.seed,
        )


class _Outputs(Sequence[Any]):
    """The class probabilities of a request's texts, made into lists only where an attack looks."""

    __slots__ = ("_seen",)

    def __init__(self, seen: list[Seen]) -> None:
        self._seen = seen

    def __len__(self) -> int:
        return len(self._seen)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [entry.output.tolist() for entry in self._seen[index]]
        return self._seen[index].output.tolist()


def _rounded(output: Probabilities) -> list[float]:
    return [round(float(value), 5) for value in output]
