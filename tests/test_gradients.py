"""Gradients through changes: traced back to the words as they came in, averaged over copies, draws and members."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import tiny_bert
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from robustbench_nlp.attack import Gradient, Sample
from robustbench_nlp.attacks.gbda import GBDA
from robustbench_nlp.attacks.hotflip import HotFlip
from robustbench_nlp.averaging import Averaged
from robustbench_nlp.data.example import Example
from robustbench_nlp.defense import compose
from robustbench_nlp.defenses.random_deletion import Deletion
from robustbench_nlp.defenses.ranmask import Masking
from robustbench_nlp.defenses.safer import Synonyms
from robustbench_nlp.defenses.vote import Variants
from robustbench_nlp.engine import Engine
from robustbench_nlp.gradients import averaged, by_edits, by_slots
from robustbench_nlp.predictor import Predictor
from robustbench_nlp.rewriting import Rewritten
from robustbench_nlp.smoothing import Smoothed, _drawn
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat
from robustbench_nlp.victim import TokenGradients, Victim, VictimOptions
from robustbench_nlp.victims.hf import HFVictim

TEXT = "the good film b the wow good bad film"
TEXTS = [TEXT, "good film", "the", ""]
DELETE, MASK = Deletion(rate=0.5), Masking(rate=0.5, mask="[MASK]")
DRAWN = "unicode_normalize+random_deletion(rate=0.3,samples=1,votes=False,train=False)"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> HFVictim:
    return HFVictim.from_folder(tiny_bert.save(tmp_path_factory.mktemp("tiny")), name="tiny")


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file in which every word of the tiny victim is a neighbour of every other."""
    path = tmp_path_factory.mktemp("own") / "vectors.txt"
    path.write_text("".join(f"{word} 1 0.{i:02}\n" for i, word in enumerate(tiny_bert.VOCABULARY[5:])), "utf-8")
    return str(path)


def by_place(found: TokenGradients) -> dict[int, np.ndarray]:
    """The gradients of tokens that read text, by where these begin; no two do at one place."""
    read = [
        (start, row)
        for row, (start, _), field in zip(found.gradient, found.offsets, found.fields, strict=True)
        if field >= 0
    ]
    assert len(dict(read)) == len(read)
    return dict(read)


def same(one: TokenGradients, other: dict[int, np.ndarray], loss: float) -> None:
    mine = by_place(one)
    assert mine.keys() == other.keys()
    for place, row in other.items():
        np.testing.assert_allclose(mine[place], row, atol=1e-5)
    assert one.loss == pytest.approx(loss, abs=1e-5)


def vector(victim: HFVictim, word: str) -> Any:
    return victim.vocabulary.vectors[victim.vocabulary.words.index(word)]


@pytest.mark.parametrize("noise", [Deletion(rate=0), Masking(rate=0, mask="x"), Variants(kinds=(), share=0.5)])
def test_without_noise_they_are_the_victims_own(tiny: HFVictim, noise: Any) -> None:
    labels = [1, 0, 1, 0]
    smoothed = Smoothed(tiny, noise, samples=3)
    for one, own in zip(smoothed.gradients(TEXTS, labels), tiny.gradients(TEXTS, labels), strict=True):
        same(one, by_place(own), own.loss)
        assert (one.offsets, one.fields) == (own.offsets, own.fields)


@pytest.mark.parametrize("noise", [DELETE, MASK])
def test_a_word_has_the_mean_over_the_copies_and_draws_of_what_stands_for_it(tiny: HFVictim, noise: Any) -> None:
    samples, draws = 2, 4
    smoothed = Smoothed(tiny, noise, samples=samples, seed=5)
    (found,) = Predictor(smoothed, draws=draws).gradients([TEXT], [1])
    mean: dict[int, Any] = {}
    loss = 0.0
    for seed in (seed for draw in range(draws) for seed in smoothed._seeds(samples, draw)):
        (copy,) = _drawn(noise, TEXT, Random(seed))
        (own,) = tiny.gradients([str(copy)], [1])
        loss += own.loss / (samples * draws)
        for (old, _), (start, end), word in zip(Text(TEXT).spans, copy.spans, copy.words, strict=True):
            for row, (low, high) in zip(own.gradient, own.offsets, strict=True):
                if word and start <= low < high <= end:
                    place = old if word == MASK.mask else old + low - start
                    mean[place] = mean.get(place, 0) + row / (samples * draws)
    same(found, mean, loss)
    assert smoothed.gradients([TEXT], [1], draw=1)[0].loss != smoothed.gradients([TEXT], [1])[0].loss


def test_what_stands_in_a_words_place_is_one_token_there(tiny: HFVictim) -> None:
    """A word of one token has one, though other words of several stand for it in copies: a typo's pieces all pull at it."""

    class Doubled:
        version = 1

        def draw(self, string: str, rng: Random) -> Text:
            return Text(string).swap(1, "bo")

    (found,) = Smoothed(tiny, Doubled(), samples=1).gradients(["the good film"], [1])  # type: ignore[arg-type]
    (own,) = tiny.gradients(["the bo film"], [1])
    assert found.offsets[1:-1] == [(0, 3), (4, 5), (9, 13)]
    np.testing.assert_allclose(found.gradient[2], own.gradient[2] + own.gradient[3], atol=1e-5)


def test_pairs_are_traced_field_by_field(tiny: HFVictim) -> None:
    pair = ("good film", "the film b")
    (found,) = Smoothed(tiny, Deletion(rate=0), samples=1).gradients([pair], [1])
    (own,) = tiny.gradients([pair], [1])
    assert (found.offsets, found.fields) == (own.offsets, own.fields)
    (found,) = Smoothed(tiny, DELETE, samples=9).gradients([pair], [1])
    assert {pair[field][start:end] for (start, end), field in zip(found.offsets, found.fields, strict=True)} <= {
        *("", "good", "film", "the", "b")
    }


@pytest.mark.parametrize("noise", [DELETE, MASK])
def test_embeddings_in_place_of_a_word_are_read_where_the_copy_keeps_it(tiny: HFVictim, noise: Any) -> None:
    smoothed = Rewritten(Smoothed(tiny, noise, samples=2), lambda text: text.replace("!", ""), [])
    changed = TEXT.replace("good film", "bad film")
    placed = [[(0, TEXT.index("good"), vector(tiny, "bad"))]]
    for draw in range(4):
        (at,) = smoothed.gradients([f"!!{TEXT}"], [1], placed=[[(0, 6, placed[0][0][2])]], draw=draw)
        (own,) = smoothed.gradients([changed], [1], draw=draw)
        assert at.loss == pytest.approx(own.loss, abs=1e-5)
        np.testing.assert_allclose(at.gradient, own.gradient, atol=1e-5)


def test_embeddings_land_on_no_word_that_a_rewriting_put_before_theirs(tiny: HFVictim) -> None:
    longer = Rewritten(tiny, lambda text: text.replace("film", "b film the"), [])
    for text in ("good film", "film"):
        (found,) = longer.gradients([text], [1], placed=[[(0, text.index("film"), vector(tiny, "bad"))]])
        (own,) = tiny.gradients([text.replace("film", "b bad the")], [1])
        assert found.loss == pytest.approx(own.loss, abs=1e-5)
        assert [text[start:end] for start, end in found.offsets if start < end] == text.split()


def test_embeddings_behind_what_a_copy_truncates_change_nothing(tmp_path: Path) -> None:
    """A copy may be longer than its text, in tokens: a mask that is no word of the victim's is read in pieces."""
    short = HFVictim.from_folder(
        tiny_bert.save(tmp_path / "short"), VictimOptions(device="cpu", max_length=6), name="short"
    )
    smoothed = Smoothed(short, Masking(rate=0.5, mask="bobo"), samples=8)
    text = "good b bad film"
    (plain,) = smoothed.gradients([text], [1])
    (found,) = smoothed.gradients([text], [1], placed=[[(0, 5, vector(short, "the"))]])
    assert found.loss != plain.loss  # some copies keep both words
    copies = [str(_drawn(smoothed._noise, text, Random(seed))[0]) for seed in smoothed._seeds(8, 0)]
    assert any(" b " in copy and " b" not in short.truncate(copy) for copy in copies)


def test_members_in_turns_are_asked_by_draw(tiny: HFVictim, tmp_path: Path) -> None:
    other = HFVictim.from_folder(tiny_bert.save(tmp_path / "other", seed=1), name="other")
    other._model.get_input_embeddings().weight.copy_(tiny._model.get_input_embeddings().weight)
    turns, both = Averaged([tiny, other], in_turns=True), Averaged([tiny, other])
    own = [member.gradients([TEXT], [1])[0] for member in (tiny, other)]
    assert own[0].loss != own[1].loss
    for draw in range(4):
        (found,) = turns.gradients([TEXT], [1], draw=draw)
        same(found, by_place(own[draw % 2]), own[draw % 2].loss)
    (mean,) = both.gradients([TEXT], [1])
    same(Predictor(turns, draws=4).gradients([TEXT], [1])[0], by_place(mean), mean.loss)


def test_members_that_read_a_text_otherwise_are_averaged_by_place(tiny: HFVictim) -> None:
    longer = Rewritten(tiny, lambda text: f"the {text}", ["longer"])
    (found,) = Averaged([tiny, longer]).gradients(["good film"], [1])
    (one,), (other,) = tiny.gradients(["good film"], [1]), longer.gradients(["good film"], [1])
    np.testing.assert_allclose(by_place(found)[5], (by_place(one)[5] + by_place(other)[5]) / 2, atol=1e-5)


@given(st.text(max_size=30), st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_whatever_is_kept_is_traced_to_itself(string: str, seed: int) -> None:
    for noise in (
        *(DELETE, MASK, Synonyms(min_cosine=0.75, size=9)),
        Variants(kinds=("typo", "case", "space"), share=0.5),
    ):
        before, after = Text(string), noise.draw(string, Random(seed))
        origins = by_slots(before, after)
        assert len(origins) == len(str(after))
        for old, new, span, (start, end) in zip(before.words, after.words, before.spans, after.spans, strict=True):
            assert origins[start:end] == ([*range(*span)] if old == new else [span[0]] * len(new))
        if noise is DELETE:
            assert all(origin < 0 or str(after)[at] == string[origin] for at, origin in enumerate(origins))


@given(st.text("ab c", max_size=12), st.text("ab cd", max_size=12))
@settings(deadline=None)
def test_edits_lead_each_character_back_to_its_own_or_none(before: str, after: str) -> None:
    origins = by_edits(before, after)
    assert len(origins) == len(after)
    stands = [origin for origin in origins if origin >= 0]
    assert stands == sorted({*stands} & {*range(len(before))})
    same = sum(origin >= 0 and before[origin] == after[at] for at, origin in enumerate(origins))
    assert max(len(before), len(after)) - same <= Levenshtein.distance(before, after) + abs(len(before) - len(after))
    assert by_edits(after, after) == [*range(len(after))]


def test_nothing_is_averaged() -> None:
    assert averaged([]) == averaged([[], []]) == []


def guarded(tiny: HFVictim) -> tuple[Victim, list[Example]]:
    victim = compose(DRAWN)(tiny, [], Random(0))
    texts = [TEXT, "the good film", "the bad film", "bad film b good", "good good bad the film", "a b c the film"]
    answers = Predictor(victim, draws=20).predict(texts).outputs.argmax(axis=1).tolist()
    return victim, [Example(fields={"text": text}, label=label) for text, label in zip(texts, answers, strict=True)]


def test_attacks_follow_them_through_a_random_composition(tmp_path: Path, vectors: str) -> None:
    victim, examples = guarded(HFVictim.from_folder(tiny_bert.save(tmp_path / "undecided", seed=2), name="undecided"))
    flips = Threat(name="flips", knowledge="gradient", max_words_share=0.5)
    for attack in (
        HotFlip(threat=flips, vectors=vectors),
        GBDA(threat=flips, candidates="vocabulary", min_cosine=-1.0, iterations=8, texts=9),
    ):
        records = list(Engine(attack, victim, name="flips", draws=20).run(examples))
        assert not [record.error for record in records if record.error]
        assert "success" in {record.outcome for record in records}
        assert all(record.queries % 20 == 0 for record in records)


def test_the_estimate_ranks_flips_as_the_mean_over_the_draws_does(tiny: HFVictim, vectors: str) -> None:
    victim, examples = guarded(tiny)
    predictor = Predictor(victim, draws=20)
    attack, gains, reached = HotFlip(per_word=100, vectors=vectors), list[float](), list[float]()

    class Watch(HotFlip):
        def run(self, sample: Sample, rng: Random) -> Any:
            (answer,) = yield Gradient([sample.text])
            assert sample.vocabulary is not None
            numbers = set(range(len(sample.text)))
            found = list(attack._flips(sample.text, numbers, answer, sample.vocabulary))
            outputs = predictor.predict([str(sample.text.swap(number, word)) for _, number, word in found]).outputs
            gains.extend(gain for gain, _, _ in found)
            reached.extend((1 - outputs[:, sample.label] - sample.score).tolist())

    (record,) = {record.queries for record in Engine(Watch(), victim, name="watch", draws=20).run(examples)}
    assert record == 40  # the clean text and its gradients, each under 20 draws
    assert len(gains) > 50
    assert np.corrcoef(gains, reached)[0, 1] > 0.2
