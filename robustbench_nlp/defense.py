"""The Defense protocol: a function from victim to victim, and the composition a+b = a(b(victim))."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from math import inf
from random import Random
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from robustbench_nlp.attack import Attack
from robustbench_nlp.data.example import Example, Input, content_hash
from robustbench_nlp.detection import Detecting, Watched
from robustbench_nlp.errors import UsageError
from robustbench_nlp.plugins import create
from robustbench_nlp.rewriting import Rewritten
from robustbench_nlp.victim import Victim

__all__ = ["Composed", "Defense", "Learns", "Unread", "compose", "defend", "knows", "rehearse", "shown"]


@runtime_checkable
class Defense(Protocol):
    """Makes a defended victim from a victim, the training split, and a generator that is its only randomness.

    A defense is a frozen, keyword-only dataclass: its settings are its identity. It must not look at dev or test data.
    """

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Composed:
    """Defenses in the order in which a text meets them: the last is put around the victim first.

    Every part starts from the generator's state at the call, so that b is the same victim in a+b as by itself.
    """

    parts: tuple[Defense, ...]

    @property
    def known(self) -> tuple[str, ...]:
        """What any part learned from; see `knows`."""
        return tuple(name for part in self.parts for name in getattr(part, "known", ()))

    @property
    def detects(self) -> bool:
        """Whether any part makes a victim that can reject an input."""
        return any(getattr(part, "detects", False) for part in self.parts)

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        for part in reversed(self.parts):
            victim = _around(victim, part, train, copy(rng))
        return victim


def _around(victim: Victim, part: Defense, train: Sequence[Example], rng: Random) -> Victim:
    """The victim behind a part. Raises `UsageError` where that hides a detector, whose rejections would go unseen."""
    made = part(victim, train, rng)
    if isinstance(victim, Detecting) and not isinstance(made, Detecting):
        name = type(part).__module__.rpartition(".")[2]
        raise UsageError(
            f"{name} hides the detector behind it; name the detector before {name}, such as density+{name}"
        )
    return made


def compose(selector: str) -> Defense:
    """The defense of a selector such as `spell(max_edits=1)+typo-augmentation`; '+' inside parentheses splits nothing.

    Raises `UsageError` for an unknown name or setting, an empty part, or a missing extra.
    """
    parts = _split(selector)
    if not all(parts):
        raise UsageError(f"cannot read the defense '{selector}'; write NAME or NAME+NAME")
    made = tuple(create("defense", part) for part in parts)
    return made[0] if len(made) == 1 else Composed(parts=made)


def defend(victim: Victim, selector: str, train: Sequence[Example], seed: int) -> Victim:
    """The victim behind a selector's defense, the same one for the same seed in every command. Each part draws by its own selector, so
    that what b learns in a+b is what it learns by itself; a detector by its name, so that its settings are compared on the same texts."""
    for part in reversed(_split(selector)):
        made = compose(part)
        name = part.partition("(")[0] if getattr(made, "detects", False) else part
        victim = _around(victim, made, train, Random(int(content_hash(seed, shown(name))[:16], 16)))
    return victim


class Learns(Exception):  # noqa: N818
    """A defense has refused neither the victim nor the training split, and begins to learn."""


class Unread(Sequence[Example]):
    """As many training examples as there are, none of which can be read; `continue_training` gives back the victim for them."""

    def __init__(self, train: Sequence[Example]) -> None:
        self._count = len(train)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, at: Any) -> Any:
        raise Learns if self._count else IndexError(at)


def _flat(defense: Defense) -> list[Defense]:
    """The parts, and those of parts that are compositions."""
    return [inner for part in defense.parts for inner in _flat(part)] if isinstance(defense, Composed) else [defense]


def rehearse(defense: Defense, victim: Victim, train: Sequence[Example]) -> Victim:
    """A victim with the capabilities of the defended one. Nothing is learned: a part that reads the split is stopped there, and
    stands as a rewriting that changes no text, or as a detector that rejects none. Raises `UsageError` where the defense refuses
    the victim or the split."""
    for part in reversed(_flat(defense)):
        try:
            victim = _around(victim, part, Unread(train), Random(0))
        except Learns:
            detects = getattr(part, "detects", False)
            victim = Watched(victim, _unsuspecting, inf, ()) if detects else Rewritten(victim, str, ())
    return victim


def _unsuspecting(inputs: Sequence[Input]) -> NDArray[np.float32]:
    return np.zeros(len(inputs), np.float32)


def knows(defense: Defense, name: str, attack: Attack) -> bool:
    """Whether the defense learned from this attack (`name`: as tables print it), or from the words or characters that it draws on, or
    looks texts up among them.

    A defense that did names them in its attribute `known`: attacks, what these name in `drawn_from`, and the first words of
    `Threat.candidates`.
    """
    known: tuple[str, ...] = tuple(getattr(defense, "known", ()))
    name = name.rpartition("/")[2].partition("(")[0].partition(":")[0].partition("@")[0]
    material = {name, *getattr(attack, "drawn_from", ())}
    return not material.isdisjoint(known) or (attack.threat.candidates or "").startswith(known)


def shown(selector: str) -> str:
    """The selector as tables print it: names as their files', settings as they are written."""
    parts = (part.partition("(") for part in _split(selector))
    return "+".join(name.replace("-", "_") + bracket + settings for name, bracket, settings in parts)


def _split(selector: str) -> list[str]:
    parts, depth = [""], 0
    for character in selector:
        depth += (character == "(") - (character == ")")
        if character == "+" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]
