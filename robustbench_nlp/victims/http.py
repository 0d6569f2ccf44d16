"""http:URL: a model behind an address: POST {"inputs": [...]} -> {"probabilities": [[...], ...]}.

One row of class probabilities an input, in order; a bare list of rows is taken too. Inputs are strings, or lists of
strings for tasks with several fields. A token in $ROBUSTBENCH_NLP_HTTP_TOKEN is sent as `Authorization: Bearer …` and
recorded nowhere. Columns follow the dataset's sorted label names, and as nobody can see whether the model behind the
address has changed, `--no-resume` starts its records anew.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import numpy as np

from robustbench_nlp.data.example import Input, content_hash
from robustbench_nlp.errors import Unreachable, UsageError, VictimError
from robustbench_nlp.patience import Late, Patience
from robustbench_nlp.victim import Probabilities, VictimOptions

__all__ = ["load", "HttpVictim"]  # noqa: RUF022 (the factory first)

TIMEOUT = 60.0
TOKEN_VARIABLE = "ROBUSTBENCH_NLP_HTTP_TOKEN"
MOST_BYTES = 16 * 2**20
"""The largest answer that is read: far more than 64 inputs' probabilities."""
_BUSY = {408, 425, 429, 500, 502, 503, 504}


def load(argument: str, options: VictimOptions) -> HttpVictim:
    """A victim at a URL, written `http:URL` or just the URL. Raises `UsageError` for what is no URL, or without httpx."""
    url = f"http:{argument}" if argument.startswith("//") else argument
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(f"'{argument}' is no URL; write http:http://HOST:PORT/PATH")
    try:
        import httpx  # noqa: F401
    except ImportError as problem:
        raise UsageError("http: needs httpx; pip install 'robustbench-nlp[http]'") from problem
    return HttpVictim(url, timeout=options.timeout or TIMEOUT)


class HttpVictim:
    """Asks a server, 64 inputs a call; `timeout` and `backoff` are seconds, and the wait doubles with each of `retries`.

    Refused connections and the statuses of a busy server are tried again, a late answer once, everything else is a `VictimError`.
    A server that answers no single input in time hangs: `UsageError`.
    """

    label_names: tuple[str, ...] = ()
    random = False
    batch_size = 64

    def __init__(self, url: str, *, timeout: float = TIMEOUT, retries: int = 4, backoff: float = 0.5) -> None:
        self.name = f"http:{_public(url)}"
        self._url = url
        self._patience = Patience(timeout, self.name)
        self._retries = retries
        self._backoff = backoff

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of the address: a server doesn't show its weights."""
        return content_hash(self.name)[:16]

    def predict(self, inputs: Sequence[Input], draw: int = 0) -> Probabilities:
        if not inputs:
            return np.zeros((0, max(len(self.label_names), 2)), np.float32)
        body = json.dumps({"inputs": list(inputs)})  # ASCII: any string survives
        late = 0
        for attempt in range(self._retries + 1):
            if attempt:
                time.sleep(self._backoff * 2 ** (attempt - 1))
            try:
                problem, answer = self._patience.wait(lambda: self._ask(body))
            except Late:
                if (late := late + 1) > 1:
                    break
                problem, answer = "a late answer", None
            if not problem:
                self._patience.answered()
                return _rows(answer, self.name)
        if late:
            raise self._patience.late(len(inputs))
        kind = Unreachable if problem.startswith("Connect") else VictimError  # ConnectError, ConnectTimeout
        raise kind(f"{self.name} failed {self._retries + 1} times, at last with: {problem}")

    def _ask(self, body: str) -> tuple[str, Any]:
        """What went wrong and may be tried again ('' for nothing), and the decoded answer."""
        import httpx

        content = bytearray()
        try:
            with self._client.stream("POST", self._url, content=body) as response:
                if response.status_code in _BUSY:
                    return f"status {response.status_code}", None
                if response.status_code != 200:
                    raise VictimError(f"{self.name} answered with status {response.status_code}")
                for part in response.iter_bytes():
                    content += part
                    if len(content) > MOST_BYTES:
                        raise VictimError(f"{self.name} answered with more than {MOST_BYTES >> 20} MB")
        except httpx.ConnectTimeout as problem:
            return f"{type(problem).__name__}: {problem}", None
        except httpx.TimeoutException:
            raise Late from None
        except (httpx.TransportError, httpx.DecodingError) as problem:
            return f"{type(problem).__name__}: {problem}", None
        try:
            return "", json.loads(content)
        except (ValueError, RecursionError) as problem:
            raise VictimError(f"{self.name} answered with something that is no JSON") from problem

    @cached_property
    def _client(self) -> Any:
        import httpx

        headers = {"Content-Type": "application/json"}
        token = os.environ.get(TOKEN_VARIABLE)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return httpx.Client(timeout=self._patience.seconds, headers=headers)


def _rows(answer: Any, name: str) -> Probabilities:
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
