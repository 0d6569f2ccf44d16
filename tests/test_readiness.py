"""Attacks that can't meet a defended victim are told before anything is learned or attacked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_bert

from robustbench_nlp import masked_lm_training, training
from robustbench_nlp.api import Run, evaluate
from robustbench_nlp.data.example import Example
from robustbench_nlp.defense import Composed, compose, rehearse
from robustbench_nlp.errors import UsageError
from robustbench_nlp.grid import grid_of
from robustbench_nlp.readiness import refuse_unfit
from robustbench_nlp.unattacked import Unattacked
from robustbench_nlp.victim import VictimOptions
from robustbench_nlp.victims.hf import HFVictim

PAIRS = [("the good film", 1), ("a bad film", 0), ("film b good", 1)]


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> HFVictim:
    return HFVictim.from_folder(
        tiny_bert.save(tmp_path_factory.mktemp("tiny")), VictimOptions(device="cpu"), name="tiny"
    )


@pytest.fixture(autouse=True)
def _masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What refusals come after is there: an ensemble's masked language model."""
    folder = tiny_bert.save(tmp_path / "masked", masked=True)
    monkeypatch.setattr(masked_lm_training, "find", lambda: folder)


def go(victim: HFVictim, folder: Path, attack: str, defense: str, **other: Any) -> Run:
    values: dict[str, Any] = {"similarity": "none", "output": folder / "run"}
    return evaluate(victim=victim, dataset=PAIRS, attacks=[attack], defenses=["none", defense], **values | other)


@pytest.mark.parametrize(
    ("attack", "defense", "message"),
    [
        ("a2t", "vote", "attack a2t needs gradients, and vote gives none; leave one of the two out, or .*transfer"),
        ("hotflip", "unicode-normalize+ranmask(train=False)", r"unicode_normalize\+ranmask\(train=False\) gives none"),
        ("textbugger(ranking='gradient')", "random-deletion(train=False)", "random_deletion"),
        (
            "gbda",
            "unicode-normalize",
            "attack gbda puts embeddings in place of words, and unicode_normalize takes none",
        ),
        ("worst-case:whitebox-1", "vote", "attack whitebox-1/textbugger needs gradients, and vote gives none"),
        ("worst-case:whitebox-1", "unicode-normalize", "attack whitebox-1/gbda puts embeddings"),
    ],
)
def test_a_defense_that_an_attack_cannot_look_through_is_told_before_the_first_cell(
    victim: HFVictim, tmp_path: Path, attack: str, defense: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        go(victim, tmp_path, attack, defense)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run" / "records").exists()


def test_nothing_is_trained_for_an_attack_that_cannot_meet_it(
    victim: HFVictim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.csv").write_text("text,label\nfine film,positive\npoor film,negative\n", "utf-8")
    monkeypatch.setattr(training, "fine_tune", None)  # a training would fail
    with pytest.raises(UsageError, match=r"spell\+ranmask gives none"):
        go(victim, tmp_path, "hotflip", "spell+ranmask", train=f"csv:{tmp_path / 'train.csv'}")


def test_a_recipe_inside_a_composition_is_looked_into(victim: HFVictim) -> None:
    recipe = Composed(parts=(compose("spell"), compose("ranmask(train=False)")))
    train = [Example(fields={"text": text}, label=label) for text, label in PAIRS]
    assert not hasattr(rehearse(Composed(parts=(compose("unicode-normalize"), recipe)), victim, train), "gradients")


@pytest.mark.parametrize("defense", ["density", "frequency_guided"])
def test_a_detector_takes_embeddings_as_its_victim_does(victim: HFVictim, defense: str) -> None:
    train = Unattacked([Example(fields={"text": text}, label=label) for text, label in PAIRS])
    refuse_unfit(defense, victim, train, grid_of(["gbda"], cascade=False).members)


def test_what_passes_gradients_on_is_attacked_by_them(victim: HFVictim, tmp_path: Path) -> None:
    assert len(go(victim, tmp_path, "hotflip(per_word=2)", "unicode-normalize").table) == 2


def test_a_transfer_shows_the_texts_that_gradients_found_to_any_defense(victim: HFVictim, tmp_path: Path) -> None:
    assert len(go(victim, tmp_path, "hotflip(per_word=2)", "vote", mode="transfer").table) == 2
