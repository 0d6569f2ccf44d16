"""What tells two cells' settings apart: nested settings one by one, and of those the ones that differ."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from robustbench_nlp.errors import apart

__all__ = ["EXAMPLES", "Differing", "differing", "flat"]

EXAMPLES = ("examples", "labels of the examples")
"""Settings that are hashes of the examples: where their number differs, `n`, that says it all."""
_THREAT = re.compile(r"threat=Threat\((?:[^()]|\([^()]*\))*\)(?:, )?")
"""What an attack says of its threat, whose settings stand by themselves."""


class Differing(NamedTuple):
    """One setting, and its value on either side as a message shows it."""

    name: str
    one: str
    other: str


def differing(one: Mapping[str, Any], other: Mapping[str, Any], allowed: Collection[str] = ()) -> list[Differing]:
    """The settings that differ, but for those `allowed` to. Either side is a cell's `spec` or made by `flat`, with or without its
    `n`, the number of examples."""
    keys = [key for key in {**one, **other} if key not in allowed and one.get(key) != other.get(key)]
    sides = [flat({key: side[key] for key in keys if key in side}) for side in (one, other)]
    leaves = [key for key in {**sides[0], **sides[1]} if key not in allowed and sides[0].get(key) != sides[1].get(key)]
    if "n" in leaves:
        leaves = [key for key in leaves if key not in EXAMPLES]
    if keys and not leaves:  # in what `flat` leaves out
        sides, leaves = [dict(one), dict(other)], keys
    return [Differing(key, *apart(*(_shown(side.get(key)) for side in sides))) for key in leaves]


def flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """One level, a setting a line; what is not set is left out. What is flat stays as it is."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if key == "labels":
            found["label names"], found[EXAMPLES[1]] = ", ".join(value[0]), value[1]
        elif key in ("attack", "task") and not isinstance(value, str):
            found[key], found[f"{key} version"] = _THREAT.sub("", str(value[-2])), value[-1]
        elif isinstance(value, Mapping):
            found |= {f"{key} {inner}": setting for inner, setting in value.items()}
        else:
            found[key] = value
    return {key: value for key, value in found.items() if value not in (None, [], ())}


def _shown(value: object) -> object:
    return "none" if value is None else value
