"""Which tests are gates, which attacks they are for, and which of them run: decided at collection, from names alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from robustbench_nlp.errors import unknown
from robustbench_nlp.gates.options import GateOptions

__all__ = [
    "MARKER",
    "attack_names",
    "attacks_of",
    "is_gate",
    "left_out",
    "limited",
    "noise",
    "select",
    "suite_members",
    "whole",
]

MARKER = "robustness"
WORST_CASE = "worst_case"
ALL = "all"
CHOOSING = (
    "keyword",
    "markexpr",
    "deselect",
    "lf",
    "stepwise",
    "maxfail",
    "robust_only",
    "robust_skip",
    "robust_suite",
)
"""Options by which not all tests run, or others do."""


def is_gate(item: pytest.Item) -> bool:
    """Whether a test is a robustness gate: marked as one, or with the fixture."""
    return item.get_closest_marker(MARKER) is not None or MARKER in getattr(item, "fixturenames", ())


def attacks_of(item: pytest.Item) -> Any:
    """The attack or attacks that a test names before it runs; None where it names none."""
    suite = getattr(getattr(item, "callspec", None), "params", {}).get("attack_suite")
    marker = item.get_closest_marker(MARKER)
    return suite or (marker.kwargs.get("attack") if marker else None)


def attack_names(attacks: Any) -> set[str]:
    """The bare names behind selectors and objects: `{'pwws'}` of `pwws(variant='textattack')`, a worst case's members too."""
    if attacks is None:
        return set()
    if not isinstance(attacks, str):
        if isinstance(attacks, Iterable):
            return {name for attack in attacks for name in attack_names(attack)}
        return {type(attacks).__module__.rpartition(".")[2]}
    head, _, argument = attacks.partition(":")
    name = head.partition("(")[0].strip().replace("-", "_")
    if name != WORST_CASE:
        return {name}
    return {name} | {member for part in argument.split("+") if part for member in attack_names(part)}


def left_out(options: GateOptions, attacks: Any) -> str:
    """Why a gate with these attacks doesn't run; '' where it does."""
    names = attack_names(attacks) | {ALL}
    if names & {*options.skip}:
        return f"--robust-skip {','.join(options.skip)}"
    if options.only and names != {ALL} and not names & {*options.only}:
        return f"--robust-only {','.join(options.only)}"
    return ""


def select(config: pytest.Config, items: list[pytest.Item], options: GateOptions) -> None:
    """Mark what --robust-skip names as skipped, and leave in `items` only what --robust-only names.

    Raises `UsageError` for an attack that neither exists nor stands in a gate. A gate that names its attack in `check(…)` is
    decided there.
    """
    if not (options.only or options.skip):
        return
    _refuse_unknown(items, options)
    kept = []
    for item in items:
        reason = left_out(options, attacks_of(item)) if is_gate(item) else ""
        if options.only and (not is_gate(item) or reason.startswith("--robust-only")):
            continue
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))
        kept.append(item)
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


def whole(config: pytest.Config) -> bool:
    """Whether nothing in the command leaves tests out."""
    return config.args_source is not pytest.Config.ArgsSource.ARGS and not any(
        config.getoption(name, None) for name in CHOOSING
    )


def _refuse_unknown(items: Sequence[pytest.Item], options: GateOptions) -> None:
    from robustbench_nlp.plugins import plugin_names

    named = {name for item in items if is_gate(item) for name in attack_names(attacks_of(item))}
    for name in (*options.only, *options.skip):
        if name not in {ALL, WORST_CASE, *named} and name not in plugin_names("attack"):
            raise unknown("attack", name, {*plugin_names("attack"), *named})


def suite_members(suite: str | Sequence[Any]) -> dict[str, Any]:
    """What `attack_suite` goes through, by the id in a test's name: an ensemble's members with their budgets, or the attacks named,
    a list or one string. Raises `UsageError` for a name that is neither."""
    from robustbench_nlp.ensembles import ensemble_names, load_ensemble
    from robustbench_nlp.plugins import plugin_names, split_list

    if not isinstance(suite, str) or suite.replace("_", "-") not in ensemble_names():
        attacks = split_list(suite) if isinstance(suite, str) else list(suite)
        for name in attack_names([attack for attack in attacks if isinstance(attack, str)]):
            if name not in {
                WORST_CASE,
                *plugin_names("attack"),
                *(known.replace("-", "_") for known in ensemble_names()),
            }:
                raise unknown("attack or ensemble", name, [*plugin_names("attack"), *ensemble_names()])
        return _by_name(attacks)
    chosen = []
    for member in load_ensemble(suite).members:
        limits = dict(member.threat) | ({"max_queries": member.max_queries} if member.max_queries is not None else {})
        chosen.append(limited(member.attack, limits))
    return _by_name(chosen)


def limited(attack: Any, limits: Mapping[str, Any]) -> Any:
    """The attack with other limits beside those of its threat that it names itself: `pwws` becomes
    `pwws(threat={'max_queries': 300})`."""
    if not limits:
        return attack
    if not isinstance(attack, str):
        from robustbench_nlp.threat import other_limits

        return replace(attack, threat=other_limits(attack.threat, limits))
    from robustbench_nlp.plugins import parse

    name, argument, settings = parse(attack)
    settings = {**settings, "threat": {**settings.get("threat", {}), **limits}}
    shown = ", ".join(f"{key}={value!r}" for key, value in settings.items())
    return f"{name}({shown})" + (f":{argument}" if argument else "")


def noise(attack: Any) -> bool:
    """Whether an attack changes texts without a search. Raises `UsageError` for an unknown one."""
    if isinstance(attack, str) and WORST_CASE not in attack_names(attack):
        from robustbench_nlp.plugins import factory, parse

        attack = factory("attack", parse(attack).name)
    return getattr(attack, "mode", "") == "noise"


def _by_name(attacks: list[Any]) -> dict[str, Any]:
    """By bare names; numbered where several attacks have the same."""
    named: dict[str, Any] = {}
    for attack in attacks:
        base = name = "+".join(sorted(attack_names(attack)))
        number = 1
        while name in named:
            number += 1
            name = f"{base}{number}"
        named[name] = attack
    return named
