"""What trained defenses learn from: each one's loss and gradients against those computed by hand on a tiny model."""

from __future__ import annotations

import sys
from math import exp, log
from pathlib import Path
from random import Random
from typing import Any

import pytest
import tiny_bert
import torch

from robustbench_nlp import language_model
from robustbench_nlp.aimed_swaps import AimedSwaps
from robustbench_nlp.augmentation import NOISES
from robustbench_nlp.data.example import Example
from robustbench_nlp.defenses import pgd
from robustbench_nlp.defenses.freelb import accumulated
from robustbench_nlp.defenses.hotflip_training import _swapped
from robustbench_nlp.defenses.infobert import InfoBERT
from robustbench_nlp.fakes import KeywordVictim
from robustbench_nlp.perturbation import Ascent, divergence, embedded, worst
from robustbench_nlp.plugins import create
from robustbench_nlp.synonym_hull import SynonymTable
from robustbench_nlp.training import Batch, Objective, cross_entropy
from robustbench_nlp.victims._reader import Reader

TEXTS = ["the great film", "no bad film that is long", "a wonderful movie"]
LABELS = [1, 0, 1]
WORDS = ("great", "is", "no", "movie", "wonderful", "fantastic", "that", "long")


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    """Without dropout, so that the same numbers come twice."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = tiny_bert.save(tmp_path, vocabulary=[*tiny_bert.VOCABULARY, *WORDS])
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    reader = Reader(AutoTokenizer.from_pretrained(folder), 32)
    return Batch(model, reader, list(TEXTS), torch.tensor(LABELS), Random(0))


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A selector, and the training examples, to the objective that the defense trains by."""

    def objective(selector: str, train: list[Example] | None = None) -> Objective:
        made = create("defense", selector)
        monkeypatch.setattr(sys.modules[type(made).__module__], "further", lambda *_, **how: how["objective"])
        found: Objective = made(KeywordVictim(), train or [], Random(0))
        return found

    return objective


def of(objective: Objective, batch: Batch) -> tuple[float, Any]:
    """The loss, and the gradients as one vector, from the same state of chance each time."""
    torch.manual_seed(0)
    batch.model.zero_grad()
    loss = objective(batch._replace(rng=Random(0)))
    return loss, torch.cat([p.grad.flatten() for p in batch.model.parameters() if p.grad is not None])


def losses(batch: Batch, logits: Any = None) -> Any:
    """Each text's cross-entropy, at other logits than its own where they are given."""
    logits = embedded(batch).logits() if logits is None else logits
    return torch.nn.functional.cross_entropy(logits, batch.labels, reduction="none").detach()


def test_flooding_turns_around_below_its_level(learned: Any, batch: Batch) -> None:
    plain, gradient = of(cross_entropy, batch)
    for level, sign in ((plain / 2, 1), (2 * plain, -1)):
        loss, flooded = of(learned(f"flooding(level={level})"), batch)
        assert loss == pytest.approx(plain)
        torch.testing.assert_close(flooded, sign * gradient)


def test_balanced_classes_weigh_as_much_as_they_are_rare(learned: Any, batch: Batch) -> None:
    train = [Example(fields={"text": str(i)}, label=int(i > 0)) for i in range(4)]
    weights = torch.tensor([4 / (2 * 1), 4 / (2 * 3)])[batch.labels]
    loss, _ = of(learned("class_balance", train), batch)
    assert loss == pytest.approx(float((weights * losses(batch)).sum() / weights.sum()), abs=1e-6)


def test_groups_that_do_worse_weigh_more(learned: Any, batch: Batch) -> None:
    means = losses(batch)[[1]].mean(), losses(batch)[[0, 2]].mean()  # negative with a "no", positive without
    plain, _ = of(learned("group_robust(step=0.0)"), batch)
    assert plain == pytest.approx(float(sum(means) / 2), abs=1e-6)
    objective = learned("group_robust(step=2.0)")
    for batches in (1, 2):
        weights = [exp(2 * batches * mean) for mean in means]
        by_hand = sum(weight * mean for weight, mean in zip(weights, means, strict=True)) / sum(weights)
        assert of(objective, batch)[0] == pytest.approx(float(by_hand), abs=1e-5)
    assert float(by_hand) > plain


def test_consistency_pays_for_the_divergence_from_the_noisy_text(
    learned: Any, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NOISES, "typos", lambda text, rng, share: text.delete(0))
    others = [text.partition(" ")[2] for text in TEXTS]
    clean, noisy = embedded(batch).logits(), embedded(batch, batch.tensors(others)).logits()
    by_hand = losses(batch).mean() + 3 * divergence(clean, noisy).detach()
    assert of(learned("consistency(noises=('typos',),weight=3.0)"), batch)[0] == pytest.approx(float(by_hand), abs=1e-5)
    _, gradient = of(learned("consistency(noises=('typos',),weight=0.0)"), batch)
    torch.testing.assert_close(gradient, of(cross_entropy, batch)[1])


def test_copies_are_aimed_by_the_gradient_of_the_clean_loss(
    learned: Any, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(language_model, "masked", lambda _: lambda blanks, k: [[("great", 1.0)][:k] for _ in blanks])
    monkeypatch.setitem(NOISES, "typos", lambda text, rng, share: pytest.fail("every copy is aimed"))
    place = embedded(batch)
    vectors = place.vectors.detach().requires_grad_(True)
    logits = place.model(inputs_embeds=vectors, **place.others).logits
    loss = torch.nn.functional.cross_entropy(logits, batch.labels)
    (gradient,) = torch.autograd.grad(loss, vectors)
    others = list(AimedSwaps(0.3, 1)(batch, place, gradient, range(3)).values())
    assert others != TEXTS
    clean, aimed = (batch.model(**batch.tensors(texts)).logits.detach() for texts in (TEXTS, others))
    by_hand = losses(batch).mean() + 3 * divergence(clean, aimed)
    made = learned("consistency(noises=('typos',),weight=3.0,aim=1.0,aimed_share=0.3)")
    assert of(made, batch)[0] == pytest.approx(float(by_hand), abs=1e-5)


class Shared(Random):
    """Draws one share of a mixture, and reverses a batch."""

    share = 1.0

    def betavariate(self, alpha: float, beta: float) -> float:
        return self.share

    def sample(self, population: Any, k: int, *, counts: Any = None) -> Any:
        return list(population)[::-1]


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_a_mixture_has_its_share_of_two_texts_and_of_their_labels(learned: Any, batch: Batch, share: float) -> None:
    batch = batch._replace(inputs=["the great film", "no bad film"], labels=torch.tensor([1, 0]), rng=Shared())
    place, clean = embedded(batch), losses(batch).mean()
    batch.rng.share = share  # type: ignore[attr-defined]
    loss = learned("mixada(weight=2.0)")(batch)
    mixed = place.vectors * share + place.vectors.flip(0) * (1 - share)
    logits = batch.model(inputs_embeds=mixed, **place.others).logits
    by_hand = share * losses(batch, logits) + (1 - share) * losses(batch._replace(labels=batch.labels.flip(0)), logits)
    assert loss == pytest.approx(float(clean + 2 * by_hand.mean()), abs=1e-5)
    if share == 1:
        assert loss == pytest.approx(float(3 * clean), abs=1e-5), "nothing of the other text"


def test_a_mixture_reads_as_far_as_the_longer_of_its_texts(learned: Any, batch: Batch) -> None:
    pair = batch._replace(inputs=["film", "no bad film"], labels=torch.tensor([1, 0]), rng=Shared())
    pair.rng.share = 0.0  # type: ignore[attr-defined]
    loss = learned("mixada(weight=1.0)")(pair)
    place = embedded(pair)
    long = torch.maximum(place.mask, place.mask.flip(0))[..., 0].long()
    logits = pair.model(inputs_embeds=place.vectors.flip(0), attention_mask=long).logits
    flipped = pair._replace(labels=pair.labels.flip(0))
    assert loss == pytest.approx(float(losses(pair).mean() + losses(flipped, logits).mean()), abs=1e-5)


def test_pgd_learns_from_a_worse_place_inside_the_radius(
    learned: Any, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    monkeypatch.setattr(pgd, "worst", lambda *given: found.append(worst(*given)) or found[-1])
    loss, _ = of(learned("pgd(steps=5,radius=0.2)"), batch)
    assert 0.19 < float(found[0].flatten(1).norm(dim=1).max()) <= 0.2 + 1e-6
    clean, attacked = losses(batch), losses(batch, embedded(batch).logits(found[0]))
    assert attacked.mean() > clean.mean()
    assert loss == pytest.approx(float((clean.mean() + attacked.mean()) / 2), abs=1e-6)
    still, gradient = of(learned("pgd(step=0.0,init=0.0)"), batch)
    assert still == pytest.approx(float(clean.mean()), abs=1e-6)
    torch.testing.assert_close(gradient, of(cross_entropy, batch)[1])


def test_vat_pays_for_the_divergence_at_the_worst_place_whatever_the_label(learned: Any, batch: Batch) -> None:
    plain, gradient = of(cross_entropy, batch)
    still, same = of(learned("vat(step=0.0,init=0.0)"), batch)
    assert still == pytest.approx(plain, abs=1e-6), "no divergence from itself"
    torch.testing.assert_close(same, gradient)
    terms = [of(learned(f"vat(weight={weight})"), batch)[0] - plain for weight in (1.0, 3.0)]
    assert terms[1] == pytest.approx(3 * terms[0], rel=1e-3)
    other = batch._replace(labels=1 - batch.labels)
    term = of(learned("vat(weight=1.0)"), other)[0] - of(cross_entropy, other)[0]
    assert term == pytest.approx(terms[0], rel=1e-3)
    assert 0 < terms[0] < of(learned("vat(weight=1.0,step=1.0,radius=1.0)"), batch)[0] - plain


def test_a_hull_holds_the_words_and_all_between_them(batch: Batch) -> None:
    place = embedded(batch)
    hull = SynonymTable("neighbours(8)").hull(place, batch.reader)
    several = hull.there.sum(dim=-1) > 1
    assert several.any()
    own = place.vectors.detach()
    torch.testing.assert_close(
        (own + hull.change(torch.zeros(hull.there.shape)))[several],
        torch.stack(
            [v[there].mean(dim=0) for v, there in zip(hull.vectors[several], hull.there[several], strict=True)]
        ),
    )
    chosen = torch.full(hull.there.shape, -1e4)
    chosen[..., 1] = 0.0
    torch.testing.assert_close((own + hull.change(chosen))[several], hull.vectors[several][:, 1])
    assert not hull.change(torch.randn(hull.there.shape))[~several].any()


def test_ascc_pays_for_the_worst_mixture_of_synonyms(learned: Any, batch: Batch) -> None:
    plain, gradient = of(cross_entropy, batch)
    _, same = of(learned("ascc(weight=0.0)"), batch)
    torch.testing.assert_close(same, gradient)
    drawn, searched = (of(learned(f"ascc(weight=1.0,price=0.0,step={step},steps=4)"), batch)[0] for step in (0.0, 1.0))
    assert plain < drawn < searched
    torch.manual_seed(0)
    place = embedded(batch)
    hull = SynonymTable("neighbours(8)").hull(place, batch.reader)
    mixed = place.logits(hull.change(torch.randn(hull.there.shape))).log_softmax(dim=-1)
    from_clean = torch.nn.functional.kl_div(
        mixed, place.logits().log_softmax(dim=-1), log_target=True, reduction="batchmean"
    )
    assert drawn == pytest.approx(float(plain + from_clean.detach()), abs=1e-5)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_swapped_texts_have_their_weight_also_the_whole_of_it(learned: Any, batch: Batch, weight: float) -> None:
    place, table = embedded(batch), SynonymTable("neighbours(8)")
    vectors = place.vectors.detach().requires_grad_(True)
    clean = torch.nn.functional.cross_entropy(place.model(inputs_embeds=vectors, **place.others).logits, batch.labels)
    (gradient,) = torch.autograd.grad(clean, vectors)
    tokens = _swapped(place, table.numbers(place, batch.reader), gradient, 0.5)
    assert (tokens != place.tokens).any()
    attacked = losses(batch, batch.model(input_ids=tokens, **place.others).logits).mean()
    made = learned(f"hotflip_training(candidates='neighbours(8)',share=0.5,weight={weight})")
    assert of(made, batch)[0] == pytest.approx(float((1 - weight) * clean.detach() + weight * attacked), abs=1e-5)


def test_dne_learns_from_a_drawn_mixture_pushed_up_the_loss(learned: Any, batch: Batch) -> None:
    even, pushed = (
        of(learned(f"dne(concentration=1e7,step={step},steps=2)"), batch)[0] for step in (0.0, 10.0)
    )  # so concentrated, a draw has equal shares
    place = embedded(batch)
    hull = SynonymTable("neighbours(8)").hull(place, batch.reader)
    middle = losses(batch, place.logits(hull.change(torch.zeros(hull.there.shape))))
    assert even == pytest.approx(float((losses(batch).mean() + middle.mean()) / 2), abs=1e-3)
    assert pushed > even


def test_infobert_is_freelb_and_a_bound_from_the_second_step_on(learned: Any, batch: Batch) -> None:
    for steps in (1, 3):
        free, gradient = of(accumulated(Ascent(steps=steps, step=0.1, init=0.05, radius=0.3)), batch)
        loss, same = of(learned(f"infobert(steps={steps},weight={float(steps == 1)})"), batch)
        assert loss == pytest.approx(free, abs=1e-6)
        torch.testing.assert_close(same, gradient)
    assert of(learned("infobert(steps=3,weight=1.0)"), batch)[0] > free


def test_anchors_of_middling_gradients_tell_their_text_from_the_others(batch: Batch) -> None:
    batch = batch._replace(inputs=["the great film", "no bad film", "that long movie"])
    place = embedded(batch)
    rows, tokens = place.tokens.shape
    sizes = torch.arange(tokens).float().expand(rows, tokens)
    settings = InfoBERT(low=0.6, high=0.7, temperature=0.5)
    features = torch.zeros(rows, tokens, rows)
    features[:, 0] = torch.eye(rows)  # the whole text's
    features[:, 3] = torch.eye(rows)  # rank 3 of 5: the only anchor
    features[:, 4] = torch.eye(rows).flip(0) * 100
    assert float(settings._anchored(features, place, sizes)) == pytest.approx(log(1 + 2 * exp(-1 / 0.5)), abs=1e-5)
    features[:, 3] = torch.ones(rows)
    assert float(settings._anchored(features, place, sizes)) == pytest.approx(log(3), abs=1e-5), "alike for every text"
