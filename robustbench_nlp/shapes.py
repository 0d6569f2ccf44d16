"""Whether a value that was read from a file is of the type that the code says: files may come from anybody."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

__all__ = ["fits", "hints_of", "unfit"]

LARGEST = 2**63
"""Whole numbers from here on fit no table."""


def fits(value: object, hint: Any) -> bool:
    """Whether the value is of the type: plain types, unions, literals, lists, tuples and mappings of them. A whole number is
    a float, a truth value is no number."""
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        found = any(fits(value, one) for one in inside)
    elif origin is Literal:
        found = isinstance(value, str) and value in inside
    elif origin in (list, tuple):
        found = isinstance(value, origin) and all(fits(item, inside[0]) for item in value)
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        found = isinstance(value, Mapping) and all(fits(k, inside[0]) and fits(v, inside[1]) for k, v in value.items())
    elif hint is int:
        found = isinstance(value, int) and not isinstance(value, bool) and -LARGEST <= value < LARGEST
    elif hint is float:
        found = isinstance(value, float) or fits(value, int)
    else:
        found = hint is Any or isinstance(value, NoneType if hint is None else hint)
    return found


def hints_of(kind: type) -> dict[str, Any]:
    """A class's fields with their types."""
    return get_type_hints(kind)


def unfit(values: Mapping[str, object], hints: Mapping[str, Any]) -> str:
    """What is wrong with the first of the values that isn't as its hint says, '' if all are."""
    for name, hint in hints.items():
        if name not in values:
            return f"it has no '{name}'"
        if not fits(values[name], hint):
            shown = ascii(values[name])
            return f"its '{name}' is {shown if len(shown) < 60 else shown[:57] + '...'}"
    return ""
