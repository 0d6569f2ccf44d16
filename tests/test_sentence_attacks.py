"""Attacks on whole sentences: rewording by a (tiny) model, and the same words in another order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_nlp.attack import Encode, Generate
from robustbench_nlp.attacks.paraphrase import Paraphrase
from robustbench_nlp.attacks.reorder import Reorder
from robustbench_nlp.data.example import Example
from robustbench_nlp.edits.order import reorderings
from robustbench_nlp.edits.sentences import replaced, sentences
from robustbench_nlp.encoder import embedded_folder
from robustbench_nlp.engine import Engine
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim, drive, helped, sample_of
from robustbench_nlp.helpers import Helpers
from robustbench_nlp.plugins import create
from robustbench_nlp.seq2seq import rewriter
from robustbench_nlp.text import words_of

VICTIM = KeywordVictim()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A T5 of random weights on a vocabulary of eight words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    folder = tmp_path_factory.mktemp("t5")
    words = ["<pad>", "</s>", "<unk>", "good", "bad", "film", "the", "a"]
    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=32, **special).save_pretrained(folder)
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = T5ForConditionalGeneration(T5Config(vocab_size=len(words), decoder_start_token_id=0, **sizes))
    model.generation_config.max_length = None
    model.save_pretrained(folder)
    return folder


def test_a_model_rewords_alike_in_any_batch(tiny: Path) -> None:
    reworded = rewriter(str(tiny), "cpu")
    texts = ["the good film", "a", "bad bad film the", "\ud800"]
    together = reworded(texts, n=3)
    assert [len(group) for group in together] == [3] * 4
    assert [reworded([text], n=3)[0] for text in texts] == together
    assert reworded([], n=3) == []


def test_paraphrase_through_the_engine(tiny: Path) -> None:
    threat = {"min_similarity": None}
    attack = create("attack", f"paraphrase(model={str(tiny)!r}, n=4, threat={threat!r}):".removesuffix(":"))
    example = Example(fields={"text": "the good film. a good one."}, label=1)
    (record,) = Engine(attack, VICTIM).run([example])
    assert record.error is None
    assert record.helper_calls > 0
    assert record.queries > 1


def test_paraphrase_rewords_each_sentence_and_goes_on_from_the_best() -> None:
    asked: list[Generate] = []

    class Spy(Helpers):
        def __call__(self, requests: Sequence[Any]) -> list[Any]:
            asked.extend(request for request in requests if isinstance(request, Generate))
            return [helped(request) for request in requests]

    attack = Paraphrase(model="mine", back="yours", prefix="say: ", n=2, threat=create("attack", "reorder").threat)
    (record,) = Engine(attack, VICTIM, helpers=Spy()).run(
        [Example(fields={"text": "so very good. and a film"}, label=1)]
    )
    assert list(asked[0].items) == ["say: so very good.", "say: and a film"]
    assert (asked[0].model, asked[1].model) == ("mine", "yours")
    assert len(asked[1].items) == 2 * 2
    assert record.error is None


@pytest.mark.skipif(embedded_folder() is None, reason="the embedded encoder is an extra")
def test_paraphrases_stay_close(tiny: Path) -> None:
    attack = Paraphrase(model=str(tiny))
    assert attack.threat.min_similarity == 0.8
    (record,) = Engine(attack, VICTIM).run([Example(fields={"text": "a wholly different story"}, label=1)])
    assert record.outcome in ("failed", "skipped")


def test_models_that_cannot_reword(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no rewording model ships"):
        rewriter("embedded")
    with pytest.raises(UsageError, match="no safetensors weights"):
        rewriter(str(tmp_path))
    with pytest.raises(UsageError, match="wants an argument"):
        create("attack", "paraphrase")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("when it rains , the film is good .", ["the film is good , when it rains ."]),
        ("The film is good, because it ends early.", ["Because it ends early, the film is good."]),
        ("a bright and flashy film", ["a flashy and bright film"]),
        ("a bright and awful film", []),  # an awful
        ("a film of wit and humor .", ["a film of humor and wit ."]),
        ("when it rains , it still is good", []),
        ("it is long , and it is dull", []),
        ("when it rains , the film , a good one , ends", []),
        ("very funny and touching", []),
        ("", []),
    ],
)
def test_moves(before: str, after: list[str]) -> None:
    assert list(reorderings(before)) == after


@given(st.text(st.sampled_from("ab, .!?\nAnd when"), max_size=40) | st.text(max_size=20))
def test_sentences_cover_all_but_white_space_and_moves_keep_words(string: str) -> None:
    spans = sentences(string)
    assert "".join("".join(string[a:b].split()) for a, b in spans) == "".join(string.split())
    assert all(string[a:b] == string[a:b].strip() != "" for a, b in spans)
    assert all(replaced(string, span, string[slice(*span)]) == string for span in spans)
    for moved in reorderings(string):
        assert sorted(word.lower() for word in words_of(moved)) == sorted(word.lower() for word in words_of(string))


def test_sentences_end_at_marks_before_white_space() -> None:
    string = 'One here. Two "there!" Three 3.5?\nfour'
    assert [string[a:b] for a, b in sentences(string)] == ["One here.", 'Two "there!"', "Three 3.5?", "four"]


def test_reorder_keeps_the_words_and_can_flip_who_reads_the_first_word() -> None:
    class First(KeywordVictim):
        """Reads five words."""

        def predict(self, inputs: Any, draw: int = 0) -> Any:
            return super().predict([" ".join(text.split()[:5]) for text in inputs])

    attack = Reorder()
    sample = sample_of(attack, "because it is good at heart , the film is not so bad")
    text = drive(attack, sample, Random(0), First()).text
    assert str(text) == "the film is not so bad , because it is good at heart"


def test_helped_answers_rewordings() -> None:
    assert helped(Generate(["a b c"], 2)) == [["b c", "c"]]
    assert helped(Encode(["a"])).shape[0] == 1
