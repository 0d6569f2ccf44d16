"""Masked and causal language models as helpers: whole words, windows that keep the blank, fluency, and their training."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import tiny_bert
from hypothesis import given, settings
from hypothesis import strategies as st

from robustbench_nlp import cache, language_model, masked_lm_training
from robustbench_nlp.attack import Blank, FillMask, Fluency
from robustbench_nlp.data.example import Dataset, Example
from robustbench_nlp.edits.blanks import Blanks
from robustbench_nlp.errors import UsageError
from robustbench_nlp.helpers import Helpers
from robustbench_nlp.language_model import fluency, masked
from robustbench_nlp.masked_lm_training import Recipe, train_from
from robustbench_nlp.text import Text, words_of

TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_bert.save(tmp_path_factory.mktemp("bert"), masked=True))


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_bert.save_bytes(tmp_path_factory.mktemp("roberta")))


@pytest.fixture(scope="module")
def gpt(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_bert.save_bytes(tmp_path_factory.mktemp("gpt"), causal=True))


def logs(folder: str, ids: list[int]) -> Any:
    """The log-probabilities at every token, straight from the transformers library: (tokens, vocabulary)."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

    causal = AutoTokenizer.from_pretrained(folder).mask_token is None
    model = (AutoModelForCausalLM if causal else AutoModelForMaskedLM).from_pretrained(folder).eval()
    with torch.inference_mode():
        return model(input_ids=torch.tensor([ids])).logits[0].log_softmax(dim=-1)


def ids_of(folder: str, text: str) -> tuple[Any, list[int]]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    return tokenizer, tokenizer(text)["input_ids"]


def test_fills_are_whole_words_with_the_models_probabilities(bert: str) -> None:
    (found,) = masked(bert)([Blank("the ", " film")], k=1000)
    tokenizer, ids = ids_of(bert, "the [MASK] film")
    chances = logs(bert, ids)[2].exp()
    assert [chance for _, chance in found] == sorted((chance for _, chance in found), reverse=True)
    assert dict(found) == pytest.approx(
        {w: float(chances[tokenizer.convert_tokens_to_ids(w)]) for w, _ in found}, abs=1e-6
    )
    assert {word for word, _ in found} == {piece for piece in tiny_bert.VOCABULARY if piece[0] not in "[#"}
    assert masked(bert)([Blank("the ", " film")], k=3) == [found[:3]]


@pytest.mark.parametrize(("word", "at"), [("good", 2), ("bgx", 2)])  # one token, and several of which the first counts
def test_an_unmasked_word_is_read_where_its_first_token_stands(bert: str, word: str, at: int) -> None:
    (found,) = masked(bert)([Blank("the ", " film", word)], k=5)
    tokenizer, ids = ids_of(bert, f"the {word} film")
    chances = logs(bert, ids)[at].exp()
    for other, chance in found:
        assert chance == pytest.approx(float(chances[tokenizer.convert_tokens_to_ids(other)]), abs=1e-6)


def test_words_that_are_hidden_together_are_all_masks(bert: str) -> None:
    found = masked(bert)(Blanks(Text("the good film, the bad film")).together([1, 4]), k=1000)
    tokenizer, ids = ids_of(bert, "the [MASK] film, the [MASK] film")
    chances = logs(bert, ids).exp()
    for fills, at in zip(found, [i for i, number in enumerate(ids) if number == tokenizer.mask_token_id], strict=True):
        assert dict(fills) == pytest.approx(
            {w: float(chances[at][tokenizer.convert_tokens_to_ids(w)]) for w, _ in fills}, abs=1e-6
        )


@pytest.mark.parametrize("hidden", [False, True])
def test_blanks_of_an_unmasked_text_or_hidden_together_are_read_in_one_row(
    bert: str, monkeypatch: pytest.MonkeyPatch, hidden: bool
) -> None:
    rows: list[int] = []
    forward = language_model._Model._forward

    def spy(self: Any, read: Any, *rest: Any) -> Any:
        rows.append(len(read))
        return forward(self, read, *rest)

    monkeypatch.setattr(language_model._Model, "_forward", spy)
    text = Text("the good film, the bad film")
    blanks = Blanks(text)
    asked = blanks.together(range(6)) if hidden else [blanks.at(number, masked=False) for number in range(6)]
    assert len(masked(bert)(asked, k=2)) == 6
    assert rows == [1]


def test_blanks_together_equal_blanks_alone(bert: str, roberta: str) -> None:
    blanks = [Blank("the " * n, " film" * (n % 3), ("good", None)[n % 2]) for n in range(25)]
    for folder in (bert, roberta):
        together = masked(folder)(blanks, k=400)
        for blank, found in zip(blanks, together, strict=True):
            assert dict(masked(folder)([blank], k=400)[0]) == pytest.approx(dict(found), abs=1e-5)


def test_a_long_text_is_read_around_the_blank(bert: str) -> None:
    for n in (0, 3, 40, 400):
        for m in (0, 3, 40, 400):
            (here,) = masked(bert)([Blank("good " * n, " bad" * m)], k=9)
            (near,) = masked(bert)([Blank("film " * max(0, n - 30) + "good " * min(n, 30), " bad" * m)], k=9)
            assert len(here) == 9
            assert [word for word, _ in here] == [word for word, _ in near]
    (one,) = masked(bert)([Blank("good " * 100, " bad" * 100)], k=9)
    (other,) = masked(bert)([Blank("good " * 99 + "film ", " bad" * 100)], k=9)
    assert one != other


@settings(max_examples=40, deadline=None)
@given(TEXTS, TEXTS, st.booleans())
def test_any_surroundings(bert: str, roberta: str, before: str, after: str, long: bool) -> None:
    for folder in (bert, roberta):
        (found,) = masked(folder)([Blank(before * (1 + 40 * long), after * (1 + 40 * long))], k=4)
        assert len(found) == 4
        assert all(words_of(word) == [word] for word, _ in found)


def test_words_that_the_tokenizer_drops_have_no_fills(bert: str) -> None:
    assert masked(bert)([Blank("a", "b", "\x00")], k=3) == [[]]
    assert masked(bert)([], k=3) == []


@pytest.mark.parametrize(("before", "mark"), [("the ", "Ġ"), ("", ""), ("the (", "")])
def test_byte_level_words_follow_a_space_or_not(roberta: str, before: str, mark: str) -> None:
    (found,) = masked(roberta)([Blank(before, " film")], k=300)
    tokenizer, ids = ids_of(roberta, f"{before}<mask> film")
    chances = logs(roberta, ids)[ids.index(tokenizer.mask_token_id)].exp()
    assert len(found) >= 5
    for word, chance in found:
        assert chance == pytest.approx(float(chances[tokenizer.convert_tokens_to_ids(mark + word)]), abs=1e-6)


def test_short_texts_have_the_exact_pseudo_log_likelihood(bert: str) -> None:
    """With as many tokens as there are folds one token is masked at a time, as in Salazar et al. (2020)."""
    text = "the film good film bad the"
    tokenizer, ids = ids_of(bert, text)
    total = 0.0
    for i in range(1, 7):
        shown = [tokenizer.mask_token_id if j == i else token for j, token in enumerate(ids)]
        total += float(logs(bert, shown)[i, ids[i]])
    assert fluency(bert)([text, ""]) == pytest.approx([total / 6, 0.0], abs=1e-5)


def test_causal_fluency_is_the_mean_log_likelihood(gpt: str) -> None:
    text = "the film is good, and it is not"
    tokenizer, ids = ids_of(gpt, text)
    table = logs(gpt, [tokenizer.bos_token_id, *ids])
    expected = sum(float(table[i, token]) for i, token in enumerate(ids)) / len(ids)
    assert fluency(gpt)([text, "", "bad"])[0] == pytest.approx(expected, abs=1e-5)


def test_fluency_of_long_and_odd_texts(bert: str, gpt: str) -> None:
    texts = ["the good film " * 60, "\ud800", "🙂", "the"]
    for folder in (bert, gpt):
        together = fluency(folder)(texts)
        assert together == pytest.approx([fluency(folder)([text])[0] for text in texts], abs=1e-5)
        assert all(value < 0 for value in together)


def test_the_engine_reaches_them_by_name(bert: str) -> None:
    helpers = Helpers()
    answers = helpers([FillMask([Blank("", " film")], 2, bert), FillMask([Blank("the ", "")] * 2, 2, bert)])
    assert [[len(filled) for filled in answer] for answer in answers] == [[2], [2, 2]]
    assert len(helpers([Fluency(["the film"], bert)])[0]) == 1


def test_what_is_no_language_model_is_told_in_one_line(
    bert: str, gpt: str, tmp_path: Path, isolated_cache: Path
) -> None:
    encoder = tiny_bert.save(tmp_path / "encoder", head=False)
    (tmp_path / "empty").mkdir()
    for name, ask, said in [
        (str(encoder), masked, "no language-model head"),
        (str(tmp_path / "empty"), masked, "safetensors"),
        (str(tmp_path / "nowhere"), fluency, "no folder"),
        (gpt, masked, "no mask token"),
        ("embedded", masked, "fetch mlm"),
        ("embedded", fluency, "fetch mlm"),
    ]:
        with pytest.raises(UsageError, match=said) as told:
            ask(name)
        assert "\n" not in str(told.value)


def toy(split: str, lengths: range) -> Dataset:
    """Texts in which every word is known from its neighbours."""
    texts = ["the good film<br />" * length for length in lengths]
    examples = tuple(Example(fields={"text": text}, label=0) for text in texts)
    return Dataset(name="toy", split=split, examples=examples, label_names=("any",))


QUICK = Recipe(steps=600, batch_size=8, block=16, learning_rate=5e-3, held_out=40)


def test_training_learns_and_reports(tmp_path: Path) -> None:
    base = tiny_bert.save(tmp_path / "base", head=False)
    train, held_out = toy("train", range(2, 30)), toy("dev", range(30, 40))
    accuracy = train_from(base, tmp_path, train=train, held_out=held_out, recipe=QUICK)
    assert accuracy.top_1 > 0.7
    assert accuracy.words > 40
    report = json.loads((tmp_path / masked_lm_training.REPORT).read_text("ascii"))
    assert (report["top_1"], report["top_50"], report["words"]) == accuracy
    assert report["train"] == train.fingerprint
    (found,) = masked(str(tmp_path))([Blank("the good film the ", " film the good film")], k=1)
    assert found[0][0] == "good"


def test_training_repeats_and_leaves_the_global_generator(tmp_path: Path) -> None:
    import torch

    base = tiny_bert.save(tmp_path / "base", head=False)
    before, weights = torch.get_rng_state(), []
    for name, seed in [("one", 0), ("again", 0), ("other", 1)]:
        recipe = dataclasses.replace(QUICK, steps=4, held_out=2, seed=seed)
        train_from(
            base, tmp_path / name, train=toy("train", range(2, 30)), held_out=toy("dev", range(30, 31)), recipe=recipe
        )
        weights.append((tmp_path / name / "model.safetensors").read_bytes())
    assert torch.equal(torch.get_rng_state(), before)
    assert weights[0] == weights[1] != weights[2]


def test_finding_never_trains(isolated_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    base = tiny_bert.save(tmp_path / "base", head=False)
    monkeypatch.setattr(masked_lm_training, "embedded_folder", lambda: base)
    assert masked_lm_training.find() is None
    place = cache.place("mlm", masked_lm_training._identity(base))
    place.mkdir(parents=True)
    assert masked_lm_training.find() == place == masked_lm_training.build()
    monkeypatch.setattr(masked_lm_training, "embedded_folder", lambda: None)
    assert masked_lm_training.find() is None
    with pytest.raises(UsageError, match="embedded"):
        masked_lm_training.build()


@pytest.mark.slow
def test_the_embedded_model_reads_reviews() -> None:
    folder = masked_lm_training.build()
    report = json.loads((folder / masked_lm_training.REPORT).read_text("ascii"))
    assert report["top_1"] > 0.2
    assert report["top_50"] > 0.6
    (found,) = masked("embedded")([Blank("This is one of the worst ", " I have ever seen.")], k=10)
    assert {"movies", "films"} & {word for word, _ in found}
    good, bad = fluency("embedded")(["This is one of the best films.", "Films this the of best one is."])
    assert good > bad
