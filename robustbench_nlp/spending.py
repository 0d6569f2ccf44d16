"""What asking a victim costs: every input that was sent, at a price, within a budget, counted across resumed runs.

Money is computed from counts of what was sent, at the price that is given now. Counted is every request as it goes out, so
that a crash can't hide one, and uncounted what the server refused by status or never received, as that is billed by nobody.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from robustbench_nlp.data.example import Input
from robustbench_nlp.errors import BudgetSpent, UsageError, writing
from robustbench_nlp.records import write_whole
from robustbench_nlp.shapes import fits, shape, unfit

__all__ = ["FILE", "Spending", "Tariff"]

FILE = "spending.json"
"""In a run folder: the counts."""
CHARACTERS_PER_TOKEN = 4
"""What a token is taken for until the server says how many there were: about right in English."""
_COUNTS = {"requests": int, "inputs": int, "characters": int, "tokens": int}
_UNITS = {"input": "input", "1k_characters": "1,000 characters", "1k_tokens": "1,000 tokens"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Tariff:
    """`price` of an input, of 1,000 characters or of 1,000 tokens, and the `budget`, in one currency; None: free, and without
    end."""

    price: float | None = None
    price_per: Literal["input", "1k_characters", "1k_tokens"] = "input"
    budget: float | None = None

    def __post_init__(self) -> None:
        """Raises `UsageError` for what is no price or budget."""
        for name in ("price", "budget"):
            value = getattr(self, name)
            if value is not None and not (fits(value, float) and 0 < value < float("inf")):
                raise UsageError(f"{name} is {value!r}; give a number above 0, in your currency")
        if self.price_per not in _UNITS:
            raise UsageError(f"price_per is {self.price_per!r}; give 'input', '1k_characters' or '1k_tokens'")
        if self.budget is not None and self.price is None:
            raise UsageError("a budget needs a price: add price=, of an input or with price_per='1k_tokens'")

    def cost(self, inputs: float, characters: float, tokens: float | None = None) -> float:
        """What so much costs; 0 without a price. Tokens that nobody counted are taken for so many characters."""
        amounts = {
            "input": inputs,
            "1k_characters": characters / 1000,
            "1k_tokens": (characters / CHARACTERS_PER_TOKEN if tokens is None else tokens) / 1000,
        }
        return (self.price or 0.0) * amounts[self.price_per]

    def __str__(self) -> str:
        return "no price" if self.price is None else f"{self.price:g} per {_UNITS[self.price_per]}"


class Spending:
    """Counts what is sent; threads may share it. `keep` goes on from a file and writes every change there."""

    def __init__(self, tariff: Tariff | None = None) -> None:
        self.tariff = tariff or Tariff()
        self.requests = self.inputs = self.characters = self.tokens = 0
        self._path: Path | None = None
        self._lock = threading.Lock()

    @property
    def cost(self) -> float:
        """What was spent so far, at today's price."""
        return self.tariff.cost(self.inputs, self.characters, self.tokens)

    def keep(self, path: Path) -> None:
        """Count from what the file says, from 0 where there is none, and keep it there. Raises `UsageError` for another file."""
        counts = dict.fromkeys(_COUNTS, 0)
        if path.exists():
            try:
                counts = json.loads(path.read_text("utf-8"))
                wrong = unfit(counts, shape(_COUNTS)) if isinstance(counts, dict) else "it is no mapping"
            except (ValueError, RecursionError):
                wrong = "it is no JSON"
            if wrong or min(counts[name] for name in _COUNTS) < 0:
                raise UsageError(f"{path} holds no spending: {wrong or 'a count is negative'}; mend or remove it")
        with self._lock:
            self.requests, self.inputs, self.characters, self.tokens = (counts[name] for name in _COUNTS)
            self._path = path

    def check(self, inputs: Sequence[Input]) -> None:
        """Raises `BudgetSpent` where sending the inputs would go beyond the budget."""
        budget = self.tariff.budget
        if budget is None:
            return
        more = self.tariff.cost(len(inputs), sum(map(_length, inputs)), sum(map(_tokens, inputs)))
        if self.cost + more > budget * (1 + 1e-9):
            raise BudgetSpent(
                f"the budget ends: {self.told()}, and {_counted(len(inputs), 'more input')} would cost {more:.6g}; every answer so far "
                "is kept, and the same command with a larger budget= goes on from there"
            )

    def charge(self, inputs: Sequence[Input]) -> None:
        """Count a request that is sent now. Raises `BudgetSpent`."""
        self.check(inputs)
        self._count(1, inputs)

    def refund(self, inputs: Sequence[Input]) -> None:
        """Uncount a request that the server refused or never got."""
        self._count(-1, inputs)

    def correct(self, inputs: Sequence[Input], tokens: int) -> None:
        """Count the tokens that the server says a request had, in the place of those it was taken for."""
        self._count(0, (), tokens - sum(map(_tokens, inputs)))

    def told(self) -> str:
        """What was spent, for a message."""
        of = f" of {self.tariff.budget:.6g}" if self.tariff.budget is not None else ""
        spent = f"{self.cost:.6g}{of} spent, " if self.tariff.price is not None else ""
        tokens = f" with {_counted(self.tokens, 'token')}" if self.tariff.price_per == "1k_tokens" else ""
        return f"{spent}{_counted(self.inputs, 'input')}{tokens} in {_counted(self.requests, 'request')} sent"

    def _count(self, sign: int, inputs: Sequence[Input], tokens: int = 0) -> None:
        with self._lock:
            self.requests += sign
            self.inputs += sign * len(inputs)
            self.characters += sign * sum(map(_length, inputs))
            self.tokens += sign * sum(map(_tokens, inputs)) + tokens
            if self._path is not None:
                content = {name: getattr(self, name) for name in _COUNTS}
                content |= {"cost": round(self.cost, 9), "price": str(self.tariff)}
                with writing(self._path):
                    write_whole(self._path, json.dumps(content) + "\n")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _tokens(item: Input) -> int:
    return -(-_length(item) // CHARACTERS_PER_TOKEN)


def _length(item: Input) -> int:
    return len(item) if isinstance(item, str) else sum(map(len, item))
