"""Whether a value that was read from a file is of the type that the code says: files may come from anybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, reduce
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

__all__ = ["Shape", "fits", "hints_of", "shape", "unfit"]

Check = Callable[[object], bool]
Shape = Mapping[str, Check]
"""What must be there by which name, and whether a value is right for it."""

LARGEST = 2**63
"""Whole numbers from here on fit no table."""


def fits(value: object, hint: Any) -> bool:
    """Whether the value is of the type: plain types, unions, literals, lists, tuples and mappings of them. A whole number is
    a float, a truth value is no number."""
    return _check(hint)(value)


@cache
def _check(hint: Any) -> Check:  # noqa: PLR0911 (a kind of hint a line)
    """`fits` for one hint, which is taken apart once."""
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return reduce(lambda one, other: lambda value: one(value) or other(value), map(_check, inside))
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
    if hint is Any:
        return lambda value: True
    plain = NoneType if hint is None else hint
    return lambda value: isinstance(value, plain)


def hints_of(kind: type) -> dict[str, Any]:
    """A class's fields with their types."""
    return get_type_hints(kind)


def shape(hints: Mapping[str, Any]) -> Shape:
    """Hints taken apart once, for `unfit`."""
    return {name: _check(hint) for name, hint in hints.items()}


def unfit(values: Mapping[str, object], shape: Shape) -> str:
    """What is wrong with the first of the values that isn't as the shape says, '' if all are."""
    for name, check in shape.items():
        if name not in values:
            return f"it has no '{name}'"
        if not check(values[name]):
            shown = ascii(values[name])
            return f"its '{name}' is {shown if len(shown) < 60 else shown[:57] + '...'}"
    return ""
