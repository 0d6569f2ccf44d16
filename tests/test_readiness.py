"""Attacks that can't meet a defended victim are told before anything is learned or attacked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
import tiny_bert

from robustbench_nlp import masked_lm_training, readiness, training
from robustbench_nlp.api import Run, evaluate
from robustbench_nlp.data.example import Example, Input
from robustbench_nlp.defense import Composed, Defense, compose, rehearse
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.grid import grid_of
from robustbench_nlp.readiness import refuse_unfit
from robustbench_nlp.unattacked import Unattacked
from robustbench_nlp.victim import TokenGradients, Victim, VictimOptions
from robustbench_nlp.victims.hf import HFVictim

PAIRS = [("the good film", 1), ("a bad film", 0), ("film b good", 1)]
TRAIN = [Example(fields={"text": text}, label=label) for text, label in PAIRS]


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


class Blind:
    """A defense whose victim gives no gradients."""

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        return KeywordVictim()


class Reading(KeywordVictim):
    """A victim with gradients, but not at embeddings."""

    def gradients(self, inputs: Sequence[Input], labels: Sequence[int]) -> list[TokenGradients]:
        return []


class Read:
    """A defense whose victim reads nothing but text."""

    def __call__(self, victim: Victim, train: Sequence[Example], rng: Random) -> Victim:
        return Reading()


def stand_in(monkeypatch: pytest.MonkeyPatch, *parts: Defense) -> None:
    """These are what a defense is looked into as, whatever its selector."""
    found = Composed(parts=parts)
    monkeypatch.setattr(readiness, "compose", lambda selector: compose("none") if selector == "none" else found)


@pytest.mark.parametrize(
    ("attack", "made", "message"),
    [
        ("a2t", Blind, "attack a2t needs gradients, and vote gives none; leave one of the two out, or .*transfer"),
        ("textbugger(ranking='gradient')", Blind, "attack .*textbugger.* needs gradients"),
        ("worst-case:whitebox-1", Blind, "attack whitebox-1/textbugger needs gradients, and vote gives none"),
        ("gbda", Read, "attack gbda puts embeddings in place of words, and vote takes none"),
        ("worst-case:whitebox-1", Read, "attack whitebox-1/gbda puts embeddings"),
    ],
)
def test_a_defense_that_an_attack_cannot_look_through_is_told_before_the_first_cell(
    victim: HFVictim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: str, made: type[Defense], message: str
) -> None:
    stand_in(monkeypatch, compose("unicode-normalize"), made())
    with pytest.raises(UsageError, match=message) as raised:
        go(victim, tmp_path, attack, "vote")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run" / "records").exists()


def test_nothing_is_trained_for_an_attack_that_cannot_meet_it(
    victim: HFVictim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.csv").write_text("text,label\nfine film,positive\npoor film,negative\n", "utf-8")
    monkeypatch.setattr(training, "fine_tune", None)  # a training would fail
    stand_in(monkeypatch, Blind(), compose("ranmask"))
    with pytest.raises(UsageError, match="ranmask gives none"):
        go(victim, tmp_path, "hotflip", "ranmask", train=f"csv:{tmp_path / 'train.csv'}")


def test_a_recipe_inside_a_composition_is_looked_into(victim: HFVictim) -> None:
    recipe = Composed(parts=(compose("spell"), Blind()))
    assert not hasattr(rehearse(Composed(parts=(compose("unicode-normalize"), recipe)), victim, TRAIN), "gradients")


@pytest.mark.parametrize("defense", ["density", "frequency_guided", "vote", "mask_purify", "safer", "recommended"])
def test_what_passes_gradients_on_meets_every_attack(victim: HFVictim, defense: str) -> None:
    refuse_unfit(defense, victim, Unattacked(TRAIN), grid_of(["worst-case:whitebox-1"], cascade=False).members)


@pytest.mark.parametrize(
    ("attack", "defense"),
    [
        ("hotflip(per_word=2)", "unicode-normalize"),
        ("textbugger(candidates='none',ranking='gradient')", "vote(samples=3)"),
        ("gbda(candidates='vocabulary',min_cosine=-1.0,iterations=2,texts=2)", "ranmask(train=False,samples=3)"),
    ],
)
def test_what_passes_gradients_on_is_attacked_by_them(
    victim: HFVictim, tmp_path: Path, attack: str, defense: str
) -> None:
    assert len(go(victim, tmp_path, attack, defense, draws=3).table) == 2


def test_a_transfer_shows_the_texts_that_gradients_found_to_any_defense(
    victim: HFVictim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, Blind())
    assert len(go(victim, tmp_path, "hotflip(per_word=2)", "vote", mode="transfer").table) == 2
