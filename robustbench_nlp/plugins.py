"""Discovery of attacks, defenses, victims, datasets and trackers: a plug-in's name is its file name, or its entry point's.

A plug-in module names its factory first in `__all__`: a settings dataclass for attacks and defenses, a function for
victims (`argument, VictimOptions -> Victim`) and datasets (`argument, split -> Dataset`), both with settings of their own as
keywords, and trackers (`argument -> Tracker`). Names are found without importing the plug-ins, and the first line of a module's
docstring describes it.
"""

from __future__ import annotations

import ast
import dataclasses
import re
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple

from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.threat import other_limits

__all__ = [
    "Choice",
    "Kind",
    "Selector",
    "choices",
    "create",
    "describe",
    "factory",
    "parse",
    "plugin_names",
    "required",
    "selector_of",
    "split_list",
]

Kind = Literal["attack", "defense", "victim", "dataset", "task", "tracker"]

_PACKAGES: dict[Kind, str] = {
    "attack": "robustbench_nlp.attacks",
    "defense": "robustbench_nlp.defenses",
    "victim": "robustbench_nlp.victims",
    "dataset": "robustbench_nlp.data.sources",
    "task": "robustbench_nlp.tasks",
    "tracker": "robustbench_nlp.trackers",
}
_GROUPS: dict[Kind, str] = {kind: f"robustbench_nlp.{kind}s" for kind in _PACKAGES}
_NAME = r"(?P<name>[A-Za-z][\w-]*)"
_ARGUMENT = r"(?::(?P<argument>.+))?"
_SELECTORS = [re.compile(f"{_NAME}(?:\\((?P<settings>{inside})\\))?{_ARGUMENT}", re.DOTALL) for inside in (".*?", ".*")]
"""Settings end at the first parenthesis that an argument, or nothing, follows; or, where that is inside a value, at the last."""
_SETTINGS_LAST = re.compile(r"(?P<argument>[^(]+)\((?P<settings>\s*[A-Za-z_]\w*\s*=.*)\)", re.DOTALL)


class Selector(NamedTuple):
    """`name`, `name:argument` or `name(key=value, …)`, as written on the command line; settings may stand before the
    argument or behind it: `name(key=value):argument`, `name:argument(key=value)`."""

    name: str
    argument: str = ""
    settings: dict[str, Any] = {}


class Choice(NamedTuple):
    """An argument that a plug-in takes after ':', and a line on it."""

    argument: str
    line: str = ""


@cache
def _files(kind: Kind) -> dict[str, Path]:
    spec = find_spec(_PACKAGES[kind])
    folders = spec.submodule_search_locations if spec else None
    return {
        path.stem: path
        for folder in folders or ()
        for path in sorted(Path(folder).glob("*.py"))
        if not path.stem.startswith("_")
    }


@cache
def _entry_points(kind: Kind) -> dict[str, EntryPoint]:
    return {point.name.replace("-", "_"): point for point in entry_points(group=_GROUPS[kind])}


def plugin_names(kind: Kind) -> list[str]:
    """Every known name of a kind, sorted; nothing is imported."""
    return sorted({*_files(kind), *_entry_points(kind)})


def describe(kind: Kind, name: str) -> str:
    """The first line of the plug-in's docstring; nothing is imported, and what is imported already isn't parsed."""
    path = _files(kind).get(name)
    if path is None:
        return f"plug-in {_entry_points(kind)[name].value}"
    loaded = sys.modules.get(f"{_PACKAGES[kind]}.{name}")
    docstring = loaded.__doc__ if loaded else ast.get_docstring(ast.parse(path.read_text("utf-8")))
    return (docstring or "").partition("\n")[0]


def choices(kind: Kind, name: str) -> list[Choice]:
    """What a plug-in's module says of the arguments that it takes: its function `choices`, where it has one."""
    found = getattr(import_module(factory(kind, name).__module__), "choices", None)
    return list(found()) if found is not None else []


def factory(kind: Kind, name: str) -> Callable[..., Any]:
    """The plug-in's factory. Raises `UsageError` for an unknown name or a missing extra."""
    name = name.replace("-", "_")
    known = _entry_points(kind).get(name)
    if known is not None and name not in _files(kind):
        made: Callable[..., Any] = known.load()
        return made
    if name not in _files(kind):
        raise unknown(kind, name, plugin_names(kind))
    module = import_module(f"{_PACKAGES[kind]}.{name}")
    found: Callable[..., Any] = getattr(module, module.__all__[0])
    return found


def parse(selector: str) -> Selector:
    """Read a selector. Raises `UsageError` where it is malformed."""
    matches = [match for pattern in _SELECTORS if (match := pattern.fullmatch(selector.strip()))]
    if not matches:
        raise UsageError(f"cannot read '{selector}'; write NAME, NAME:ARGUMENT or NAME(setting=value)")
    name = matches[0]["name"]
    read = ((match["argument"] or "", _settings(match["settings"] or "")) for match in matches)
    argument, settings = next((found for found in read if found[1] is not None), ("", None))
    if settings is None:
        raise UsageError(f"cannot read the settings of '{selector}'; write {name}(setting=value)")
    behind = _SETTINGS_LAST.fullmatch(argument)
    if behind is not None and (more := _settings(behind["settings"])) is not None:
        if twice := settings.keys() & more.keys():
            raise UsageError(f"'{selector}' gives {min(twice)} twice; give it once")
        argument, settings = behind["argument"].strip(), {**settings, **more}
    return Selector(name.replace("-", "_"), argument, settings)


def _settings(text: str) -> dict[str, Any] | None:
    """The settings of `key=value, …`; None where it is something else."""
    try:
        call = ast.parse(f"f({text})", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            return None
        return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError):
        return None


def create(kind: Literal["attack", "defense"], selector: str) -> Any:
    """An attack or defense from its selector; an argument after ':' fills the first field of its dataclass, and
    `threat={'max_words_share': 0.2}` gives an attack's own threat other limits. A lone string where several may stand is one of them."""
    name, argument, settings = parse(selector)
    limits = settings.get("threat", {}) if kind == "attack" else {}
    settings = {key: value for key, value in settings.items() if value is not limits}
    make = factory(kind, name)
    declared = dataclasses.fields(make) if dataclasses.is_dataclass(make) else ()
    fields = [f.name for f in declared]
    several = {f.name for f in declared if str(f.type).startswith("tuple[str, ...]")}
    settings = {
        key: (value,) if key in several and isinstance(value, str) else value for key, value in settings.items()
    }
    for setting in settings:
        if fields and setting not in fields:
            raise unknown(f"setting of {kind} {name}", setting, fields)
    if argument and (not fields or fields[0] == "threat"):
        raise UsageError(f"{kind} {name} takes no argument after ':'; write {name} or {name}(setting=value)")
    if argument:
        settings = {fields[0]: argument, **settings}
    needed = [f.name for f in declared if required(f)]
    if missing := [field for field in needed if field not in settings]:
        raise UsageError(f"{kind} {name} wants an argument; write {name}:{missing[0].upper()}")
    if limits and "threat" not in fields:
        raise UsageError(f"the threat of {kind} {name} follows its settings; give it no other")
    if not isinstance(limits, dict):
        raise UsageError(f"the threat of '{selector}' is no mapping; write {name}(threat={{'max_words_share': 0.2}})")
    try:
        made = make(**settings)
        return dataclasses.replace(made, threat=other_limits(made.threat, limits)) if limits else made
    except ValueError as problem:
        raise UsageError(f"{kind} '{selector}' cannot be made: {problem}") from problem
    except TypeError as problem:  # most often a value of the wrong kind, compared with a right one
        kinds = [f"{f.name}: {getattr(f.type, '__name__', f.type)}" for f in declared] or [str(problem)]
        raise UsageError(f"{kind} '{selector}' cannot be made; its settings are {', '.join(kinds)}") from problem


def required(field: dataclasses.Field[Any]) -> bool:
    """Whether a field must be given."""
    return field.init and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def selector_of(kind: Kind, plugin: object) -> str:
    """The file name under which a plug-in object is registered, else its class name."""
    module = type(plugin).__module__
    prefix = _PACKAGES[kind] + "."
    return module.removeprefix(prefix) if module.startswith(prefix) else type(plugin).__name__


def split_list(text: str) -> list[str]:
    """Split on commas outside parentheses, dropping empty items."""
    items, depth, current = [], 0, ""
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            items.append(current.strip())
            current = ""
        else:
            current += character
    return [item for item in (*items, current.strip()) if item]
