"""Models for ONNX Runtime: what is exported answers as the original does, in every batch, and is told where it doesn't."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_bert
from texts import ODD

from robustbench_nlp.api import evaluate
from robustbench_nlp.errors import UsageError
from robustbench_nlp.exporting import export
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.victim import Victim, VictimOptions, open_victim
from robustbench_nlp.victims.hf import HFVictim

TEXTS = ["the good film", "a bad film that is long", "film", *map(str, ODD)]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> HFVictim:
    return HFVictim.from_folder(tiny_bert.save(tmp_path_factory.mktemp("hf")), name="tiny")


@pytest.fixture(scope="module")
def folder(original: HFVictim, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("onnx") / "model"
    agreement = export(original, target, TEXTS)
    assert agreement.changed == 0
    assert agreement.largest < 1e-5
    assert agreement.texts == len(TEXTS)
    return target


def test_it_answers_as_the_original_does(original: HFVictim, folder: Path) -> None:
    made = open_victim(f"onnx:{folder}")
    assert isinstance(made, Victim)
    assert made.label_names == original.label_names
    np.testing.assert_allclose(made.predict(TEXTS), original.predict(TEXTS), atol=1e-5)
    np.testing.assert_allclose(made.predict(TEXTS[::-1])[::-1], made.predict(TEXTS), atol=1e-5)
    exact = made.predict_exact(TEXTS)  # type: ignore[attr-defined]
    np.testing.assert_allclose(exact, original.predict_exact(TEXTS), atol=1e-5)
    assert made.predict([]).shape == (0, 2)
    assert made.truncate("film " * 99) == original.truncate("film " * 99)  # type: ignore[attr-defined]


def test_attacks_find_what_they_find_in_the_original(original: HFVictim, folder: Path, tmp_path: Path) -> None:
    pairs = [(f"the {word} film {i}", i % 2) for i, word in enumerate(["good", "bad"] * 6)]
    tables = [
        evaluate(
            victim=victim, dataset=pairs, attacks=["deepwordbug"], similarity="none", output=tmp_path / str(number)
        ).table
        for number, victim in enumerate([original, open_victim(f"onnx:{folder}")])
    ]
    wanted = ["n", "attempted", "successes", "queries_mean"]
    assert tables[0][wanted].equals(tables[1][wanted])


def test_its_fingerprint_follows_its_files(folder: Path, tmp_path: Path) -> None:
    first = open_victim(f"onnx:{folder}").fingerprint
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    assert open_victim(f"onnx:{copy}").fingerprint == first
    assert open_victim(f"onnx:{copy}", VictimOptions(max_length=8)).fingerprint != first
    (copy / "extra.onnx.data").write_bytes(b"other weights")
    assert open_victim(f"onnx:{copy}").fingerprint != first


def test_eight_bits_are_another_model(original: HFVictim, folder: Path, tmp_path: Path) -> None:
    agreement = export(original, tmp_path / "int8", TEXTS, int8=True)
    assert 0 < agreement.largest < 0.05
    assert agreement.changed == 0
    assert [path.name for path in (tmp_path / "int8").glob("*.onnx*")] == ["model.onnx"]
    tensors = onnx.load(tmp_path / "int8" / "model.onnx").graph.initializer
    weights = [onnx.numpy_helper.to_array(tensor) for tensor in tensors if tensor.data_type == onnx.TensorProto.INT8]
    assert max(np.abs(weight.astype(int)).max() for weight in weights) == 64, "7 bits, so that nothing overflows"
    assert open_victim(f"onnx:{tmp_path / 'int8'}").fingerprint != open_victim(f"onnx:{folder}").fingerprint


def test_what_cannot_be_exported_or_opened_is_told(original: HFVictim, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no transformers model"):
        export(KeywordVictim(), tmp_path / "new", TEXTS)
    with pytest.raises(UsageError, match="holds something already"):
        export(original, folder, TEXTS)
    with pytest.raises(UsageError, match=r"has no model\.onnx"):
        open_victim(f"onnx:{tmp_path}")
    with pytest.raises(UsageError, match="needs a folder"):
        open_victim("onnx")
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    (broken / "model.onnx").write_bytes(b"no model")
    with pytest.raises(UsageError, match=r"cannot open .* as an ONNX model"):
        open_victim(f"onnx:{broken}")
