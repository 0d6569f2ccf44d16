"""The engine: keeps a bounded set of attacks alive and answers their requests together.

Each round gathers what all live attacks ask, predicts every distinct text once, lets the referee confirm claimed
successes, and hands the answers back. A finished example's place is taken by the next, so memory does not grow with the
number of examples; the clean prediction is simply the first thing that is asked of a new one.

Where the victim predicts ahead (on a GPU), a round is that of half the live set: while the texts of one half are predicted,
the attacks of the other hear their answers and make their next requests. No record depends on who shares a round, but
for the last bits of what a victim computes in batches.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from math import ceil
from typing import Any, NamedTuple

from robustbench_nlp import progress
from robustbench_nlp.attack import Attack, Encode, Gradient, Help, as_attack
from robustbench_nlp.data.example import Example, Input
from robustbench_nlp.errors import UsageError, VictimError
from robustbench_nlp.helpers import Helpers
from robustbench_nlp.interrupts import held
from robustbench_nlp.live import Live, Seen
from robustbench_nlp.plugins import selector_of
from robustbench_nlp.predictor import Answers, Predictor
from robustbench_nlp.preparation import prepare, prepares
from robustbench_nlp.records import Record
from robustbench_nlp.referee import Referee, similarities
from robustbench_nlp.tasks.classification import goal_of, judge
from robustbench_nlp.victim import Placed, Victim

__all__ = ["LIVE", "Engine", "attack_examples"]

LIVE = 64
"""Examples attacked side by side: enough to fill batches with four-candidate requests."""


class Asked(NamedTuple):
    """A round under way: its examples, those of them that asked for predictions, and of each text that is being predicted the owner
    and the row in the `answers` that are waited for."""

    lives: Sequence[Live]
    asking: Sequence[Live]
    owners: Sequence[Live]
    strings: Sequence[str]
    rows: Sequence[int]
    answers: Callable[[], Answers]


class Engine:
    """Runs one attack on one victim. `helpers` answer for helper models; `similarity` names the encoder that measures
    successes (None: not measured); `dev` is what an attack that learns first learns from. `each_round` is called after every round,
    of an attack's preparation too: a sign of life."""

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
        helpers: Helpers | None = None,
        similarity: str | None = None,
        live: int = LIVE,
        dev: Sequence[Example] = (),
        each_round: Callable[[], None] = lambda: None,
    ) -> None:
        self.attack = as_attack(attack)
        self.name = name or selector_of("attack", attack)
        self.seed = seed
        self.threat = attack.threat if max_queries is None else replace(attack.threat, max_queries=max_queries)
        self.field = self.threat.fields[0] if self.threat.fields else None
        self.predictor = Predictor(victim, draws=draws, batch_size=batch_size)
        self.helpers = helpers or Helpers()
        self.similarity = similarity
        wanted = self.threat.similarity_model or similarity
        if self.threat.min_similarity is not None and not wanted:
            raise UsageError(
                f"the threat {self.threat} limits similarity; name its similarity_model or run with --similarity"
            )
        self.goal = goal_of(attack)
        encoder = self.helpers.exact(Encode, wanted) if wanted else None
        self.referee = Referee(self.threat, self.predictor, encoder, self.goal)
        gradient = self.threat.knowledge == "gradient"
        self.vocabulary = getattr(victim, "vocabulary", None) if gradient else None
        self._each_round = each_round
        self.prepared: Any = None
        if prepares(attack):
            self.prepared = prepare(attack, self.predictor, dev, name=self.name, seed=seed, each_round=each_round)
        self.capacity = 1 if getattr(attack, "one_at_a_time", False) else live

    def run(self, examples: Iterable[Example]) -> Iterator[Record]:
        """Attack examples; a record comes as soon as its example is done, so not in the order of the examples. A first
        `KeyboardInterrupt` comes between two rounds, after the records of the round before."""
        source = iter(examples)
        alive: list[Live] = []  # in the order in which they ask: first those that wait for the answers of `asked`
        asked: deque[Asked] = deque()
        while True:
            while len(alive) < self.capacity and (example := next(source, None)) is not None:
                alive.append(Live(example, self))
            if not alive:
                return
            start = time.perf_counter()
            with held() as interrupt:
                self._ask(alive, asked)
                heard = asked.popleft()
                self._answer(heard)
                done = [live for live in heard.lives if live.done]
                if done:
                    self._measure(done)
            self._each_round()
            share = (time.perf_counter() - start) / len(alive)
            for live in alive:
                live.seconds += share
            alive = alive[len(heard.lives) :] + [live for live in heard.lives if not live.done]
            yield from (live.record() for live in done)
            interrupt.raise_if_asked()

    def _ask(self, alive: Sequence[Live], asked: deque[Asked]) -> None:
        """Begin rounds of those that don't wait yet, until as many are under way as the victim works ahead."""
        together = 2 if self.predictor.ahead else 1
        waiting = sum(len(each.lives) for each in asked)
        while len(asked) < together and waiting < len(alive):
            lives = alive[waiting : waiting + ceil(len(alive) / together)]
            asked.append(self._begin(lives))
            waiting += len(lives)

    def _answer(self, asked: Asked) -> None:
        """Answer the pending request of every attack of a round once."""
        lives, asking = asked.lives, asked.asking
        self._enter(asked)
        self._foresee(asking)
        if self.predictor.ahead:  # a device judges claims after the other half's texts: others needn't wait for that
            asking = sorted(asking, key=lambda live: live.claim() is not None)
        for live in asking:
            if not live.done:
                live.hear()
        self._gradients([live for live in lives if not live.done and isinstance(live.request, Gradient)])
        self._help([live for live in lives if not live.done and isinstance(live.request, Help)])
        ending = [live for live in lives if live.ending is not None and not live.done]
        self._foresee(ending)
        for live in ending:
            live.conclude()

    def _foresee(self, lives: Sequence[Live]) -> None:
        """Let the referee's next predictions go side by side, where the victim can do that."""
        if self.predictor.apart is not None:
            self.predictor.foresee([claim for live in lives if (claim := live.claim()) is not None])

    def _begin(self, lives: Sequence[Live]) -> Asked:
        """Have all texts predicted that their examples haven't seen, each distinct one once."""
        asking = [live for live in lives if not isinstance(live.request, Help | Gradient) and live.admit()]
        numbers: dict[Input, int] = {}
        owners: list[Live] = []
        strings: list[str] = []
        rows: list[int] = []
        for live in asking:
            seen, plain = live.seen, live.plain
            for string in live.strings:
                if string not in seen:
                    seen[string] = None  # entered later; a text asked twice in one request is predicted once
                    item = string if plain else live.example.with_field(live.field, string)
                    rows.append(numbers.setdefault(item, len(numbers)))
                    owners.append(live)
                    strings.append(string)
        return Asked(lives, asking, owners, strings, rows, self.predictor.begin(list(numbers)))

    def _enter(self, asked: Asked) -> None:
        """Wait for a round's predictions and enter them in `seen`."""
        owners, strings, rows = asked.owners, asked.strings, asked.rows
        if not rows:
            return
        outputs, errors = asked.answers()
        for live, row in zip(owners, rows, strict=True):
            if row in errors:
                live.fail(errors[row])
        good = [i for i, row in enumerate(rows) if row not in errors] if errors else range(len(rows))
        labels = [owners[i].example.label for i in good]
        if max(labels, default=0) >= outputs.shape[1]:
            raise UsageError(f"a label is {outputs.shape[1]} or more, but the victim has {outputs.shape[1]} classes")
        scores, margins = judge(outputs[[rows[i] for i in good]], labels)
        for i, score, margin in zip(good, scores.tolist(), margins.tolist(), strict=True):
            owners[i].seen[strings[i]] = Seen(self.goal.score(score), margin, outputs, rows[i])

    def _gradients(self, asking: Sequence[Live]) -> None:
        """Answer all `Gradient` requests in one call; where that fails, example by example."""
        victim = self.predictor.victim
        gradients = getattr(victim, "gradients", None)
        if asking and (self.threat.knowledge != "gradient" or gradients is None):
            raise UsageError(f"attack {self.name} needs gradients; give it a gradient threat and an hf: victim")
        admitted = [live for live in asking if live.admit_gradients()]
        try:
            self._answer_gradients(admitted)
        except UsageError:
            raise
        except Exception:
            for live in admitted:
                try:
                    self._answer_gradients([live])
                except Exception as problem:
                    live.fail(VictimError(f"the victim's gradients raised {type(problem).__name__}: {problem}"))

    def _answer_gradients(self, asking: Sequence[Live]) -> None:
        inputs: list[Input] = []
        labels: list[int] = []
        placed: list[Placed] = []
        counts = []
        for live in asking:
            assert isinstance(live.request, Gradient)
            inputs += [live.example.with_field(live.field, str(text)) for text in live.request.texts]
            labels += [live.example.label] * len(live.request.texts)
            placed += live.placed_vectors()
            counts.append(len(live.request.texts))
        found = iter(self.predictor.gradients(inputs, labels, placed if any(placed) else None))
        answers = [[next(found) for _ in range(count)] for count in counts]
        for live, answer in zip(asking, answers, strict=True):
            live.hear_gradients(answer)

    def _help(self, asking: Sequence[Live]) -> None:
        """Answer all requests to helper models, those of one kind, model and settings in one call."""
        alike: dict[object, list[Live]] = {}
        for live in asking:
            assert isinstance(live.request, Help)
            key = type(live.request), live.request.model, *live.request.settings.items()
            alike.setdefault(key, []).append(live)
        for lives in alike.values():
            try:
                answers = self.helpers([live.request for live in lives])  # type: ignore[misc]
            except UsageError:
                raise
            except Exception:
                answers = None
            for i, live in enumerate(lives):
                assert isinstance(live.request, Help)
                try:
                    (answer,) = self.helpers([live.request]) if answers is None else answers[i : i + 1]
                except Exception as problem:  # one example's request that can't be answered
                    live.fail(problem)
                    continue
                live.helper_calls += len(live.request.items)
                live.send(answer)

    def _measure(self, done: Sequence[Live]) -> None:
        """The similarity of the successes among finished examples, in one call; where it can't be had it is the example's error."""
        successes = [live for live in done if live.succeeded]
        if self.similarity is None or not successes:
            return
        originals = [live.example.fields[live.field] for live in successes]
        found = similarities(self.helpers.exact(Encode, self.similarity), originals, [live.final for live in successes])
        for live, value in zip(successes, found, strict=True):
            if isinstance(value, VictimError):
                live.fail(value)
            else:
                live.similarity = round(value, 6)


def attack_examples(
    attack: Attack,
    victim: Victim,
    examples: Sequence[Example],
    *,
    seed: int,
    max_queries: int | None = None,
    dev: Sequence[Example] = (),
) -> list[str | None]:
    """The string that the attack ends in for each example, whether it fools the victim or only comes nearest to that; None where
    there was nothing to attack or nothing came of it. What adversarial training needs: were failures left out, the traces of
    an attack that succeeds on one class would tell the label."""
    engine = Engine(attack, victim, seed=seed, max_queries=max_queries, dev=dev)
    if not engine.goal.fools:
        raise UsageError(f"{engine.name} keeps the prediction and makes no adversarial examples; name another attack")
    found = {}
    with progress.task(f"{engine.name} on training examples", len(examples)) as step:
        for record in engine.run(examples):
            found[record.example_id] = record
            step(1, "")
    made = []
    for example in examples:
        record = found[example.id]
        text = record.adversarial
        made.append(text if isinstance(text, str) and text != record.original else None)
    return made
