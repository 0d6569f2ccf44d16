"""Perturbed embeddings: where they start, how they climb, what stays untouched; and what the objectives learn from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
import tiny_bert
import torch
from touched import material, touched

from robustbench_nlp.attack import Blank
from robustbench_nlp.augmentation import KNOWN_FROM, NOISES, on_share
from robustbench_nlp.defenses.freelb import accumulated
from robustbench_nlp.defenses.hotflip_training import _swapped
from robustbench_nlp.defenses.tavat import TAVAT, _Objective
from robustbench_nlp.edits.tautologies import TAUTOLOGIES
from robustbench_nlp.errors import UsageError
from robustbench_nlp.lexicon.wordnet import synonyms
from robustbench_nlp.perturbation import Ascent, Embedded, divergence, embedded, one_sided, start, stepped, worst
from robustbench_nlp.plugins import create
from robustbench_nlp.synonym_hull import SynonymTable, near_spellings
from robustbench_nlp.text import Text
from robustbench_nlp.training import Batch, cross_entropy
from robustbench_nlp.victims._reader import Reader

TEXTS = ["the good film", "a bad film that is long", "film"]


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = tiny_bert.save(tmp_path)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    reader = Reader(AutoTokenizer.from_pretrained(folder), 32)
    torch.manual_seed(0)
    return Batch(model, reader, list(TEXTS), torch.tensor([1, 0, 1]), Random(0))


def gradients(batch: Batch) -> list[Any]:
    return [None if p.grad is None else p.grad.clone() for p in batch.model.parameters()]


def loss_at(batch: Batch, change: Any) -> Any:
    return torch.nn.functional.cross_entropy(embedded(batch).logits(change), batch.labels)


def test_no_perturbation_is_the_model_itself(batch: Batch) -> None:
    torch.testing.assert_close(embedded(batch).logits(), batch.model(**batch.tensors()).logits)


def test_a_start_is_small_noise_on_tokens_alone(batch: Batch) -> None:
    place = embedded(batch)
    change = start(place, Ascent(steps=1, step=0.1, init=0.5))
    assert not change[place.mask.expand_as(change) == 0].any()
    assert 0 < change.flatten(1).norm(dim=1).max() <= 0.5


def test_a_step_has_its_size_and_the_radius_holds(batch: Batch) -> None:
    place = embedded(batch)
    gradient = torch.randn_like(place.vectors) * place.mask
    free = stepped(torch.zeros_like(gradient), gradient, Ascent(steps=1, step=0.7, init=0.0))
    torch.testing.assert_close(free.flatten(1).norm(dim=1), torch.full((3,), 0.7))
    held = stepped(free, gradient, Ascent(steps=1, step=0.7, init=0.0, radius=0.2))
    torch.testing.assert_close(held.flatten(1).norm(dim=1), torch.full((3,), 0.2))


def test_the_worst_place_is_worse_and_costs_the_model_no_gradient(batch: Batch) -> None:
    place = embedded(batch)
    change = worst(place, Ascent(steps=5, step=0.2, init=0.05), lambda change: loss_at(batch, change))
    assert loss_at(batch, change) > loss_at(batch, 0.0) + 0.05
    assert all(gradient is None for gradient in gradients(batch))
    assert not change[place.mask.expand_as(change) == 0].any()


def test_freelb_of_one_tiny_step_is_plain_training(batch: Batch) -> None:
    plain_loss = cross_entropy(batch)
    plain = gradients(batch)
    batch.model.zero_grad()
    assert accumulated(Ascent(steps=1, step=0.0, init=0.0))(batch) == pytest.approx(plain_loss, abs=1e-6)
    for mine, other in zip(gradients(batch), plain, strict=True):
        assert (mine is None) == (other is None)
        if mine is not None:
            torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-4)


def test_freelb_sees_higher_losses_with_more_steps(batch: Batch) -> None:
    losses = [accumulated(Ascent(steps=steps, step=0.3, init=0.0))(batch) for steps in (1, 3, 6)]
    assert losses == sorted(losses)
    assert losses[2] > losses[0]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The perturbations that a model is asked about."""
    changes: list[Any] = []
    whole = Embedded.logits

    def noting(place: Embedded, change: Any = 0.0) -> Any:
        changes.append(change)
        return whole(place, change)

    monkeypatch.setattr(Embedded, "logits", noting)
    return changes


@pytest.mark.parametrize("init", [0.0, 0.05, 2.0])
def test_no_text_leaves_tavats_ball_the_start_included(batch: Batch, asked: list[Any], init: float) -> None:
    objective = _Objective(TAVAT(init=init, step=0.5, steps=3, radius=0.3))
    for _ in range(3):
        objective(batch)
    sizes = torch.stack([change.detach().flatten(1).norm(dim=1) for change in asked])
    assert sizes.shape == (9, len(TEXTS))
    assert sizes.max() <= 0.3 + 1e-6
    assert sizes[1:].min() > 0.29, "a step so long ends at the edge"


def test_tavat_steps_along_each_tokens_gradient_and_scales_by_the_largest(batch: Batch, asked: list[Any]) -> None:
    _Objective(TAVAT(init=0.2, step=0.1, steps=2, radius=0.0))(batch)
    first, second = (change.detach() for change in asked)
    at = first.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(loss_at(batch, at), at)
    for row, real in enumerate(embedded(batch).mask[..., 0] > 0):
        moved = first[row] + 0.1 * torch.nn.functional.normalize(gradient[row], dim=-1)
        sizes = moved[real].norm(dim=-1, keepdim=True)
        torch.testing.assert_close(second[row, real], moved[real] * sizes / sizes.max(), atol=1e-4, rtol=1e-3)
        assert not second[row, ~real].any()


def test_tavat_draws_its_table_once(batch: Batch) -> None:
    objective = _Objective(TAVAT())
    objective(batch)
    before = torch.get_rng_state()
    objective(batch)
    assert torch.equal(torch.get_rng_state(), before)


def test_tavat_keeps_what_its_tokens_reached(batch: Batch) -> None:
    objective = _Objective(TAVAT(radius=0.3))
    torch.manual_seed(1)
    first = objective(batch)
    kept = objective.state["kept"].clone()
    again = objective(batch)
    seen = torch.zeros(len(kept), dtype=torch.bool)
    seen[embedded(batch).tokens[embedded(batch).mask[..., 0] > 0]] = True
    moved = (objective.state["kept"] != kept).any(dim=1)
    assert bool((moved == seen).all())
    assert again > first
    assert kept[seen].norm(dim=1).max() <= 0.3 + 1e-6


def test_hotflip_swaps_what_a_step_along_the_gradient_says(batch: Batch) -> None:
    place = embedded(batch)
    matrix = place.model.get_input_embeddings().weight.detach()
    film, good, bad = (batch.reader.whole_words()[word] for word in ("film", "good", "bad"))
    candidates = torch.full((*place.tokens.shape, 2), -1)
    candidates[place.tokens == film] = torch.tensor([good, bad])
    gradient = torch.zeros_like(place.vectors)
    gradient[0] = matrix[bad] - matrix[film]
    gradient[1] = -(matrix[good] - matrix[film]) - (matrix[bad] - matrix[film])
    swapped = _swapped(place, candidates, gradient, 0.2)
    assert (swapped != place.tokens).sum() == 1, "no gain in the other rows"
    assert swapped[0][place.tokens[0] == film].tolist() == [bad]
    gradient[:] = matrix[good] - matrix[film]
    swapped = _swapped(place, candidates, gradient, 0.2)
    assert (swapped != place.tokens).sum(dim=1).tolist() == [1, 1, 1], "no more than a fifth of the words, one at least"
    assert torch.equal(swapped == good, (place.tokens == good) | (place.tokens == film))


def test_candidates_of_spelling_are_one_edit_away(batch: Batch) -> None:
    near = near_spellings(["form", "from", "for", "farm", "forum", "fro", "or"])
    assert near("form") == ["farm", "for", "forum", "from"]
    assert near("or") == []
    numbers = SynonymTable("spelling").numbers(embedded(batch), batch.reader)
    assert numbers.shape[:2] == embedded(batch).tokens.shape
    assert torch.equal(numbers[..., 0], embedded(batch).tokens)


def test_no_synonym_is_left_out_for_its_place_in_the_alphabet(tmp_path: Path, batch: Batch) -> None:
    """WordNet's have no order; the words that PWWS puts for *good* begin with a to w."""
    others = [word for word in synonyms("good") if word.isalpha()]
    reader = read_by(tiny_bert.save(tmp_path / "words", vocabulary=[*tiny_bert.VOCABULARY, *others]))
    table = SynonymTable("wordnet")
    matrix = torch.zeros(len(tiny_bert.VOCABULARY) + len(others), 2)
    number = reader.whole_words()["good"]
    found = table._table(reader, matrix)[number]
    assert {number, *(reader.whole_words()[word] for word in others)} == {*found[found >= 0].tolist()}
    assert len(others) > 8


def read_by(folder: Path) -> Reader:
    from transformers import AutoTokenizer

    return Reader(AutoTokenizer.from_pretrained(folder), 32)


@pytest.mark.parametrize("save", [tiny_bert.save, tiny_bert.save_bytes])
def test_what_goes_on_with_a_word_is_told_from_what_follows_it(save: Any, tmp_path: Path) -> None:
    reader = read_by(save(tmp_path))
    inner, words, seen = set(reader.inner_pieces()), set(reader.whole_words().values()), set()
    for text in (" the film is good", " the films, goodx than the, film", " film\tfilmed film\nthe film (bad"):
        read = reader.with_offsets(text)
        for at, number in enumerate(read.ids[:-1]):
            if number in words and not read.special_tokens_mask[at + 1]:
                (_, end), (start, _) = read.offsets[at : at + 2]
                assert (read.ids[at + 1] in inner) is (start == end and text[start].isalnum())
                seen.add(read.ids[at + 1] in inner)
    assert seen == {True, False}


def test_the_first_piece_of_a_longer_word_has_no_synonyms(tmp_path: Path, batch: Batch) -> None:
    reader = read_by(tiny_bert.save(tmp_path / "words", vocabulary=[*tiny_bert.VOCABULARY, "firm"]))
    pair = batch._replace(reader=reader, inputs=["film films", "films film the"])
    place, table = embedded(pair), SynonymTable("spelling")
    assert place.tokens.max() < len(tiny_bert.VOCABULARY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SynonymTable, "_table", lambda *_: torch.arange(len(tiny_bert.VOCABULARY))[:, None].repeat(1, 5))
        numbers = table.numbers(place, reader)
    film = reader.whole_words()["film"]
    for row, whole in enumerate((1, 3)):
        for at in (place.tokens[row] == film).nonzero()[:, 0].tolist():
            assert numbers[row, at].tolist() == [film, *([film] if at == whole else [-1]) * 4]
    assert (table.hull(place, reader).there.sum(dim=-1)[place.tokens == film]).tolist() == [5, 1, 1, 5]


def test_divergence_is_zero_alone_and_symmetric() -> None:
    a, b = torch.randn(4, 3), torch.randn(4, 3)
    assert float(one_sided(a, b) + one_sided(b, a)) == pytest.approx(float(divergence(a, b)), rel=1e-5)
    assert float(divergence(a, a)) == pytest.approx(0, abs=1e-7)
    assert float(divergence(a, b)) == pytest.approx(float(divergence(b, a)))
    assert float(divergence(a, b)) > 0


def filling(blanks: Sequence[Blank], k: int) -> list[list[tuple[str, float]]]:
    """A masked language model that knows two words."""
    return [[("word", 0.5), ("great", 0.4)] for _ in blanks]


@pytest.mark.parametrize("name", NOISES)
def test_noises_change_texts_and_nothing_at_no_share(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robustbench_nlp.language_model.masked", lambda model: filling)
    text = Text("a really great movie with good actors and one wonderful story")
    rng = Random(0)
    assert str(NOISES[name](text, rng, 0.9)) != str(text)
    assert str(NOISES[name](Text(""), rng, 0.9)) == ""
    if name not in ("typos", "drop"):  # these change one word at least
        assert str(NOISES[name](text, rng, 0.0)) == str(text)


def test_refilled_words_are_others_in_the_case_of_the_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robustbench_nlp.language_model.masked", lambda model: filling)
    made = {str(NOISES["refill"](Text("a GREAT Film ."), Random(seed), 1.0)) for seed in range(50)}
    assert made == {f"{a} WORD {film} ." for a in ("word", "great") for film in ("Word", "Great")}


def test_a_tautology_goes_behind_any_text_and_every_kind_is_drawn() -> None:
    drawn = {str(NOISES["tautology"](Text("a fine film ."), Random(seed), 0.1)) for seed in range(50)}
    assert drawn == {f"a fine film {addition} ." for addition in TAUTOLOGIES.values()}


def test_a_lone_name_is_one_of_several() -> None:
    assert create("defense", "consistency(noises='typos')") == create("defense", "consistency(noises=('typos',))")


def test_a_model_that_drops_accents_sees_tricks_in_one_word_of_ten(batch: Batch) -> None:
    made, rng = create("defense", "unicode_augmentation"), Random(0)
    words = ["a", "really", "great", "movie", "with", "good", "actors", "and", "one", "wonderful", "story"] * 100
    plain, read = (
        batch.reader(texts) for texts in (words, [str(NOISES["unicode"](Text(w), rng, made.share)) for w in words])
    )
    seen = sum(before.ids != after.ids for before, after in zip(plain, read, strict=True))
    assert 0.1 < made.noisy * seen / len(words) < 0.2


@pytest.mark.parametrize("name", NOISES)
def test_it_is_said_what_every_noise_teaches(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[str] = set()

    def masked(model: str) -> Any:
        asked.add("masked-lm")
        return filling

    monkeypatch.setattr("robustbench_nlp.language_model.masked", masked)
    text = Text("a really great movie with good actors and one wonderful story")
    found = touched(lambda: [NOISES[name](text, Random(seed), 0.9) for seed in range(20)])
    assert found | asked == material(KNOWN_FROM[name])


def test_on_share_changes_that_many_texts_and_both_fields() -> None:
    changed = on_share(NOISES["typos"], share=1.0, of=0.5)([("good film", "bad movie")] * 8, Random(0))
    assert [pair[0] != "good film" for pair in changed].count(True) == 4
    assert all((pair[0] != "good film") == (pair[1] != "bad movie") for pair in changed)


@pytest.mark.parametrize(
    "selector",
    [
        "pgd(steps=0)",
        "freelb(radius=-1)",
        "freelb_plus(step=-1)",
        "tavat(steps=0)",
        "vat(steps=0)",
        "hotflip_training(share=0)",
        "hotflip_training(candidates=('mine',))",
        "flooding(level=-0.1)",
        "consistency(noises=('rain',))",
        "consistency(noises=())",
        "word_dropout(share=2)",
        "synonym_augmentation(candidates='mine')",
        "typo_augmentation(noisy=-1)",
    ],
)
def test_bad_settings_are_told_in_one_line(selector: str) -> None:
    with pytest.raises(UsageError) as told:
        create("defense", selector)
    assert "\n" not in str(told.value)
