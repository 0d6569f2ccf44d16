"""What `robustbench-nlp list` prints: attacks by what they change and know, adapters with their state. Loads no torch."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, NamedTuple

from robustbench_nlp import plugins
from robustbench_nlp.errors import UsageError
from robustbench_nlp.plugins import Choice, Kind
from robustbench_nlp.threat import KNOWLEDGE, Threat

__all__ = ["Listed", "lines", "listed", "names", "overview", "shortened"]

WORST_CASE = "The worst over the other attacks, example by example; worst_case:a+b names its members, worst_case:fast-1 an ensemble."
UNITS = ("char", "word", "sentence")
KNOWS = {"score": "sees scores", "decision": "sees decisions", "gradient": "sees gradients"}
OTHERS = (
    "noise, no search",
    "the victim's answer is kept",
    "over other attacks",
    "recipes of other libraries",
    "not to be loaded here",
)


class Listed(NamedTuple):
    """A plug-in: its name and its line; of attacks also the group they stand in and their threat; the arguments it takes."""

    name: str
    title: str
    group: str = ""
    threat: str = ""
    choices: Sequence[Choice] = ()


def names(kind: Kind) -> list[str]:
    """What the list of a kind names, sorted."""
    return sorted([*plugins.plugin_names(kind), *["worst_case"] * (kind == "attack")])


def overview(kinds: Mapping[str, Kind], width: int | None) -> list[str]:
    """A line on each kind, by what the command line calls it: how many there are, and their names, cut as `lines` are."""
    known = {name: names(kind) for name, kind in kinds.items()}
    longest = max(map(len, known))
    return [shortened(f"{name:{longest}} {len(found):3}  {', '.join(found)}", width) for name, found in known.items()]


def listed(kind: Kind) -> list[Listed]:
    """Every plug-in of a kind, by name; attacks by group, the least knowing first."""
    known = plugins.plugin_names(kind)
    if kind != "attack":
        return [Listed(name, plugins.describe(kind, name)) for name in known]
    found = [*map(_attack, known), Listed("worst_case", WORST_CASE, OTHERS[2])]
    groups = [*(_group(unit, knowledge) for unit in UNITS for knowledge in KNOWLEDGE), *OTHERS]
    order = {group: i for i, group in enumerate(groups)}
    return sorted(found, key=lambda attack: (order.get(attack.group, len(order)), attack.name))


def _group(unit: str, knowledge: str) -> str:
    return f"{unit}, {KNOWS[knowledge]}"


def _attack(name: str) -> Listed:
    try:
        make, choices = plugins.factory("attack", name), plugins.choices("attack", name)
        made = _made(make)
    except Exception as problem:  # another's plug-in: the rest is listed all the same
        return Listed(name, f"{plugins.describe('attack', name)} ({type(problem).__name__}: {problem})", OTHERS[-1])
    title = plugins.describe("attack", name)
    threat = getattr(made, "threat", None)
    threat = threat if isinstance(threat, Threat) else None
    mode = getattr(made, "mode", "adaptive")
    if any(choice.line for choice in choices):
        group = OTHERS[3]
    elif isinstance(mode, str) and mode in ("noise", "reduction"):
        group = OTHERS[0] if mode == "noise" else OTHERS[1]
    else:
        group = _group(threat.unit, threat.knowledge) if threat else _group("word", "score")
    return Listed(name, title, group, str(threat) if threat and not choices else "", choices)


def _made(make: Any) -> Any:
    """The attack as it is by default; of one that wants an argument, its class with the defaults that it has."""
    fields = getattr(make, "__dataclass_fields__", {})
    if not any(map(plugins.required, fields.values())):
        with suppress(UsageError):
            return make()
    return SimpleNamespace(**{name: field.default for name, field in fields.items()})


def lines(kind: Kind, width: int | None) -> list[str]:
    """As it is read on a terminal of so many columns; None: nothing is cut."""
    found = listed(kind)
    name = max(len(plugin.name) for plugin in found)
    threat = max(len(plugin.threat) for plugin in found)
    shown: list[str] = []
    group = ""
    for plugin in found:
        if plugin.group != group:
            group = plugin.group
            shown += [""] * bool(shown) + [group]
        indent = "  " if group else ""
        gap = f"{plugin.threat:{threat}}  " if threat else ""
        shown.append(shortened(f"{indent}{plugin.name:{name}}  {gap}{plugin.title}", width))
        shown += _arguments(plugin, width)
    return shown


def _arguments(plugin: Listed, width: int | None) -> Iterable[str]:
    bare = [choice.argument for choice in plugin.choices if not choice.line]
    if bare:
        text = f"{plugin.name}:{', '.join(bare)}"
        yield from textwrap.wrap(text, (width or 120), initial_indent="    ", subsequent_indent=" " * 10)
    told = [choice for choice in plugin.choices if choice.line]
    names = [f"{plugin.name}:{choice.argument}" for choice in told]
    longest = max(map(len, names), default=0)
    for name, choice in zip(names, told, strict=True):
        yield shortened(f"    {name:{longest}}  {choice.line}", width)


def shortened(line: str, width: int | None) -> str:
    """At most `width` columns, an ellipsis where something was cut."""
    line = line.rstrip()
    return line if width is None or len(line) <= width else f"{line[: width - 1].rstrip()}…"
