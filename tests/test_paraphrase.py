"""Sequence-to-sequence models as helpers, sentences, and the attack that rewords by them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import tiny_bert
import tiny_seq2seq
from hypothesis import given
from hypothesis import strategies as st
from scripted import one
from texts import ANY_TEXT, complaint

from robustbench_nlp.attack import Encode, Generate, Request, Score, Scores
from robustbench_nlp.attacks.paraphrase import Paraphrase
from robustbench_nlp.data.example import Example
from robustbench_nlp.fakes import helped, sample_of
from robustbench_nlp.helpers import Helpers
from robustbench_nlp.plugins import create
from robustbench_nlp.sentences import sentence_pieces
from robustbench_nlp.seq2seq import generator
from robustbench_nlp.text import Text, words_of
from robustbench_nlp.threat import Threat

KNOWN = {
    "a good film .": "the film is enjoyable .",
    "a great cast": "a dull cast",
    "bad": "not so nice",
}
HOME = {"the film is enjoyable .": "a lovely film .", "a dull cast": "an awful cast", "not so nice": "dull"}
LONG = "the film " * 40
TEXTS = [*KNOWN, "", " ", LONG, "\ud800 bad", "a cast", "bad"]
ANYTHING = Threat(name="anything", unit="sentence")


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_seq2seq.save_t5(tmp_path_factory.mktemp("t5"), KNOWN))


@pytest.fixture(scope="module")
def back(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_seq2seq.save_marian(tmp_path_factory.mktemp("marian"), HOME))


# the models


def test_beam_search_answers_by_heart_and_distinctly(there: str, back: str) -> None:
    for folder, pairs in ((there, KNOWN), (back, HOME)):
        found = generator(f"hf:{folder}", "cpu")(list(pairs), n=3)
        assert [first for first, *_ in found] == list(pairs.values())
        assert all(len(set(texts)) == len(texts) <= 3 for texts in found)
        assert [texts[:1] for texts in found] == generator(folder, "cpu")(list(pairs))


@pytest.mark.parametrize("temperature", [0.0, 1.0, 3.0])
def test_what_a_text_becomes_does_not_depend_on_the_batch(there: str, back: str, temperature: float) -> None:
    import torch

    before = torch.get_rng_state()
    for folder in (there, back):
        generate = generator(folder, "cpu")
        settings: Any = {"n": 4, "temperature": temperature, "max_tokens": 30}
        together = generate(TEXTS, **settings)
        assert together == [generate([text], **settings)[0] for text in TEXTS]
        assert together[TEXTS.index("")] == together[TEXTS.index(" ")] == together[TEXTS.index(LONG)] == []
        assert sum(map(len, together)) > 6
        assert generate([]) == []
    assert torch.equal(torch.get_rng_state(), before)


def test_draws_differ_and_the_hotter_the_more(there: str) -> None:
    cool, hot = (generator(there, "cpu")(["bad"], n=12, temperature=t, max_tokens=30)[0] for t in (0.1, 3.0))
    assert cool == ["not so nice"]
    assert len(hot) > 6


def test_draws_follow_the_models_probabilities() -> None:
    import torch

    from robustbench_nlp.seq2seq import _Noise

    logits = torch.tensor([0.5, 0.3, 0.2]).log().expand(4000, 3)
    drawn = _Noise([f"{i:015x}" for i in range(4000)], 1.0)(None, logits).argmax(dim=1)
    assert (drawn.bincount() / 4000).tolist() == pytest.approx([0.5, 0.3, 0.2], abs=0.03)


def test_unfinished_texts_are_left_out(there: str) -> None:
    assert generator(there, "cpu")(["bad"], max_tokens=3) == [[]]
    assert generator(there, "cpu")(["bad"], max_tokens=4) == [["not so nice"]]


def test_what_is_no_such_model_is_told_in_one_line(there: str, tmp_path: Path) -> None:
    assert "hf:ID" in complaint(lambda: generator("embedded"))
    assert "no folder" in complaint(lambda: generator(f"hf:{tmp_path / 'nowhere'}"))
    (tmp_path / "empty").mkdir()
    assert "safetensors" in complaint(lambda: generator(str(tmp_path / "empty")))
    bert = tiny_bert.save(tmp_path / "bert", masked=True)
    assert "encoder-decoder" in complaint(lambda: generator(str(bert)))
    broken = tmp_path / "broken"
    shutil.copytree(there, broken)
    tiny_bert.edit_config(broken, num_decoder_layers=2)
    assert "lacks weights" in complaint(lambda: generator(str(broken)))


# sentences


@given(
    ANY_TEXT | st.lists(st.sampled_from(["It", " ", ".", "!", "。", '"', "mr", "\n", "a"])).map("".join),
    st.integers(0, 40),
)
def test_pieces_are_the_text(string: str, end: int) -> None:
    for text in (Text(string), Text(string, end)):
        pieces = sentence_pieces(text)
        assert "".join(pieces) == string
        assert all(words_of(sentence) and sentence == sentence.strip() for sentence in pieces[1::2])
        assert not any(words_of(gap) for gap in pieces[:-1:2])


@pytest.mark.parametrize(
    ("string", "sentences"),
    [
        ('He said "Yes." Then he left... It rained!', ['He said "Yes."', "Then he left...", "It rained!"]),
        ("mr . smith met dr. no at 3.5 p.m. in rome .", ["mr . smith met dr. no at 3.5 p.m. in rome ."]),
        ("dull . you leave . . . early . . .", ["dull .", "you leave . . . early . . ."]),
        ("好。坏！吗", ["好。", "坏！", "吗"]),
        ("one\ntwo", ["one", "two"]),
        ("…", []),
    ],
)
def test_sentences(string: str, sentences: list[str]) -> None:
    assert sentence_pieces(Text(string))[1::2] == sentences


def test_what_the_victim_does_not_read_is_no_sentence() -> None:
    assert sentence_pieces(Text("One. Two three. Four.", 13)) == ["", "One.", " Two three. Four."]


# the attack


def asked(attack: Any, string: str, generated: Any, score: float = 0.5) -> list[Request]:
    """All that the attack asks; `generated` answers `Generate`, each text scores `score` more than the last request's."""
    steps, requests, answer, level = attack.run(sample_of(attack, string), Random(0)), list[Request](), None, 0.0
    while True:
        try:
            request = steps.send(answer)
        except StopIteration:
            return requests
        requests.append(request)
        if isinstance(request, Generate):
            answer = [generated(item, request.model) for item in request.items]
        elif isinstance(request, Encode):
            answer = helped(request)
        else:
            level += score
            answer = Scores([level] * len(request.texts), [False] * len(request.texts))


def tried(requests: Sequence[Request]) -> list[list[str]]:
    return [[str(text) for text in request.texts] for request in requests if isinstance(request, Score)]


def test_sentences_are_reworded_one_after_the_other_and_again() -> None:
    attack = Paraphrase(model="any", threat=ANYTHING, prefix="say: ", rounds=2)
    requests = asked(attack, "One. Two.", lambda item, _: [item.removeprefix("say: ")[:-1] + "x.", "say: Two."])
    generated = [request for request in requests if isinstance(request, Generate)]
    assert [list(request.items) for request in generated] == [["say: One.", "say: Two."], ["say: Onex.", "say: Twox."]]
    assert tried(requests)[:2] == [["Onex. Two.", "say: Two. Two."], ["Onex. Twox.", "Onex. say: Two."]]
    assert tried(requests)[2] == ["Onexx. Twox.", "say: Two. Twox."]


def test_it_ends_when_nothing_gets_better() -> None:
    attack = Paraphrase(model="any", threat=ANYTHING, rounds=9)
    requests = asked(attack, "One. Two.", lambda item, _: [item + "x"], score=0.0)
    assert [type(request) for request in requests] == [Generate, Score, Score]
    assert asked(attack, "One.", lambda item, _: [item]) == [Generate(["One."], "any", 8)]


def test_back_translation_takes_every_pivot() -> None:
    attack = Paraphrase(
        forward=("de", "fr"), backward=("ed", "rf"), threat=ANYTHING, n=2, temperature=0.5, max_tokens=9
    )

    def generated(item: str, model: str) -> list[str]:
        return [f"{item}{model}{i}" for i in range(2 if model in ("de", "fr") else 1)]

    requests = asked(attack, "A", generated, score=0.0)
    assert requests[:4] == [
        Generate(["A"], "de", 2, 0.5, 9),
        Generate(["Ade0", "Ade1"], "ed", 1, 0.5, 9),
        Generate(["A"], "fr", 2, 0.5, 9),
        Generate(["Afr0", "Afr1"], "rf", 1, 0.5, 9),
    ]
    assert tried(requests) == [["Ade0ed0", "Ade1ed0", "Afr0rf0", "Afr1rf0"]]


def test_rewordings_far_from_the_original_are_not_tried() -> None:
    attack = create("attack", "paraphrase:any")
    far, near = "something else entirely", "a fine old film of the west indeed"
    assert tried(asked(attack, "a fine old film of the west", lambda *_: [far, near], score=0.0)) == [[near]]
    assert attack.threat.similarity_model == "embedded"


def test_the_closest_success_wins() -> None:
    steps = Paraphrase(model="any").run(sample_of(Paraphrase(model="any"), "a fine old film of the west"), Random(0))
    next(steps)
    encode = steps.send([["a fine old film of the east", "of the west: a fine old film"]])
    assert isinstance(encode, Encode)
    score = steps.send(helped(encode))
    assert isinstance(score, Score)
    with pytest.raises(StopIteration) as end:
        steps.send(Scores([0.9, 0.7], [True, True]))
    assert str(end.value.value) == "of the west: a fine old film"


def bags(texts: Sequence[str]) -> Any:
    return np.asarray(helped(Encode(texts)))


@pytest.mark.parametrize("kind", ["paraphrase", "back-translation"])
def test_end_to_end_with_real_models(there: str, back: str, kind: str) -> None:
    route: Any = {"model": f"hf:{there}"} if kind == "paraphrase" else {"forward": there, "backward": f"hf:{back}"}
    attack = Paraphrase(threat=ANYTHING, n=1, **route)
    example = Example(fields={"text": "a good film . a great cast"}, label=1)
    record = one(attack, example=example, helpers=Helpers("cpu"))
    assert record.outcome == "success"
    said = "the film is enjoyable . a dull cast" if kind == "paraphrase" else "a lovely film . an awful cast"
    assert record.adversarial == said
    assert record.helper_calls == (2 if kind == "paraphrase" else 4)


def test_the_referee_checks_similarity(there: str) -> None:
    given: Any = {(Encode, "embedded"): bags}
    attack = Paraphrase(model=there, n=2)
    record = one(attack, example=Example(fields={"text": "a good film ."}, label=1), helpers=Helpers("cpu", given))
    assert record.outcome == "failed"
    assert record.queries == 1


@pytest.mark.parametrize(
    "selector",
    [
        "paraphrase",
        "paraphrase(forward='hf:a')",
        "paraphrase(forward='hf:a', backward=('hf:b', 'hf:c'))",
        "paraphrase(model='hf:a', forward='hf:a', backward='hf:b')",
        "paraphrase(n=0):hf:a",
        "paraphrase(temperature=-1):hf:a",
        "paraphrase(rounds=0):hf:a",
    ],
)
def test_bad_settings_are_told_in_one_line(selector: str) -> None:
    assert "paraphrase" in complaint(lambda: create("attack", selector))


def test_settings_by_selector() -> None:
    assert create("attack", "paraphrase:hf:org/name@rev") == Paraphrase(model="hf:org/name@rev")
    attack = create("attack", "paraphrase(forward='hf:a', backward='hf:b', n=2)")
    assert attack == Paraphrase(forward=("hf:a",), backward=("hf:b",), n=2)
