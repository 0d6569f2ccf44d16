"""Transfer: the undefended victim's adversarial texts, shown to defended ones, by the same referee."""

from __future__ import annotations

from pathlib import Path

import pytest

from robustbench_nlp.api import Run, evaluate
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim

PAIRS = [
    (f"the {word} film number {i} was made for the cinema", i % 2)
    for i, word in enumerate(["awful", "great", "bad", "fine"] * 5)
]
VICTIM = KeywordVictim(keywords=(("bad", "awful", "cinema"), ("great", "fine", "made")))


def go(
    folder: Path, mode: str = "transfer", defenses: tuple[str, ...] = ("none", "unicode_normalize"), **more: object
) -> Run:
    settings: dict[str, object] = {"attacks": ["bad_characters:invisible", "pwws", "worst-case"], "similarity": "none"}
    return evaluate(victim=VICTIM, dataset=PAIRS, defenses=defenses, mode=mode, output=folder, **(settings | more))  # type: ignore[arg-type]


def test_texts_for_the_undefended_victim_meet_the_defended_one(tmp_path: Path) -> None:
    run, adaptive = go(tmp_path / "transfer"), go(tmp_path / "adaptive", "adaptive")
    table, other = (r.table.set_index(["defense", "attack"]) for r in (run, adaptive))
    assert table.loc[("none", "pwws"), "mode"] == "adaptive"
    assert table.loc[("none", "pwws"), "fingerprint"] == other.loc[("none", "pwws"), "fingerprint"]
    assert table.loc[("unicode_normalize", "pwws"), "mode"] == "transfer"
    assert (
        table.loc[("unicode_normalize", "pwws"), "fingerprint"]
        != other.loc[("unicode_normalize", "pwws"), "fingerprint"]
    )
    invisible = "bad_characters:invisible"
    assert table.loc[("none", invisible), "robust_accuracy"] < table.loc[("none", invisible), "clean_accuracy"]
    assert table.loc[("unicode_normalize", invisible), "successes"] == 0
    # synonyms pass a normaliser as they are: what fooled one victim fools the other
    assert table.loc[("unicode_normalize", "pwws"), "successes"] == table.loc[("none", "pwws"), "successes"] > 0
    assert table.loc[("unicode_normalize", "pwws"), "queries_mean"] <= 2
    worst = [name for name in table.index if name[1].startswith("worst_case")]
    assert [table.loc[name, "mode"] for name in worst] == ["adaptive", "transfer"]
    shown, found = (run.records[defense, "pwws"] for defense in ("unicode_normalize", "none"))
    assert [r.adversarial for r in shown if r.outcome == "success"] == [
        r.adversarial for r in found if r.outcome == "success"
    ]
    assert "Transfer: texts found against the undefended victim" in (run.folder / "table.md").read_text()


def test_a_transfer_goes_on_from_its_records(tmp_path: Path) -> None:
    first = go(tmp_path).table.drop(columns=["seconds", "latency_ratio"])
    assert go(tmp_path).table.drop(columns=["seconds", "latency_ratio"]).equals(first)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"defenses": ("unicode_normalize",)}, "name none first"),
        ({"cascade": True}, "drop --cascade"),
        ({"mode": "direct"}, "no mode 'direct'"),
    ],
)
def test_transfers_that_cannot_be(tmp_path: Path, more: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        go(tmp_path, **more)  # type: ignore[arg-type]


def test_a_lone_worst_case_runs_in_full(tmp_path: Path) -> None:
    run = go(tmp_path, attacks=["worst-case:pwws+deepwordbug"])
    assert set(run.table["mode"]) == {"adaptive", "transfer"}
