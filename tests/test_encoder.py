"""The sentence encoder: a text's vector is its own, whatever stands beside it, and little of a batch is padding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_bert

from robustbench_nlp import helpers
from robustbench_nlp.api import evaluate
from robustbench_nlp.encoder import encoder
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.victims._reader import Reader

TEXTS = [
    "good",
    "",
    "the film is bad",
    "a film that is longer than all that the model reads at once",
    "half \ud83d a pair",
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert.save(tmp_path_factory.mktemp("encoder"), head=False)


def test_a_vector_is_the_same_in_any_company(model: Path) -> None:
    encode = encoder(str(model), "cpu")
    together = encode(TEXTS)
    assert (together.shape, together.dtype) == ((len(TEXTS), 16), np.float32)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    for text, vector in zip(TEXTS, together, strict=True):
        np.testing.assert_allclose(encode([text])[0], vector, atol=1e-5)
    assert encode([]).shape == (0, 16)


def test_a_batch_is_as_large_as_its_tokens_not_its_texts(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, int]] = []
    plain = Reader.tensors

    def tensors(self: Reader, encodings: Any, device: Any) -> Any:
        shapes.append((len(encodings), max(map(len, encodings))))
        return plain(self, encodings, device)

    monkeypatch.setattr(Reader, "tensors", tensors)
    encoder(str(model), "cpu")(["good", *["a film that is long"] * 70, "bad"] * 4)
    assert max(rows for rows, _ in shapes) > 64
    assert sum(rows * longest for rows, longest in shapes) == 8 * 3 + 280 * 14


def test_a_finished_run_loads_no_encoder(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds stands between a user and the first line of a table that is on record."""

    def go() -> Any:
        data = [("a good film", 1), ("a bad film", 0)]
        return evaluate(
            victim=KeywordVictim(), dataset=data, attacks=["pwws"], similarity=str(model), output=tmp_path / "run"
        )

    first = go()
    monkeypatch.setattr(helpers, "provider", lambda *_: pytest.fail("an encoder was loaded"))
    assert go().table.equals(first.table)


@pytest.mark.parametrize("lost", ["config.json", "model.safetensors"])
def test_an_encoder_that_is_none_is_told_before_anything_runs(lost: str, tmp_path: Path) -> None:
    (tiny_bert.save(tmp_path / "model", head=False) / lost).unlink()
    with pytest.raises(UsageError, match="is no encoder"):
        evaluate(
            victim=KeywordVictim(),
            dataset=[("a good film", 1), ("a bad film", 0)],
            attacks=["pwws"],
            similarity=str(tmp_path / "model"),
            output=tmp_path / "run",
        )
    assert not (tmp_path / "run").exists()
