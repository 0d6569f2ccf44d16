"""Workers on a Ray cluster: the shares of `workers`, attacked by actors on any machine that has this package.

A hanging victim is `--timeout`'s to end; an actor that dies, with its machine or alone, is replaced like any worker.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from robustbench_nlp.data.example import Example
from robustbench_nlp.errors import UsageError
from robustbench_nlp.grid import Member
from robustbench_nlp.records import Record
from robustbench_nlp.workers import LIVES, Bench, Opening, Order, shares_of

__all__ = ["RayCrew"]


class RayCrew:
    """`count` actors with one share of every cell each, on the cluster that `$RAY_ADDRESS` names, else on this machine; the GPUs
    of the cluster are shared evenly."""

    def __init__(self, opening: Opening, count: int) -> None:
        """Raises `UsageError` without Ray."""
        try:
            import ray
        except ImportError as problem:
            raise UsageError("the backend ray needs a package; pip install 'robustbench-nlp[ray]'") from problem
        self.opening = opening
        self.count = count
        self.restarts = 0
        self._ray: Any = ray
        self._started = False
        self._actors: list[Any] = []

    def run(self, defense: str, member: Member, examples: Sequence[Example]) -> Iterator[Record]:
        """The examples' records as they come. Raises `UsageError` where an actor can't open the run, and where a share loses
        `LIVES` actors in a row."""
        self._actors = self._actors or [self._actor() for _ in range(self.count)]
        left = shares_of(examples, self.count)
        lost = [0] * self.count

        def asked(number: int) -> Any:
            return self._actors[number].attack.remote(Order(defense, member, left[number].keys))

        streams = {asked(number): number for number in range(self.count) if left[number]}
        while streams:
            (stream,), _ = self._ray.wait(list(streams), num_returns=1)
            number = streams[stream]
            try:
                record: Record = self._ray.get(next(stream))
            except StopIteration:
                del streams[stream]
            except self._ray.exceptions.RayActorError as problem:
                lost[number] += 1
                if lost[number] >= LIVES:
                    why = str(problem).strip().partition("\n")[0]
                    raise UsageError(
                        f"{LIVES} actors in a row died on {defense} × {member.name} without a new record ({why}); "
                        "run without the backend ray to see what happens"
                    ) from problem
                self.restarts += 1
                self._actors[number] = self._actor()
                del streams[stream]
                streams[asked(number)] = number
            except self._ray.exceptions.RayTaskError as problem:
                if isinstance(problem.cause, UsageError):
                    raise UsageError(str(problem.cause)) from problem
                raise
            else:
                lost[number] = 0
                if left[number].strike(record.example_id):
                    yield record

    def _actor(self) -> Any:
        gpus = self._ray.cluster_resources().get("GPU", 0.0)
        kind = self._ray.remote(num_cpus=0, num_gpus=min(1.0, gpus / self.count), max_restarts=0)(_Actor)
        return kind.remote(self.opening)

    def __enter__(self) -> Self:
        if not self._ray.is_initialized():
            variables = {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
            variables["OMP_NUM_THREADS"] = str(self.opening.threads)
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

    def attack(self, order: Order) -> Iterator[Record]:
        self._bench = self._bench or Bench(self._opening)
        yield from self._bench.attack(order)
