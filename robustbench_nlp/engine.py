"""The engine: keeps a bounded set of attacks alive and answers their requests together.

Each round gathers what all live attacks ask, predicts every distinct text once, lets the referee confirm claimed
successes, and hands the answers back. A finished example's place is taken by the next, so memory does not grow with the
number of examples; the clean prediction is simply the first thing that is asked of a new one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from robustbench_nlp.attack import Attack, Encode, Gradient, as_attack
from robustbench_nlp.data.example import Example, Input
from robustbench_nlp.errors import UsageError
from robustbench_nlp.live import Live, Seen
from robustbench_nlp.plugins import selector_of
from robustbench_nlp.predictor import Predictor
from robustbench_nlp.records import Record
from robustbench_nlp.referee import Encoder, Referee
from robustbench_nlp.tasks.classification import judge
from robustbench_nlp.victim import Victim

__all__ = ["LIVE", "Engine", "attack_examples"]

LIVE = 64
"""Examples attacked side by side: enough to fill batches with four-candidate requests."""


class Engine:
    """Runs one attack on one victim. `encoders` are helper models by name; `similarity` names the one that measures
    successes (None: not measured)."""

    def __init__(
        self,
        attack: Attack,
        victim: Victim,
        *,
        name: str = "",
        seed: int = 0,
        max_queries: int | None = None,
        draws: int = 1,
        batch_size: int | None = None,
        encoders: Mapping[str, Encoder] | None = None,
        similarity: str | None = None,
        live: int = LIVE,
    ) -> None:
        self.attack = as_attack(attack)
        self.name = name or selector_of("attack", attack)
        self.seed = seed
        self.threat = attack.threat if max_queries is None else replace(attack.threat, max_queries=max_queries)
        self.field = self.threat.fields[0] if self.threat.fields else None
        self.predictor = Predictor(victim, draws=draws, batch_size=batch_size)
        self.encoders = encoders or {}
        self.similarity = similarity
        wanted = self.threat.similarity_model or similarity
        if wanted and wanted not in self.encoders:
            raise UsageError(
                f"similarity is to be measured by '{wanted}', which was not given; run with --similarity {wanted}"
            )
        if self.threat.min_similarity is not None and not wanted:
            raise UsageError(
                f"the threat {self.threat} limits similarity; name its similarity_model or run with --similarity"
            )
        self.referee = Referee(self.threat, self.predictor, self.encoders[wanted] if wanted else None)
        self.capacity = 1 if getattr(attack, "one_at_a_time", False) else live

    def run(self, examples: Iterable[Example]) -> Iterator[Record]:
        """Attack examples; a record comes as soon as its example is done, so not in the order of the examples."""
        source = iter(examples)
        alive: list[Live] = []
        while True:
            while len(alive) < self.capacity and (example := next(source, None)) is not None:
                alive.append(Live(example, self))
            if not alive:
                return
            start = time.perf_counter()
            self._round(alive)
            done = [live for live in alive if live.done]
            if done:
                self._measure(done)
            share = (time.perf_counter() - start) / len(alive)
            for live in alive:
                live.seconds += share
            if done:
                alive = [live for live in alive if not live.done]
                yield from (live.record() for live in done)

    def _round(self, alive: Sequence[Live]) -> None:
        """Answer every live attack's pending request once."""
        asking: list[Live] = []
        for live in alive:
            if isinstance(live.request, Encode | Gradient):
                continue
            if live.admit():
                asking.append(live)
        self._predict(asking)
        for live in asking:
            if not live.done:
                live.hear()
        for live in alive:
            if not live.done and isinstance(live.request, Gradient):
                live.hear_gradients()
        self._encode([live for live in alive if not live.done and isinstance(live.request, Encode)])

    def _predict(self, asking: Sequence[Live]) -> None:
        """Predict all texts that their examples haven't seen, each distinct one once, and enter them in `seen`."""
        numbers: dict[Input, int] = {}
        owners: list[Live] = []
        strings: list[str] = []
        rows: list[int] = []
        for live in asking:
            seen, plain = live.seen, live.plain
            for string in live.strings:
                if string not in seen:
                    seen[string] = None  # entered below; a text asked twice in one request is predicted once
                    item = string if plain else live.example.with_field(live.field, string)
                    rows.append(numbers.setdefault(item, len(numbers)))
                    owners.append(live)
                    strings.append(string)
        if not rows:
            return
        outputs, errors = self.predictor.predict(list(numbers))
        for live, row in zip(owners, rows, strict=True):
            if row in errors:
                live.fail(errors[row])
        good = [i for i, row in enumerate(rows) if row not in errors] if errors else range(len(rows))
        labels = [owners[i].example.label for i in good]
        if max(labels, default=0) >= outputs.shape[1]:
            raise UsageError(f"a label is {outputs.shape[1]} or more, but the victim has {outputs.shape[1]} classes")
        scores, margins = judge(outputs[[rows[i] for i in good]], labels)
        for i, score, margin in zip(good, scores.tolist(), margins.tolist(), strict=True):
            owners[i].seen[strings[i]] = Seen(score, margin, outputs, rows[i])

    def _encode(self, asking: Sequence[Live]) -> None:
        """Answer all `Encode` requests, each model's texts in one call."""
        by_model: dict[str, list[Live]] = {}
        for live in asking:
            assert isinstance(live.request, Encode)
            by_model.setdefault(live.request.model, []).append(live)
        for model, lives in by_model.items():
            if model not in self.encoders:
                raise UsageError(f"attack {self.name} wants the encoder '{model}'; run with --similarity {model}")
            requests = [live.request.texts for live in lives if isinstance(live.request, Encode)]
            vectors = self.encoders[model]([text for texts in requests for text in texts])
            start = 0
            for live, texts in zip(lives, requests, strict=True):
                live.helper_calls += len(texts)
                live.send(vectors[start : start + len(texts)])
                start += len(texts)

    def _measure(self, done: Sequence[Live]) -> None:
        """The similarity of the successes among finished examples, in one call."""
        successes = [live for live in done if live.succeeded]
        if self.similarity is None or not successes:
            return
        originals = [live.example.fields[live.field] for live in successes]
        vectors = self.encoders[self.similarity]([*originals, *(live.final for live in successes)])
        for live, before, after in zip(successes, vectors, vectors[len(successes) :], strict=False):
            live.similarity = round(float(before @ after), 6)


def attack_examples(
    attack: Attack, victim: Victim, examples: Sequence[Example], *, seed: int, max_queries: int | None = None
) -> list[str | None]:
    """The adversarial string of each example that the attack breaks, None for the others: what adversarial training needs."""
    engine = Engine(attack, victim, seed=seed, max_queries=max_queries)
    found = {record.example_id: record for record in engine.run(examples)}
    made = []
    for example in examples:
        record = found[example.id]
        text = record.adversarial if record.outcome == "success" else None
        made.append(text if isinstance(text, str) else None)
    return made
