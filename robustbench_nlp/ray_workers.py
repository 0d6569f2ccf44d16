"""Workers on a Ray cluster: the shares of `workers`, attacked by actors on any machine that has this package.

An actor that dies, with its machine or alone, or that gives no sign of life, is replaced like any worker.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count as numbers
from types import TracebackType
from typing import Any, Self

from robustbench_nlp.data.example import Example
from robustbench_nlp.errors import UsageError
from robustbench_nlp.grid import Member
from robustbench_nlp.records import Record
from robustbench_nlp.workers import BEAT, LIVES, STALL, Bench, Left, Opening, Order, shares_of

__all__ = ["RayCrew"]


_SIGNS = "signs"
"""The concurrency group that tells signs of life while an actor attacks."""


@dataclass
class _Share:
    left: Left
    lost: int = 0
    order: int = 0
    signs: int = 0
    """Signs of life that its actor gave under that order."""
    silent: int | None = None
    """Looks since the last one, `BEAT` seconds apart; None until the first, as an actor may open and train for long."""
    asked: Any = None
    """The answer that is awaited to how many there are."""


class RayCrew:
    """`count` actors with one share of every cell each, on the cluster that `$RAY_ADDRESS` names, else on this machine; the GPUs
    of the cluster are shared evenly."""

    def __init__(self, opening: Opening, count: int, *, stall: float = STALL) -> None:
        """Raises `UsageError` without Ray."""
        try:
            import ray
        except ImportError as problem:
            raise UsageError("the backend ray needs a package; pip install 'robustbench-nlp[ray]'") from problem
        self.opening = opening
        self.count = count
        self.stall = stall
        self.restarts = 0
        self._ray: Any = ray
        self._started = False
        self._actors: list[Any] = []
        self._orders = numbers()

    def run(self, defense: str, member: Member, examples: Sequence[Example]) -> Iterator[Record]:
        """The examples' records as they come. Raises `UsageError` where an actor can't open the run, and where a share loses
        `LIVES` actors in a row."""
        self._actors = self._actors or [self._actor() for _ in range(self.count)]
        shares = [_Share(left) for left in shares_of(examples, self.count)]
        looked = time.monotonic()

        def ask(number: int) -> Any:
            share = shares[number]
            share.order, share.signs, share.silent, share.asked = next(self._orders), 0, None, None
            return self._actors[number].attack.remote(share.order, Order(defense, member, share.left.keys))

        streams = {ask(number): number for number in range(self.count) if shares[number].left}
        while streams:
            ready, _ = self._ray.wait(list(streams), num_returns=1, timeout=BEAT)
            if time.monotonic() - looked > BEAT:
                looked = time.monotonic()
                for number in streams.values():
                    self._look(self._actors[number], shares[number])
            if not ready:
                continue
            (stream,) = ready
            number = streams[stream]
            share = shares[number]
            try:
                record: Record = self._ray.get(next(stream))
            except StopIteration:
                del streams[stream]
            except self._ray.exceptions.RayActorError as problem:
                share.lost += 1
                if share.lost >= LIVES:
                    why = str(problem).strip().partition("\n")[0]
                    raise UsageError(
                        f"{LIVES} actors in a row died or hung on {defense} × {member.name} without a new record ({why}); "
                        "run without the backend ray to see what happens"
                    ) from problem
                self.restarts += 1
                self._actors[number] = self._actor()
                del streams[stream]
                streams[ask(number)] = number
            except self._ray.exceptions.RayTaskError as problem:
                if isinstance(problem.cause, UsageError):
                    raise UsageError(str(problem.cause)) from problem
                raise
            else:
                share.lost = share.silent = 0
                if share.left.strike(record.example_id):
                    yield record

    def _look(self, actor: Any, share: _Share) -> None:
        """Ask after an actor's signs of life, and kill it where none comes for too long; its stream tells of its end."""
        share.silent = None if share.silent is None else share.silent + 1
        if share.asked is None:
            share.asked = actor.alive.options(concurrency_group=_SIGNS).remote()
        if self._ray.wait([share.asked], timeout=0)[0]:
            try:
                order, signs = self._ray.get(share.asked)
            except self._ray.exceptions.RayActorError:
                return
            share.asked = None
            if order == share.order and signs > share.signs:
                share.signs, share.silent = signs, 0
        if share.silent is not None and share.silent * BEAT > self.stall:
            self._ray.kill(actor)
            share.silent = None

    def _actor(self) -> Any:
        gpus = self._ray.cluster_resources().get("GPU", 0.0)
        variables = {"OMP_NUM_THREADS": str(self.opening.threads), "TOKENIZERS_PARALLELISM": "false"}
        kind = self._ray.remote(
            num_cpus=0,
            num_gpus=min(1.0, gpus / self.count),
            max_restarts=0,
            concurrency_groups={_SIGNS: 1},
            runtime_env={"env_vars": variables},
        )(_Actor)
        return kind.remote(self.opening)

    def __enter__(self) -> Self:
        if not self._ray.is_initialized():
            variables = {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
            local = {} if os.environ.get("RAY_ADDRESS") else {"runtime_env": {"env_vars": variables}}
            self._ray.init(include_dashboard=False, log_to_driver=False, logging_level="error", **local)
            self._started = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for actor in self._actors:
            self._ray.kill(actor)
        self._actors = []
        if self._started:
            self._ray.shutdown()
            self._started = False


class _Actor:
    """A worker as Ray runs it: the run is opened at the first order, so that what can't be opened is told like other faults."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._bench: Bench | None = None
        self._order = self._signs = 0

    def attack(self, number: int, order: Order) -> Iterator[Record]:
        self._signs, self._order = 0, number
        self._bench = self._bench or Bench(self._opening)
        yield from self._bench.attack(order, self._sign)

    def alive(self) -> tuple[int, int]:
        """The order, by its number, and the signs of life since then."""
        return self._order, self._signs

    def _sign(self) -> None:
        self._signs += 1
