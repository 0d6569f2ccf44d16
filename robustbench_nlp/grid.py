"""A benchmark as its user writes it becomes a grid of cells: defenses × attacks, and the worst case over them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from robustbench_nlp.attack import Attack, as_attack
from robustbench_nlp.ensembles import EnsembleMember, ensemble_names, load_ensemble
from robustbench_nlp.errors import UsageError, unknown
from robustbench_nlp.plugins import create, parse, plugin_names, selector_of
from robustbench_nlp.shapes import fits, hints_of
from robustbench_nlp.tasks.classification import goal_of
from robustbench_nlp.threat import other_limits

__all__ = ["DRAWS", "WORST_CASE", "Benchmark", "Grid", "Member", "attack_named", "grid_of", "refuse_reductions"]

WORST_CASE = "worst_case"
DTYPES = ("auto", "float32", "bfloat16", "float16")
DRAWS = 20
"""Draws of a random victim behind each score, and behind each credited success."""
_NUMBERS = ("limit", "seed", "max_queries", "draws")
STANDARD = ("random_typos", "deepwordbug", "pruthi", "pwws")
"""The members of a worst case that is asked for alone, cheapest first."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Everything that decides a run's results, as selectors and numbers; `run.yaml` holds it."""

    task: Literal["classification"] = "classification"
    dataset: str
    split: str = "test"
    train: str | None = None
    victim: str
    defenses: tuple[str, ...] = ("none",)
    attacks: tuple[str, ...]
    limit: int | None = None
    seed: int = 0
    max_queries: int | None = None
    draws: int = DRAWS
    mode: Literal["adaptive", "transfer"] = "adaptive"
    cascade: bool = False
    dtype: str = "float32"
    similarity: str = "auto"
    label_map: Mapping[str, str] | None = None
    deterministic: bool = False

    def __post_init__(self) -> None:
        """Raises `UsageError` for a value that no run can have."""
        if self.task != "classification":
            raise unknown("task", self.task, ["classification"])
        if self.mode not in ("adaptive", "transfer"):
            raise unknown("mode", self.mode, ["adaptive", "transfer"])
        if self.mode == "transfer" and self.cascade:
            raise UsageError("a cascade attacks only what is left, and a transfer needs every text; drop --cascade")
        if self.mode == "transfer" and self.defenses[:1] != ("none",):
            raise UsageError("a transfer shows the undefended victim's texts to defenses; name none first")
        if self.dtype not in DTYPES:
            raise unknown("dtype", self.dtype, DTYPES)
        for name, least in (("limit", 1), ("max_queries", 0), ("draws", 1)):
            value = getattr(self, name)
            if value is not None and (not fits(value, int) or value < least):
                raise UsageError(f"{name.replace('_', '-')} is {value!r}; give a whole number of at least {least}")
        if not fits(self.seed, int):
            raise UsageError(f"seed is {self.seed!r}; give a whole number, less than 2 to the 63rd")
        twice = [name for name, count in Counter(self.defenses).items() if count > 1]
        if twice:
            raise UsageError(f"defense '{twice[0]}' is named twice; name it once")
        for name in ("defenses", "attacks"):
            if not getattr(self, name):
                raise UsageError(
                    f"no {name} were named; give at least one, for example --{name} {plugin_names('attack' if name == 'attacks' else 'defense')[0]}"
                )

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Benchmark:
        """A benchmark from a file's or a call's values. Raises `UsageError` for unknown or missing keys."""
        known = [field.name for field in fields(cls)]
        for key in values:
            if key not in known:
                raise unknown("benchmark setting", key, known)
        for key in ("dataset", "victim", "attacks"):
            if not values.get(key):
                raise UsageError(f"no {key} was named; give --{key} NAME, or '{key}:' in the benchmark file")
        plain: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        hints = {**hints_of(cls), "task": str, "mode": str}
        for key, value in plain.items():
            if key not in _NUMBERS and not fits(value, hints[key]):
                raise UsageError(f"{key.replace('_', '-')} cannot be {ascii(value)[:60]}; see `robustbench-nlp run -h`")
        return cls(**plain)

    def settings(self) -> dict[str, Any]:
        """Plain values for YAML and JSON."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


@dataclass(frozen=True)
class Member:
    """One attack of the grid: its object and the name that tables print."""

    name: str
    attack: Attack


@dataclass(frozen=True)
class Grid:
    """The attacks to run, and the worst cases over them: by name, each its members' names in order."""

    members: tuple[Member, ...]
    worst_cases: Mapping[str, tuple[str, ...]]
    cascade: bool


def grid_of(attacks: Sequence[str | Attack], *, cascade: bool) -> Grid:
    """Make the attacks and sort out worst cases: `worst_case` stands for all others of the list (alone: a standard set),
    `worst_case:a+b` names its members and `worst_case:standard-1` takes those of a published ensemble, with their
    budgets. Members are run in full unless the list is this one worst case; then it is a cascade.

    Raises `UsageError` for unknown names and for an attack that is named twice.
    """
    views = [item for item in attacks if isinstance(item, str) and parse(item).name == WORST_CASE]
    named = [item for item in attacks if item not in views]
    wanted: dict[str, tuple[str, ...]] = {}
    members: dict[str, Member] = {}
    for item in named:
        member = _member(item)
        if member.name in members:
            raise UsageError(f"attack '{member.name}' is named twice; name it once, or with other settings")
        members[member.name] = member
    direct = tuple(name for name, member in members.items() if goal_of(member.attack).fools)
    if cascade:
        refuse_reductions(members.values(), "a cascade")
    for view in views:
        name, added = _worst_case(view, direct, members)
        refuse_reductions(added, "a worst case")
        members |= {member.name: member for member in added if member.name not in members}
        names = tuple(dict.fromkeys(member.name for member in added))
        wanted[name or "+".join(names)] = names
    if not members:
        raise UsageError("no attacks were named; see `robustbench-nlp list attacks`")
    if cascade and any(set(names) != set(members) for names in wanted.values()):
        raise UsageError("a cascade has one worst case, over all its attacks; drop --cascade or name one worst case")
    return Grid(tuple(members.values()), wanted, cascade or (not named and len(wanted) == 1))


def refuse_reductions(members: Iterable[Member], place: str) -> None:
    """Raises `UsageError` for a success that says nothing of robustness."""
    for member in members:
        if not goal_of(member.attack).fools:
            raise UsageError(f"{member.name} keeps the prediction instead of fooling it; leave it out of {place}")


def _worst_case(view: str, direct: Sequence[str], members: Mapping[str, Member]) -> tuple[str, list[Member]]:
    """The published ensemble's name ("" for any other) and the members that a worst case asks for."""
    head, _, argument = view.partition(":")  # settings in the argument are the members' own
    if "(" in head:
        raise UsageError(f"{WORST_CASE} takes no settings; write {WORST_CASE}:ENSEMBLE or {WORST_CASE}:a+b")
    if (name := argument.replace("_", "-")) in ensemble_names():
        return name, [_published(name, member) for member in load_ensemble(name).members]
    parts = argument.split("+") if argument else direct or STANDARD
    for part in parts:
        if part.replace("_", "-") in ensemble_names():
            raise UsageError(f"the ensemble {part} stands alone; write {WORST_CASE}:{part}")
        if part not in members and (known := parse(part).name) not in plugin_names("attack"):
            raise unknown("attack or ensemble", known, [*plugin_names("attack"), *ensemble_names()])
    return "", [members.get(part.replace("-", "_")) or _member(part) for part in parts]


def _member(item: str | Attack) -> Member:
    """The attack with its name."""
    if not isinstance(item, str):
        return Member(selector_of("attack", item), as_attack(item))
    name, argument, settings = parse(item)
    shown = f"{name}({', '.join(f'{key}={value!r}' for key, value in settings.items())})" if settings else name
    return Member(f"{shown}:{argument}" if argument else shown, as_attack(create("attack", item)))


def _published(ensemble: str, member: EnsembleMember) -> Member:
    """`standard-1/pwws`: an ensemble's own attack, whose settings, threat and budget its file fixes."""
    name, argument, _ = parse(member.attack)
    attack = as_attack(create("attack", member.attack))
    version = getattr(attack, "version", 1)
    if member.version != version:
        raise UsageError(
            f"{ensemble} was made with version {member.version} of {name}, and this is version {version}; use a newer "
            "ensemble, or the release that it came with"
        )
    threat = other_limits(attack.threat, member.threat) if member.threat else attack.threat
    if member.max_queries is not None:
        threat = replace(threat, max_queries=member.max_queries)
    attack = replace(attack, threat=threat)  # type: ignore[type-var]
    return Member(f"{ensemble}/{name}:{argument}" if argument else f"{ensemble}/{name}", attack)


def attack_named(name: str) -> Attack | None:
    """The attack that a table calls by this name; None where it can't be made here (an object, a missing extra)."""
    ensemble = name.partition("/")[0]
    try:
        if ensemble not in ensemble_names():
            return as_attack(create("attack", name))
        members = [_published(ensemble, member) for member in load_ensemble(ensemble).members]
    except UsageError:
        return None
    return next((member.attack for member in members if member.name == name), None)
