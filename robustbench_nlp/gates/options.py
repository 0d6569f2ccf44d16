"""The gates' command-line options and ini settings, read and checked once; an option stands over its ini setting."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from robustbench_nlp.errors import UsageError, unknown

__all__ = ["COMPARED", "DEFAULT_TOLERANCES", "GateOptions", "add_options", "options_of", "tolerances_of"]

COMPARED = ("robust_accuracy", "clean_accuracy", "attack_success_rate")
"""What has a verdict an example, so that it can be compared in pairs."""
DEFAULT_TOLERANCES = {"robust_accuracy": 0.05}
SUITE = "fast-1"


@dataclass(frozen=True, kw_only=True)
class GateOptions:
    """How the gates of a test run work. `tolerances` are shares by field; `limit` is the most examples a check may take;
    `update` says which baselines are written."""

    baseline: Path | None = None
    update: Literal["", "all", "new"] = ""
    tolerances: Mapping[str, float] | None = None
    limit: int | None = None
    strict: bool = False
    victim: str = ""
    data: str = ""
    suite: str = SUITE
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()

    def fails(self, outcome: str) -> bool:
        """Whether a comparison with this outcome fails its test."""
        return outcome == "fail" or (outcome == "inconclusive" and self.strict)


def add_options(parser: pytest.Parser) -> None:
    """Declare every option and ini setting."""
    group = parser.getgroup("robustness", "robustness gates")

    def both(name: str, text: str, metavar: str) -> None:
        group.addoption(f"--robust-{name}", metavar=metavar, help=text)
        parser.addini(f"robust_{name}", text, default="")

    both("baseline", "Folder of baselines that gates are compared with.", "DIR")
    both("limit", "Most examples that a gate takes; fewer of a baseline's examples can be compared.", "N")
    both("victim", "Selector of what the fixture `victim` gives: minilm-mr, hf:FOLDER, http:URL, …", "SELECTOR")
    both("data", "Selector of the data that gates without data= take: mr, csv:PATH, …", "SELECTOR")
    both("suite", f"What `attack_suite` goes through: an ensemble, or attacks a,b (default: {SUITE}).", "NAME")
    group.addoption(
        "--robust-update-baseline", action="store_true", help="Write the baselines of the gates that run, and pass."
    )
    group.addoption(
        "--robust-update-new-only",
        action="store_true",
        help="Write baselines that aren't there yet, compare the others.",
    )
    text = f"The most that a field may get worse, one of {', '.join(COMPARED)}; may be repeated (default: robust_accuracy:5%%)."
    group.addoption("--robust-compare-fail", action="append", metavar="FIELD:N%", help=text)
    parser.addini("robust_compare_fail", text.replace("%%", "%"), type="linelist", default=[])
    text = "Fail gates that are inconclusive, instead of passing them with a warning."
    group.addoption("--robust-strict", action="store_true", help=text)
    parser.addini("robust_strict", text, type="bool", default=False)
    group.addoption(
        "--robust-only", action="append", metavar="ATTACKS", help="Run no test but the gates of these attacks."
    )
    group.addoption(
        "--robust-skip", action="append", metavar="ATTACKS", help="Skip the gates of these attacks ('all': every gate)."
    )


def options_of(config: pytest.Config) -> GateOptions:
    """What was asked for. Raises `UsageError` for what can't be read or doesn't go together."""
    update_all, update_new = config.getoption("robust_update_baseline"), config.getoption("robust_update_new_only")
    options = GateOptions(
        baseline=_baseline(config),
        update="all" if update_all else "new" if update_new else "",
        tolerances=tolerances_of(config.getoption("robust_compare_fail") or config.getini("robust_compare_fail")),
        limit=_limit(_value(config, "limit")),
        strict=config.getoption("robust_strict") or config.getini("robust_strict"),
        victim=_value(config, "victim"),
        data=_value(config, "data"),
        suite=_value(config, "suite") or SUITE,
        only=_names(config.getoption("robust_only")),
        skip=_names(config.getoption("robust_skip")),
    )
    if update_all and update_new:
        raise UsageError(
            "--robust-update-baseline writes all baselines, --robust-update-new-only new ones; give one of them"
        )
    if options.update and options.baseline is None:
        raise UsageError("no folder for the baselines; give --robust-baseline DIR, or robust_baseline in the ini file")
    if options.update and config.getoption("robust_limit"):
        raise UsageError("--robust-limit would leave examples out of the baselines; update them without it")
    return options


def _value(config: pytest.Config, name: str) -> str:
    return str(config.getoption(f"robust_{name}") or config.getini(f"robust_{name}") or "").strip()


def _baseline(config: pytest.Config) -> Path | None:
    given = config.getoption("robust_baseline")
    if given:
        return Path(config.invocation_params.dir, given)
    written = str(config.getini("robust_baseline")).strip()
    return (config.inipath.parent if config.inipath else config.rootpath) / written if written else None


def _limit(value: str) -> int | None:
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and int(value) > 0):
        raise UsageError(f"--robust-limit is {value!r}; give a whole number of at least 1")
    return int(value)


def _names(given: list[str] | None) -> tuple[str, ...]:
    return tuple(name.strip().replace("-", "_") for part in given or () for name in part.split(",") if name.strip())


def tolerances_of(given: list[str]) -> dict[str, float] | None:
    """`FIELD:N%` (percentage points) or `FIELD:SHARE`, each a field; None where nothing is given. Raises `UsageError`."""
    found: dict[str, float] = {}
    for item in given:
        field, _, amount = item.strip().partition(":")
        field = field.strip().replace("-", "_")
        if field not in COMPARED:
            raise unknown("field to compare", field, COMPARED)
        if not (match := re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*(%?)", amount.strip())):
            raise UsageError(f"--robust-compare-fail is {item!r}; give FIELD:N%, for example robust_accuracy:5%")
        share = float(match[1]) / (100 if match[2] else 1)
        if share > 1 or (share == 1 and not match[2]):  # 1 is nobody's 100 points
            raise UsageError(f"--robust-compare-fail is {item!r}; give at most 100%, and note the percent sign")
        found[field] = share
    return found or None
