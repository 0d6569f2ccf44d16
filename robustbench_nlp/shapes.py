"""Whether a value that was read from a file is of the type that the code says: files may come from anybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

__all__ = ["fits", "hints_of", "unfit"]

LARGEST = 2**63
"""Whole numbers from here on fit no table."""


def fits(value: object, hint: Any) -> bool:
    """Whether the value is of the type: plain types, unions, literals, lists, tuples and mappings of them. A whole number is
    a float, a truth value is no number."""
    return _check(hint)(value)


@cache
def _check(hint: Any) -> Callable[[object], bool]:  # noqa: PLR0911 (a kind of hint a line)
    """`fits` for one hint, which is taken apart once."""
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        either = [_check(one) for one in inside]
        return lambda value: any(check(value) for check in either)
    if origin is Literal:
        return lambda value: isinstance(value, str) and value in inside
    if origin in (list, tuple):
        item = _check(inside[0])
        return lambda value: isinstance(value, origin) and all(map(item, value))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        key, held = map(_check, inside)
        return lambda value: isinstance(value, Mapping) and all(key(k) and held(v) for k, v in value.items())
    if hint is int:
        return lambda value: isinstance(value, int) and not isinstance(value, bool) and -LARGEST <= value < LARGEST
    if hint is float:
        whole = _check(int)
        return lambda value: isinstance(value, float) or whole(value)
    plain = NoneType if hint is None else hint
    return lambda value: plain is Any or isinstance(value, plain)


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
