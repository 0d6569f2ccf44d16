"""The convolutional victim: its answers, whatever the batch; its gradients; its training, repeatable and learned."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustbench_nlp.attacks.gbda import GBDA
from robustbench_nlp.attacks.hotflip import HotFlip
from robustbench_nlp.data.example import Example, Input
from robustbench_nlp.engine import Engine
from robustbench_nlp.errors import UsageError, VictimError
from robustbench_nlp.victim import Victim, open_victim
from robustbench_nlp.victims.cnn_mr import CnnRecipe, CnnVictim, train_cnn

LABELS = ("negative", "positive")
WORDS = ("a", "bad", "film", "fine", "it's", "the")
TEXTS = ["A fine film", "", "bad", "the film: it's\n a BAD one!", "\U0001f600", "x \ud800 y", "שלום", "fine " * 300]
QUICK = CnnRecipe(dimensions=8, filters=6, widths=(2, 3), epochs=6, batch_size=16, learning_rate=2e-2)


def tiny(seed: int = 0, words: tuple[str, ...] = WORDS) -> CnnVictim:
    """Three dimensions, two filters a width, weights from numpy; the padding's vector is zero."""
    import torch

    rng = np.random.default_rng(seed)
    shapes = {
        "vectors": (2 + len(words), 3),
        "width_2.weight": (2, 3, 2),
        "width_2.bias": (2,),
        "width_3.weight": (2, 3, 3),
        "width_3.bias": (2,),
        "output.weight": (2, 4),
        "output.bias": (2,),
    }
    weights = {name: torch.from_numpy(rng.normal(size=shape).astype(np.float32)) for name, shape in shapes.items()}
    weights["vectors"][0] = 0
    return CnnVictim(weights, words, name="tiny", label_names=LABELS)


def toy(count: int = 200) -> tuple[list[Input], list[int]]:
    """Texts are positive where they say good and negative where they say bad."""
    rng = Random(0)
    labels = [rng.randrange(2) for _ in range(count)]
    filler = ["the", "film", "a", "is"]
    return [" ".join([*rng.choices(filler, k=rng.randrange(1, 6)), ("bad", "good")[label]]) for label in labels], labels


@pytest.fixture(scope="module")
def trained() -> CnnVictim:
    return train_cnn(*toy(), name="toy", label_names=LABELS, seed=0, recipe=QUICK)


def test_it_is_a_victim_and_its_rows_are_probabilities():
    victim = tiny()
    assert isinstance(victim, Victim)
    answer = victim.predict(TEXTS)
    assert answer.dtype == np.float32
    assert answer.shape == (len(TEXTS), 2)
    np.testing.assert_allclose(answer.sum(axis=1), 1.0, atol=1e-6)
    assert np.ptp(answer[:, 0]) > 1e-3  # the texts do differ
    assert victim.predict([]).shape == victim.predict_exact([]).shape == (0, 2)


def test_the_answer_by_hand():
    """Width 2 alone, one filter: the largest window of 'bad film' and its padding is bad + film + bias = 1 + 2 − 0.5; unknown is 5."""
    import torch

    weights = {
        "vectors": torch.tensor([[0.0], [5.0], [1.0], [2.0]]),
        "width_2.weight": torch.tensor([[[1.0, 1.0]]]),
        "width_2.bias": torch.tensor([-0.5]),
        "output.weight": torch.tensor([[1.0], [0.0]]),
        "output.bias": torch.zeros(2),
    }
    victim = CnnVictim(weights, ["bad", "film"], name="one", label_names=LABELS)
    expected = 1 / (1 + np.exp(-np.array([2.5, 2.5, 5.5, 0.0])))
    np.testing.assert_allclose(victim.predict(["bad film", "BAD, film!", "Bad word", ""])[:, 0], expected, rtol=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(st.characters(codec=None), max_size=60) | st.sampled_from(TEXTS), max_size=8))
def test_padding_and_order_change_no_answer(strings):
    victim = tiny()
    alone = victim.predict_exact(strings)
    np.testing.assert_allclose(victim.predict(strings), alone, atol=1e-5)
    np.testing.assert_allclose(victim.predict(strings[::-1])[::-1], alone, atol=1e-5)


def test_several_fields_are_refused():
    with pytest.raises(VictimError, match="one string, not 2 fields"):
        tiny().predict([("a film", "another")])


def test_gradients_are_those_of_the_loss():
    """By central differences: moving a word's vector moves the loss as its gradient says."""
    victim, text = tiny(), "The film: a FINE one"
    (found,) = victim.gradients([text], [1])
    assert found.offsets == [(0, 3), (4, 8), (10, 11), (12, 16), (17, 20)]
    assert found.fields == [0] * 5
    assert found.loss == pytest.approx(-np.log(victim.predict([text])[0, 1]), rel=1e-4)
    row, step = 2 + WORDS.index("fine"), 1e-2
    for dimension in range(3):
        losses = []
        for sign in (1, -1):
            moved = tiny()
            moved._weights["vectors"][row, dimension] += sign * step
            losses.append(-np.log(moved.predict([text])[0, 1]))
        assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(found.gradient[3, dimension], abs=5e-3)


def test_gradients_at_placed_embeddings_are_those_of_the_text_they_make():
    victim = tiny()
    vectors = dict(zip(*victim.vocabulary, strict=True))
    placed = [[(0, 2, vectors["bad"])], [], [(0, 2, vectors["fine"])]]
    expected = victim.gradients(["a BAD film", "a film", "a fine film"], [1, 0, 1])
    at = victim.gradients(["a fine film", "a film", "a fine film"], [1, 0, 1], placed)
    for found, plain in zip(at, expected, strict=True):
        assert found.loss == pytest.approx(plain.loss, abs=1e-6)
        np.testing.assert_allclose(found.gradient, plain.gradient, atol=1e-6)
    assert victim.gradients(["a fine film"], [1])[0].loss == pytest.approx(
        expected[2].loss
    )  # the weights are untouched


def test_gbda_finds_the_word_that_decides(trained: CnnVictim):
    attack = GBDA(candidates="vocabulary", min_cosine=-1.0, iterations=15)
    example = Example(fields={"text": "The film is a GOOD film"}, label=1)
    (record,) = Engine(attack, trained, seed=0).run([example])
    assert (record.outcome, record.adversarial) == ("success", "The film is a BAD film")


def test_hotflip_finds_its_gradients_and_words(trained: CnnVictim, tmp_path: Path):
    vocabulary = trained.vocabulary
    assert vocabulary.words == ("a", "bad", "film", "good", "is", "the")
    assert vocabulary.vectors.shape == (6, QUICK.dimensions)
    example = Example(fields={"text": "The film is a GOOD film"}, label=1)
    (tmp_path / "vectors.txt").write_text("good 1 0.1\nbad 1 0.2\nfilm 0 1\n", "utf-8")
    (record,) = Engine(HotFlip(vectors=str(tmp_path / "vectors.txt")), trained, seed=0).run([example])
    assert (record.outcome, record.adversarial) == ("success", "The film is a BAD film")


def test_saved_and_loaded_it_is_the_same(tmp_path: Path):
    victim = tiny()
    victim.save(tmp_path)
    again = CnnVictim.from_folder(tmp_path, name="again", label_names=LABELS)
    np.testing.assert_array_equal(again.predict(TEXTS), victim.predict(TEXTS))
    prints = {v.fingerprint for v in (victim, again, tiny(seed=1), tiny(words=(*WORDS[1:], "other")))}
    assert len(prints) == 3
    assert again.fingerprint == victim.fingerprint


def test_training_learns_a_rule(trained: CnnVictim):
    inputs, labels = toy()
    assert (trained.predict(inputs).argmax(axis=1) == labels).mean() >= 0.95
    assert not trained._weights["vectors"][0].any()


def test_same_seed_same_bits_and_the_global_generator_stays(trained: CnnVictim):
    import torch

    before = torch.get_rng_state()
    again, other = (train_cnn(*toy(), name="toy", label_names=LABELS, seed=seed, recipe=QUICK) for seed in (0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert again.fingerprint == trained.fingerprint != other.fingerprint


def test_words_below_the_count_are_unknown():
    victim = train_cnn(["a b", "a c"], [0, 1], name="toy", label_names=LABELS, seed=0, recipe=QUICK)
    assert victim.vocabulary.words == ("a",)
    np.testing.assert_array_equal(victim.predict(["a b"]), victim.predict(["a c"]))


def test_it_takes_no_argument():
    with pytest.raises(UsageError, match="cnn-mr takes no argument"):
        open_victim("cnn-mr:other")


@pytest.mark.slow
def test_cnn_mr_reaches_its_accuracy_and_is_cached(isolated_cache: Path):
    from robustbench_nlp.data import load_dataset

    victim = open_victim("cnn-mr")
    test = load_dataset("mr", "test")
    right = victim.predict([e.input for e in test.examples]).argmax(axis=1) == [e.label for e in test.examples]
    assert 0.72 <= right.mean() <= 0.78
    files = list((isolated_cache / "cnn-mr").glob("*/*"))
    assert {path.name for path in files} == {"weights.safetensors", "vocabulary.txt", "training.json", ".files.json"}
    before = {path: path.stat().st_mtime_ns for path in files}
    assert open_victim("cnn-mr").fingerprint == victim.fingerprint
    assert {path: path.stat().st_mtime_ns for path in files} == before
