"""What the benchmarks share: bars that a missed figure is told by, and the count of what a victim is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_bert
from bars import Bars
from roofline import Asked

from robustbench_nlp.api import evaluate
from robustbench_nlp.victims.hf import HFVictim


@pytest.mark.parametrize(("figure", "status"), [(0.9, 0), (0.89, 1)])
def test_a_missed_bar_ends_a_script_with_status_1(figure: float, status: int) -> None:
    bars = Bars()
    assert bars.at_most(3, 10) == "bar at most 10: met"
    assert bars.at_least(figure, 0.9) == f"bar at least 0.9: {'MISSED' if status else 'met'}"
    with pytest.raises(SystemExit) as left:
        bars.end()
    assert left.value.code == status


def test_what_searches_and_the_referee_ask_is_counted_apart(tmp_path: Path) -> None:
    victim = HFVictim.from_folder(tiny_bert.save(tmp_path / "model"), name="tiny")
    texts = [f"the {word} film {i}" for i, word in enumerate(["good", "bad"] * 4)]
    pairs = list(zip(texts, victim.predict(texts).argmax(axis=1).tolist(), strict=True))
    victim.forward_seconds, victim.forward_count = 0.0, 0
    asked = Asked(victim)
    run = evaluate(victim=victim, dataset=pairs, attacks=["deepwordbug"], similarity="none", output=tmp_path / "run")
    (records,) = run.records.values()
    assert asked.checked >= sum(record.outcome == "success" for record in records)
    assert asked.texts + asked.checked == victim.forward_count == len(asked.sample)
    assert asked.seconds + asked.checking == pytest.approx(victim.forward_seconds, rel=0.5, abs=0.1)
    assert asked.told(Bars())[0].startswith(f"searches asked {asked.texts} texts in ")
