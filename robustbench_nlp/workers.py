"""Worker processes for one run: each opens the benchmark for itself and attacks its share of a cell's examples.

The run's own process alone writes records, so a worker can die at any moment: a fresh one takes what is left of its share. A
share is decided by the example's hash, and an attack's randomness by the example too, so records don't depend on the split.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp.attack import Attack
from robustbench_nlp.data.example import Dataset, Example, ids_of, picked
from robustbench_nlp.errors import UsageError
from robustbench_nlp.grid import Benchmark, Member
from robustbench_nlp.on_disk import key_of
from robustbench_nlp.records import Record

__all__ = ["LIVES", "STALL", "Bench", "Crew", "Opening", "Order", "Workers", "share_of", "shares_of"]

STALL = 600.0
"""Seconds without a sign of life after which a worker counts as stuck."""
BEAT = 1.0
"""The least seconds between two signs of life."""
LIVES = 3
"""Workers that one share may lose in a row without a new record."""
_COMMAND = "from robustbench_nlp.workers import work; work({})"


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What a worker makes its run from: the benchmark, what its selectors don't say, and the threads that it may take."""

    benchmark: Benchmark
    dataset: str | Dataset
    attacks: tuple[str | Attack, ...]
    device: str = "auto"
    batch_size: int | str = "auto"
    timeout: float | None = None
    threads: int = 1


@dataclass(frozen=True)
class Order:
    """What a worker is asked: a cell, and its share of the examples, by their keys: the worker has opened the data set too."""

    defense: str
    member: Member
    keys: NDArray[np.uint64]


class _Beat:
    """A sign of life."""


class Left:
    """What is left of a share, of examples by their ids; 9 bytes each."""

    def __init__(self, identities: Iterable[str]) -> None:
        self._keys = np.sort(np.fromiter(map(key_of, identities), np.uint64))
        self._open = np.ones(len(self._keys), bool)
        self._count = len(self._keys)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, identity: str) -> bool:
        return self._place(identity) is not None

    @property
    def keys(self) -> NDArray[np.uint64]:
        return self._keys[self._open]

    def strike(self, identity: str) -> bool:
        """Whether the example was left; now it isn't."""
        place = self._place(identity)
        if place is None:
            return False
        self._open[place] = False
        self._count -= 1
        return True

    def _place(self, identity: str) -> int | None:
        key = np.uint64(key_of(identity))
        place = int(np.searchsorted(self._keys, key))
        return place if place < len(self._keys) and self._keys[place] == key and self._open[place] else None


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    connection: Connection[Any, Any]
    left: Left = field(default_factory=lambda: Left(()))
    heard: float | None = None
    """When it gave its last sign of life (by the monotonic clock); None while it opens the run or makes the victim of an order, which
    may take long."""
    lost: int = 0


def share_of(identity: str, shares: int) -> int:
    """The number of the share, of so many, that an example belongs to: by the end of its hash, whose start decides its shard."""
    return int(identity[8:], 16) % shares


def shares_of(examples: Sequence[Example], shares: int) -> list[Left]:
    """All of each share's examples."""
    return [Left(i for i in ids_of(examples) if share_of(i, shares) == number) for number in range(shares)]


class Workers(Protocol):
    """What attacks a cell's examples for a run, inside a `with` block."""

    def run(self, defense: str, member: Member, examples: Sequence[Example]) -> Iterator[Record]: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Bench:
    """A worker's own copy of the run, with the defended victim that it attacked last."""

    def __init__(self, opening: Opening) -> None:
        """Raises `UsageError` for what can't be opened here."""
        from robustbench_nlp.api import opened

        self._runner = opened(
            opening.benchmark,
            victim=opening.benchmark.victim,
            dataset=opening.dataset,
            attacks=opening.attacks,
            device=opening.device,
            batch_size=opening.batch_size,
            timeout=opening.timeout,
        )
        self._defense = ""
        self._victim = self._runner.victim

    def attack(self, order: Order, each_round: Callable[[], None] = lambda: None) -> Iterator[Record]:
        """The order's records as they come. `each_round` is called once the victim is there, as its defense may have to be trained first,
        and as in `Engine`. Raises `UsageError` where an example isn't here."""
        if order.defense != self._defense:
            self._defense, self._victim = order.defense, self._runner.defend(order.defense)
        wanted = Left(f"{key:016x}" for key in order.keys)
        examples = picked(self._runner.examples, wanted.__contains__)
        if len(examples) < len(wanted):
            raise UsageError(
                "a worker finds another data set than the run's; has its file changed, or is it another machine's?"
            )
        each_round()
        yield from self._runner.engine(self._victim, order.member, each_round).run(examples)


class Crew:
    """`count` workers, started when they are first needed, with one share of every cell each."""

    def __init__(self, opening: Opening, count: int, *, stall: float = STALL) -> None:
        self.opening = opening
        self.count = count
        self.stall = stall
        self.restarts = 0
        self._workers: list[_Worker] = []

    def run(self, defense: str, member: Member, examples: Sequence[Example]) -> Iterator[Record]:
        """The examples' records as they come. Raises `UsageError` where a worker can't open the run, and where a share loses
        `LIVES` workers in a row."""
        self._workers = self._workers or [self._started() for _ in range(self.count)]
        for worker, share in zip(self._workers, shares_of(examples, self.count), strict=True):
            worker.left = share
            self._send(worker, defense, member)
        while busy := [number for number, worker in enumerate(self._workers) if worker.left]:
            ready = wait([self._workers[number].connection for number in busy], timeout=BEAT)
            for number in busy:
                worker = self._workers[number]
                if worker.connection in ready:
                    try:
                        message = worker.connection.recv()
                    except (EOFError, OSError, pickle.UnpicklingError):
                        self._replace(number, defense, member)
                        continue
                    worker.heard = time.monotonic()
                    if isinstance(message, UsageError):
                        raise message
                    if isinstance(message, Record):
                        worker.lost = 0
                        if worker.left.strike(message.example_id):
                            yield message
                elif worker.heard is not None and time.monotonic() - worker.heard > self.stall:
                    worker.process.kill()
                    self._replace(number, defense, member)

    def close(self) -> None:
        """End all workers at once: nothing that they hold is needed."""
        for worker in self._workers:
            _end(worker)
        self._workers = []

    def _started(self) -> _Worker:
        ours, theirs = Pipe()
        threads = str(self.opening.threads)
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
        process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND.format(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "false"},
        )
        theirs.close()
        worker = _Worker(process, ours)
        try:
            _say(worker, self.opening)
        except UsageError:
            _end(worker)
            raise
        return worker

    def _send(self, worker: _Worker, defense: str, member: Member) -> None:
        if not worker.left:
            return
        worker.heard = None
        _say(worker, Order(defense, member, worker.left.keys))

    def _replace(self, number: int, defense: str, member: Member) -> None:
        """A fresh worker for what is left of a lost one's share."""
        old = self._workers[number]
        code = old.process.wait()
        old.connection.close()
        if old.lost + 1 >= LIVES:
            why = (
                f"killed by signal {-code}: its memory may have run out, try fewer --workers"
                if code < 0
                else f"exit code {code}"
            )
            raise UsageError(
                f"{LIVES} workers in a row died or hung on {defense} × {member.name} without a new record ({why}); "
                "run without --workers to see what happens"
            )
        self.restarts += 1
        fresh = self._started()
        fresh.left, fresh.lost = old.left, old.lost + 1
        self._workers[number] = fresh
        self._send(fresh, defense, member)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _end(worker: _Worker) -> None:
    worker.process.kill()
    worker.process.wait()
    worker.connection.close()


def _say(worker: _Worker, message: Opening | Order) -> None:
    """Send, unless the worker is dead, which is noticed where its answers are read. Raises `UsageError` for what can't be sent."""
    try:
        worker.connection.send(message)
    except (BrokenPipeError, ConnectionResetError):
        pass
    except (pickle.PicklingError, AttributeError, TypeError) as problem:
        raise UsageError(
            f"an attack can't be sent to other processes ({problem}); define it in a module of its own, or drop workers"
        ) from problem


def work(descriptor: int) -> None:
    """A worker's life: open the run, then attack what each order names until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run's process ends its workers
    connection: Connection[Any, Any] = Connection(descriptor)
    try:
        _serve(connection)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    except UsageError as problem:
        connection.send(UsageError(str(problem)))


def _serve(connection: Connection[Any, Any]) -> None:
    bench = Bench(connection.recv())
    last = -BEAT

    def beat() -> None:
        nonlocal last
        if time.monotonic() - last > BEAT:
            last = time.monotonic()
            connection.send(_Beat())

    while True:
        order, last = connection.recv(), -BEAT
        for record in bench.attack(order, beat):
            connection.send(record)
