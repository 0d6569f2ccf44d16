"""Models beside the victim: their weights decide what a cell finds, so they stand in its fingerprint."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
import tiny_bert

from robustbench_nlp.api import evaluate
from robustbench_nlp.attack import Blank, Encode, FillMask
from robustbench_nlp.data.example import Example
from robustbench_nlp.defense import Defense
from robustbench_nlp.defenses import density
from robustbench_nlp.defenses.density import Density
from robustbench_nlp.defenses.mask_purify import MaskPurify
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.helpers import Helpers, identity
from robustbench_nlp.plugins import create

PAIRS = [("a good film", 1), ("a bad film", 0)]
TRAIN = [Example(fields={"text": f"{text} {i}"}, label=label) for i in range(10) for text, label in PAIRS]


def fingerprints(folder: Path, *attacks: object, output: str) -> dict[str, str]:
    """By attack's name up to its settings."""
    run = evaluate(
        victim=KeywordVictim(), dataset=PAIRS, attacks=list(attacks), similarity="none", output=folder / output
    )
    cells = json.loads((run.folder / "manifest.json").read_text())["cells"]
    return {cell["attack"].partition("(")[0]: cell["fingerprint"] for cell in cells}


def test_other_weights_in_the_same_folder_are_another_cell(tmp_path: Path) -> None:
    model = tmp_path / "lm"
    attacks = [f"bert-attack(model={str(model)!r})", "deepwordbug"]
    tiny_bert.save(model, masked=True)
    one = fingerprints(tmp_path, *attacks, output="one")
    assert one == fingerprints(tmp_path, *attacks, output="again")
    tiny_bert.save(model, masked=True, seed=1)
    two = fingerprints(tmp_path, *attacks, output="two")
    assert one["bert_attack"] != two["bert_attack"]
    assert one["deepwordbug"] == two["deepwordbug"]


def test_the_encoder_of_a_threat_counts(tmp_path: Path) -> None:
    def run(seed: int) -> dict[str, str]:
        folder = tiny_bert.save(tmp_path / "encoder", head=False, seed=seed)
        attack = create("attack", "deepwordbug")
        close = replace(attack.threat, min_similarity=0.1, similarity_model=str(folder))
        return fingerprints(tmp_path, replace(attack, threat=close), output=f"run{seed}")

    assert run(0) != run(1)


@pytest.mark.parametrize(
    "made",
    [lambda name: Density(encoder=name), lambda name: MaskPurify(model=name)],
    ids=["density", "mask_purify"],
)
def test_a_defense_is_another_one_with_other_weights_in_the_same_folder(
    made: Callable[[str], Defense], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(density, "threshold", lambda *_: 1.0)  # which the weights change too, mostly

    def fingerprint(seed: int) -> str:
        folder = tiny_bert.save(tmp_path / "model", masked=True, seed=seed)
        return made(str(folder))(KeywordVictim(), TRAIN, Random(0)).fingerprint

    assert fingerprint(0) == fingerprint(0) != fingerprint(1)


def test_a_density_is_another_one_with_other_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(density, "threshold", lambda *_: 1.0)
    made = Density(encoder=str(tiny_bert.save(tmp_path / "model", head=False)))
    other = [replace(TRAIN[0], label=1 - TRAIN[0].label), *TRAIN[1:]]
    found = [made(KeywordVictim(), train, Random(0)).fingerprint for train in (TRAIN, list(TRAIN), other)]
    assert found[0] == found[1] != found[2]


def test_names_of_one_model(tmp_path: Path) -> None:
    folder = str(tiny_bert.save(tmp_path / "lm", masked=True))
    assert identity(FillMask, folder) == identity(FillMask, f"hf:{folder}") == identity(Encode, folder)
    assert len(identity(FillMask, folder)) == 16


def test_given_models_say_who_they_are() -> None:
    class Encoder:
        fingerprint = "mine"

        def __call__(self, texts: list[str]) -> list[float]:
            return [Random(text).random() for text in texts]

    helpers = Helpers(given={(Encode, "a"): Encoder(), (Encode, "b"): len})
    assert [helpers.identity(Encode, name) for name in "ab"] == ["mine", "given"]


def test_a_model_that_is_not_here_is_told_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        fingerprints(tmp_path, "deepwordbug", "bert-attack(model='/no/such/model')", output="run")
    assert not (tmp_path / "run" / "records").exists()


def test_helpers_search_in_the_precision_asked_for_and_measure_in_float32(tmp_path: Path) -> None:
    folder = str(tiny_bert.save(tmp_path / "lm", masked=True))
    low, full = Helpers("cpu", dtype="bfloat16"), Helpers("cpu")
    encode = [helpers.get(Encode, folder)(["a good film"]) for helpers in (low, full)]
    assert encode[0].dtype == encode[1].dtype == np.float32
    assert (encode[0] != encode[1]).any()
    assert encode[0] == pytest.approx(encode[1], abs=0.05)
    assert (low.exact(Encode, folder)(["a good film"]) == encode[1]).all()
    (rough,), (fine,) = (helpers.get(FillMask, folder)([Blank("a ", " film")], k=200) for helpers in (low, full))
    assert dict(rough) != dict(fine)
    assert dict(rough) == pytest.approx(dict(fine), abs=0.01)
