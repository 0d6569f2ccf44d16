"""Where a reduction's success must not pass for an attack's: cascades, transfers, worst cases, contributions, training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from robustbench_nlp.api import Run, evaluate
from robustbench_nlp.data.example import Example
from robustbench_nlp.engine import attack_examples
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.plugins import create
from robustbench_nlp.report.contributions import contributions
from robustbench_nlp.report.worst_case import worst_case_row

VICTIM = KeywordVictim()
PAIRS = [("the good film was made for us", 1), ("an awful film in the cinema", 0), ("so it is", 1)]


def go(folder: Path, *attacks: str, **more: Any) -> Run:
    return evaluate(victim=VICTIM, dataset=PAIRS, attacks=attacks, similarity="none", output=folder, **more)


@pytest.mark.parametrize(
    ("place", "settings"),
    [("cascade", {"cascade": True}), ("transfer", {"mode": "transfer", "defenses": ["none", "unicode_normalize"]})],
)
def test_it_settles_nothing_and_is_not_transferred(tmp_path: Path, place: str, settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"keeps the prediction .* leave it out of a {place}"):
        go(tmp_path, "input_reduction", "pwws", **settings)


def test_views_over_records_refuse_it(tmp_path: Path) -> None:
    run = go(tmp_path, "input_reduction", "pwws")
    cell = {"attack": "input_reduction", "mode": "reduction", "max_queries": None, "threat": "", "fingerprint": ""}
    views: list[Callable[[], object]] = [
        lambda: contributions(run.records),
        lambda: worst_case_row([(cell, {r.example_id: r for r in run.records["none", "input_reduction"]})]),
    ]
    for view in views:
        with pytest.raises(UsageError, match="keeps the prediction instead of fooling it"):
            view()
    assert len(contributions(run.records, ["pwws"])) == 1


def test_nobody_trains_on_its_texts() -> None:
    with pytest.raises(UsageError, match="makes no adversarial examples"):
        attack_examples(
            create("attack", "input_reduction"), VICTIM, [Example(fields={"text": "good"}, label=1)], seed=0
        )
