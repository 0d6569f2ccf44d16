"""Transformers as victims: batches, truncation, precision, gradients, and what cannot be opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shutil import which

import numpy as np
import pytest
import tiny_bert
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robustbench_nlp.errors import UsageError
from robustbench_nlp.victim import Victim, VictimOptions, open_victim
from robustbench_nlp.victims._reader import batches
from robustbench_nlp.victims.hf import HFVictim

TEXTS = [
    "the good film",
    "",
    "bad",
    "the film is a very bad one",
    "\U0001f600",
    "a\x00b",
    "x \ud800 y",
    "שלום",
    "good " * 200,
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert.save(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def victim(folder: Path) -> HFVictim:
    opened = open_victim(f"hf:{folder}", VictimOptions(device="cpu"))
    assert isinstance(opened, HFVictim)
    return opened


# batches


@given(st.lists(st.integers(2, 600), max_size=80), st.integers(1, 2000), st.integers(0, 100))
def test_batches_hold_every_row_once_within_the_budget(lengths: list[int], budget: int, overhead: int) -> None:
    plan = batches(lengths, budget, overhead)
    assert sorted(row for batch in plan for row in batch) == list(range(len(lengths)))
    for batch in plan:
        inside = [lengths[row] for row in batch]
        assert len(batch) == 1 or max(inside) * len(batch) <= budget
        assert sum(max(inside) - length for length in inside) <= overhead


# hf


def test_hf_fits_the_protocol_and_its_rows_are_probabilities(victim: HFVictim) -> None:
    assert isinstance(victim, Victim)
    assert victim.label_names == ("negative", "positive")
    answer = victim.predict(TEXTS)
    assert answer.dtype == np.float32
    assert answer.shape == (len(TEXTS), 2)
    np.testing.assert_allclose(answer.sum(axis=1), 1.0, atol=1e-6)
    assert victim.predict([]).shape == victim.predict_exact([]).shape == (0, 2)


def test_hf_batched_equals_alone_in_the_given_order(victim: HFVictim) -> None:
    np.testing.assert_allclose(victim.predict(TEXTS), victim.predict_exact(TEXTS), atol=1e-5)
    np.testing.assert_allclose(victim.predict(TEXTS[::-1]), victim.predict(TEXTS)[::-1], atol=1e-5)
    assert np.ptp(victim.predict(TEXTS)[:, 0]) > 1e-3  # the texts do differ


@settings(max_examples=20, deadline=None)
@given(strings=st.lists(st.text(st.characters(codec=None), max_size=60), min_size=1, max_size=6))
def test_hf_reads_any_string(victim: HFVictim, strings: list[str]) -> None:
    np.testing.assert_allclose(victim.predict(strings), victim.predict_exact(strings), atol=1e-5)


def test_hf_reads_pairs(victim: HFVictim) -> None:
    pairs = [("the good film", "bad"), ("bad", "the good film"), ("", "film")]
    answer = victim.predict(pairs)
    np.testing.assert_allclose(answer, victim.predict_exact(pairs), atol=1e-5)
    assert abs(answer[0, 0] - answer[1, 0]) > 1e-4  # the order of the fields matters


def test_hf_agrees_with_the_library(victim: HFVictim, folder: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    texts = TEXTS[:4]
    with torch.inference_mode():
        tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        expected = model(**tokens).logits.softmax(-1).numpy()
    np.testing.assert_allclose(victim.predict(texts), expected, atol=1e-5)


def test_hf_counts_its_work(victim: HFVictim) -> None:
    count, seconds = victim.forward_count, victim.forward_seconds
    victim.predict(TEXTS)
    victim.predict_exact(TEXTS[:2])
    assert victim.forward_count == count + len(TEXTS) + 2
    assert victim.forward_seconds > seconds


def test_hf_truncates_where_the_model_stops_reading(victim: HFVictim) -> None:
    assert victim.truncate("the good film") == "the good film"
    text = "good  film " * 40
    read = victim.truncate(text)
    assert read == ("good  film " * 15).rstrip()  # 32 tokens less [CLS] and [SEP]
    np.testing.assert_array_equal(victim.predict_exact([read]), victim.predict_exact([text]))


def test_hf_max_length_is_an_option_and_part_of_the_fingerprint(victim: HFVictim, folder: Path) -> None:
    short = open_victim(f"hf(max_length=6):{folder}", VictimOptions(device="cpu"))
    assert short.fingerprint != victim.fingerprint
    np.testing.assert_array_equal(short.predict(["good bad film the good"]), short.predict(["good bad film the bad"]))


def test_hf_fingerprint_follows_weights_and_precision_not_the_place(victim: HFVictim, tmp_path: Path) -> None:
    same = HFVictim.from_folder(tiny_bert.save(tmp_path / "same"), name="same")
    other = HFVictim.from_folder(tiny_bert.save(tmp_path / "other", seed=1), name="other")
    low = HFVictim.from_folder(tmp_path / "same", VictimOptions(dtype="bfloat16"), name="low")
    assert same.fingerprint == victim.fingerprint
    assert len({victim.fingerprint, other.fingerprint, low.fingerprint}) == 3


def test_hf_low_precision_is_for_the_search_only(victim: HFVictim, folder: Path) -> None:
    low = HFVictim.from_folder(folder, VictimOptions(device="cpu", dtype="bfloat16"), name="low")
    np.testing.assert_array_equal(low.predict_exact(TEXTS), victim.predict_exact(TEXTS))
    difference = np.abs(low.predict(TEXTS) - victim.predict(TEXTS)).max()
    assert 0 < difference < 0.1
    np.testing.assert_allclose(low.predict(TEXTS).sum(axis=1), 1.0, atol=1e-6)


def test_hf_halves_its_batches_when_memory_ends(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    victim = HFVictim.from_folder(folder, VictimOptions(device="cpu"), name="small")
    expected = victim.predict(["good film"] * 40)
    forward, sizes = victim._forward, []

    def limited(model: object, encodings: list[object]) -> object:
        sizes.append(len(encodings))
        if len(encodings) > 10:
            raise torch.cuda.OutOfMemoryError
        return forward(model, encodings)

    monkeypatch.setattr(victim, "_forward", limited)
    np.testing.assert_allclose(victim.predict(["good film"] * 40), expected, atol=1e-6)
    assert sizes[0] == 40
    assert max(sizes[-4:]) <= 10


def test_hf_gradients_match_finite_differences(victim: HFVictim) -> None:
    import torch

    text, label, width = "the bad film", 1, 1e-2
    (found,) = victim.gradients([text], [label])
    assert found.loss == pytest.approx(-np.log(victim.predict_exact([text])[0, label]), abs=1e-4)
    assert found.gradient.shape == (5, 16)  # [CLS] the bad film [SEP]
    assert [text[start:end] for start, end in found.offsets] == ["", "the", "bad", "film", ""]
    assert found.fields == [-1, 0, 0, 0, -1]
    rows = victim._model.get_input_embeddings().weight
    ids = victim._reader([text])[0].ids
    for token, dimension in [(1, 0), (2, 7), (3, 15)]:
        losses = []
        for sign in (1, -1):
            with torch.no_grad():
                rows[ids[token], dimension] += sign * width
                losses.append(-np.log(float(victim.predict_exact([text])[0, label])))
                rows[ids[token], dimension] -= sign * width
        assert found.gradient[token, dimension] == pytest.approx((losses[0] - losses[1]) / (2 * width), abs=2e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path / "nowhere", "no folder"),
        (lambda path: _without(tiny_bert.save(path), "model.safetensors"), "safetensors"),
        (lambda path: tiny_bert.save(path, head=False), "no classification head"),
        (lambda path: tiny_bert.edit_config(tiny_bert.save(path), model_type="no-such-model"), "cannot open"),
        (lambda path: tiny_bert.save(path, labels=("score",)), "regression"),
        (
            lambda path: tiny_bert.edit_config(tiny_bert.save(path), problem_type="multi_label_classification"),
            "several labels",
        ),
    ],
)
def test_hf_says_why_it_cannot_open(make: Callable[[Path], Path], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        open_victim(f"hf:{make(tmp_path)}")
    assert "\n" not in str(caught.value)


def _without(folder: Path, name: str) -> Path:
    (folder / name).unlink()
    return folder


def test_hf_offline_hub_id_and_missing_device(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UsageError, match="can't be reached"):
        open_victim("hf:nobody/no-such-model")
    with pytest.raises(UsageError, match="no device 'cuda:99'"):
        open_victim(f"hf:{folder}", VictimOptions(device="cuda:99"))


def test_hf_gradients_together_are_those_alone(victim: HFVictim) -> None:
    texts, labels = ["the bad film", "a good good film", "the"], [1, 0, 1]
    for text, label, together in zip(texts, labels, victim.gradients(texts, labels), strict=True):
        (alone,) = victim.gradients([text], [label])
        assert together.loss == pytest.approx(alone.loss, abs=1e-5)
        np.testing.assert_allclose(together.gradient, alone.gradient, atol=1e-5)
        assert (together.offsets, together.fields) == (alone.offsets, alone.fields)


def test_hf_vocabulary_is_what_is_read_as_one_token(victim: HFVictim) -> None:
    words, vectors = victim.vocabulary
    assert {"good", "bad", "film", "the"} <= set(words)
    assert not any(word.startswith("#") or "[" in word for word in words)
    row = victim._model.get_input_embeddings().weight[victim._reader(["film"])[0].ids[1]]
    np.testing.assert_array_equal(vectors[words.index("film")], row.numpy())


def test_hf_gradients_of_a_decoder_do_not_depend_on_the_batch(tmp_path: Path) -> None:
    from transformers import AutoTokenizer, GPT2Config, GPT2ForSequenceClassification

    folder = tiny_bert.save(tmp_path / "tokenizer")
    config = GPT2Config(vocab_size=80, n_embd=16, n_layer=2, n_head=2, pad_token_id=0, initializer_range=0.5)
    decoder = HFVictim(
        GPT2ForSequenceClassification(config),
        AutoTokenizer.from_pretrained(folder),
        name="d",
        options=VictimOptions(device="cpu"),
    )
    texts = ["the bad film", "a good good good bad film", "the"]
    for text, together in zip(texts, decoder.gradients(texts, [0, 1, 0]), strict=True):
        (alone,) = decoder.gradients([text], [[0, 1, 0][texts.index(text)]])
        assert together.loss == pytest.approx(alone.loss, abs=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(not any(map(which, ("c++", "g++", "clang++"))), reason="torch.compile wants a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own
def test_a_compiled_victim_answers_as_the_plain_one(tmp_path: Path) -> None:
    folder = tiny_bert.save(tmp_path / "tiny")
    texts = ["a good film", "bad", "the film is a good film"]
    plain = HFVictim.from_folder(folder, name="tiny")
    compiled = open_victim(f"hf(compile=True):{folder}")
    np.testing.assert_allclose(compiled.predict(texts), plain.predict(texts), atol=1e-5)
    assert compiled.fingerprint == plain.fingerprint


def test_what_cannot_be_compiled_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def compiled(model: object, dynamic: bool) -> object:
        raise RuntimeError("no compiler\nand much more")

    monkeypatch.setattr(torch, "compile", lambda model, dynamic: lambda **inputs: compiled(model, dynamic))
    with pytest.raises(UsageError, match=r"can't compile .* no compiler; drop compile=True"):
        HFVictim.from_folder(tiny_bert.save(tmp_path / "tiny"), VictimOptions(compile=True), name="tiny")
