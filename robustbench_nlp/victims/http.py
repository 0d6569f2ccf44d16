"""http:URL: a model behind an address: POST {"inputs": [...]} -> {"probabilities": [[...], ...]}.

One row of class probabilities an input, in order; a bare list of rows is taken too, and "usage": {"total_tokens": n} is heard. Inputs are strings, or lists of
strings for tasks with several fields. A token in $ROBUSTBENCH_NLP_HTTP_TOKEN is sent as `Authorization: Bearer …` and
recorded nowhere. Columns follow the dataset's sorted label names, and as nobody can see whether the model behind the
address has changed, `--no-resume` starts its records anew. Settings: "http(concurrency=8,batch=32,rate=20,price=0.0001,budget=5):URL".
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import numpy as np

from robustbench_nlp import kept_answers, spending
from robustbench_nlp.data.example import Input, content_hash
from robustbench_nlp.errors import Unreachable, UsageError, VictimError
from robustbench_nlp.interrupts import batch_ended
from robustbench_nlp.kept_answers import KeptAnswers
from robustbench_nlp.patience import Late, Patience
from robustbench_nlp.posting import Manners, Poster
from robustbench_nlp.predictor import sound
from robustbench_nlp.spending import Spending, Tariff
from robustbench_nlp.victim import Probabilities, VictimOptions

__all__ = ["load", "HttpVictim"]  # noqa: RUF022 (the factory first)

TIMEOUT = 60.0
TOKEN_VARIABLE = "ROBUSTBENCH_NLP_HTTP_TOKEN"
WAVES = 4
"""Requests, beside one another, that a call is best made of: with more of them fewer wait for the slowest."""


def load(
    argument: str,
    options: VictimOptions,
    *,
    concurrency: int = 1,
    batch: int = 64,
    rate: float | None = None,
    retries: int = 4,
    backoff: float = 0.5,
    price: float | None = None,
    price_per: Literal["input", "1k_characters", "1k_tokens"] = "input",
    budget: float | None = None,
) -> HttpVictim:
    """A victim at a URL, written `http:URL` or just the URL; settings as in `Manners` and `Tariff`. Raises `UsageError` for what is
    no URL or setting, or without httpx."""
    url = f"http:{argument}" if argument.startswith("//") else argument
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(f"'{argument}' is no URL; write http:http://HOST:PORT/PATH")
    manners = Manners(concurrency=concurrency, batch=batch, rate=rate, retries=retries, backoff=backoff)
    tariff = Tariff(price=price, price_per=price_per, budget=budget)
    try:
        import httpx  # noqa: F401
    except ImportError as problem:
        raise UsageError("http: needs httpx; pip install 'robustbench-nlp[http]'") from problem
    return HttpVictim(url, timeout=options.timeout or TIMEOUT, manners=manners, tariff=tariff)


class HttpVictim:
    """Asks a server in batches, as `manners` says; `timeout` is the seconds of a request.

    Refused connections and the statuses of a busy server are tried again, a late answer once, everything else is a `VictimError`.
    Where some batches of a call fail, the others' answers are kept for when the caller asks for them again. A server that
    answers no single input in time hangs: `UsageError`. The budget of `tariff` is held against `spending` before each call.
    """

    label_names: tuple[str, ...] = ()
    random = False

    def __init__(
        self, url: str, *, timeout: float = TIMEOUT, manners: Manners | None = None, tariff: Tariff | None = None
    ) -> None:
        self.name = f"http:{_public(url)}"
        self.manners = manners or Manners()
        self.selector = f"http:{url}"
        self.spending = Spending(tariff)
        self.one_process = self.manners.rate is not None or self.spending.tariff.price is not None
        self.batch_size = self.manners.batch * self.manners.concurrency * WAVES
        self._url = url
        self._patience = Patience(timeout, self.name)
        self._timeout = timeout
        self._kept = KeptAnswers()
        self._poster: Poster | None = None

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of the address: a server doesn't show its weights."""
        return content_hash(self.name)[:16]

    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        if not inputs:
            return np.zeros((0, max(len(self.label_names), 2)), np.float32)
        known: dict[Input, Probabilities] = {}
        for item in dict.fromkeys(inputs):
            if (row := self._kept.take(item, alone=len(inputs) == 1)) is not None:
                known[item] = row
        left = [item for item in inputs if item not in known]
        size = self.manners.batch
        batches = [left[start : start + size] for start in range(0, len(left), size)]
        answers = self._ask(batches, classes=len(next(iter(known.values()))) if known else None)
        failures = [answer for answer in answers if isinstance(answer, VictimError)]
        if failures:
            for item, row in known.items():
                self._kept.put_back([item], row[np.newaxis])
        for batch, answer in zip(batches, answers, strict=True):
            if isinstance(answer, VictimError):
                continue
            if failures:
                self._kept.put_back(batch, answer)
            known.update(zip(batch, answer, strict=True))
        if failures:
            raise _told(failures, whole=not known)
        return np.stack([known[item] for item in inputs])

    def predict_apart(self, inputs: Sequence[Input]) -> list[Probabilities | VictimError]:
        """Each input's answer, (1, classes), or error, by a request of its own."""
        kept = [self._kept.take(item, alone=True) for item in inputs]
        asked = iter(self._ask([[item] for item, row in zip(inputs, kept, strict=True) if row is None]))
        return [next(asked) if row is None else row[np.newaxis] for row in kept]

    def keep_in(self, folder: Path, *, resume: bool) -> None:
        """Count what was sent in a run folder, and where answers cost money keep them there: a run that goes on pays for none twice."""
        self.spending.keep(folder / spending.FILE)
        if self.spending.tariff.price is not None:
            self._kept.keep(folder / kept_answers.FILE, resume=resume)

    def _ask(self, batches: Sequence[Sequence[Input]], classes: int | None = None) -> list[Probabilities | VictimError]:
        """Each batch's rows or error. Raises `UsageError`, and does so before anything is sent where it costs more than is left."""
        self.spending.check([item for batch in batches for item in batch])
        found: list[Probabilities | VictimError] = []
        poster = self._posting()
        futures = [poster.submit(batch) for batch in batches]
        try:
            for batch, future in zip(batches, futures, strict=True):
                try:
                    found.append(rows := self._rows(future, len(batch), classes))
                    self._kept.came(batch, rows)
                    classes = rows.shape[1]
                except VictimError as problem:
                    found.append(problem)
                batch_ended()
        finally:
            for future in futures:
                future.cancel()
        return found

    def _rows(self, future: Future[Any], inputs: int, classes: int | None) -> Probabilities:
        try:
            answer = future.result()
        except Late:
            raise self._patience.late(inputs) from None
        self._patience.answered()
        return sound(_table(answer, self.name), inputs, classes)

    def _posting(self) -> Poster:
        """What sends; a child process needs one of its own."""
        if self._poster is None or self._poster.process != os.getpid():
            headers = {"Content-Type": "application/json"}
            if token := os.environ.get(TOKEN_VARIABLE):
                headers["Authorization"] = f"Bearer {token}"
            self._poster = Poster(
                self._url, self.name, headers, timeout=self._timeout, manners=self.manners, spending=self.spending
            )
        return self._poster


def _told(failures: Sequence[VictimError], *, whole: bool) -> VictimError:
    """One error for those of several batches: that nobody is there only where no batch (`whole`) had an answer."""
    other = next((problem for problem in failures if not isinstance(problem, Unreachable)), None)
    if other is None and not whole:
        return VictimError(str(failures[0]))
    return other or failures[0]


def _table(answer: Any, name: str) -> Probabilities:
    rows = answer.get("probabilities") if isinstance(answer, dict) else answer
    try:
        made: Probabilities = np.array(rows, dtype=np.float32)
    except (TypeError, ValueError) as problem:
        raise VictimError(
            f'{name} answered with no table of numbers; {{"probabilities": [[...], ...]}} is wanted'
        ) from problem
    if made.ndim != 2:
        raise VictimError(f'{name} answered with no table of numbers; {{"probabilities": [[...], ...]}} is wanted')
    return made


def _public(url: str) -> str:
    """The address without user, password and query, which may hold secrets."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
