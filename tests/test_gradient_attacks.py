"""Attacks that follow the gradient, on a real (tiny) transformer: through the engine, the victim and the referee."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import tiny_bert

from robustbench_nlp.attack import Gradient, Gradients, Sample, Score, Together
from robustbench_nlp.attacks.gbda import GBDA, Choices
from robustbench_nlp.attacks.hotflip import HotFlip
from robustbench_nlp.attacks.textbugger import TextBugger
from robustbench_nlp.attacks.universal_triggers import UniversalTriggers
from robustbench_nlp.data.example import Example
from robustbench_nlp.engine import Engine
from robustbench_nlp.errors import UsageError
from robustbench_nlp.fakes import KeywordVictim, sample_of
from robustbench_nlp.search.importance import gradient_sizes
from robustbench_nlp.text import Text
from robustbench_nlp.threat import Threat, violations
from robustbench_nlp.victim import VictimOptions
from robustbench_nlp.victims.hf import HFVictim

TEXTS = [
    "the good film",
    "the bad film",
    "a film",
    "good good bad the film",
    "bad",
    "the film b good",
    "a b c the film",
]


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> HFVictim:
    return HFVictim.from_folder(
        tiny_bert.save(tmp_path_factory.mktemp("tiny")), VictimOptions(device="cpu"), name="tiny"
    )


@pytest.fixture(scope="module")
def examples(victim: HFVictim) -> list[Example]:
    """Every text with the label that the victim gives it."""
    answers = victim.predict(TEXTS).argmax(axis=1).tolist()
    return [Example(fields={"text": text}, label=label) for text, label in zip(TEXTS, answers, strict=True)]


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file in which every word of the tiny victim is a neighbour of every other."""
    path = tmp_path_factory.mktemp("own") / "vectors.txt"
    path.write_text("".join(f"{word} 1 0.{i:02}\n" for i, word in enumerate(tiny_bert.VOCABULARY[5:])), "utf-8")
    return str(path)


def test_hotflip_flips_whole_words_within_its_threat(victim: HFVictim, examples: list[Example], vectors: str) -> None:
    attack = HotFlip(threat=Threat(name="flips", knowledge="gradient", max_words_share=0.5), vectors=vectors)
    records = list(Engine(attack, victim, name="hotflip").run(examples))
    assert not [record.error for record in records if record.error]
    broken = [record for record in records if record.outcome == "success"]
    assert broken
    for record in broken:
        assert not violations(attack.threat, str(record.original), str(record.adversarial))
        assert set(str(record.adversarial).split()) <= {*victim.vocabulary.words, *str(record.original).split()}


def test_the_estimate_ranks_flips_as_the_victim_does(victim: HFVictim, examples: list[Example], vectors: str) -> None:
    """Over all flips of all words: a higher first-order gain goes with a higher score, though not in every pair."""
    attack = HotFlip(per_word=100, vectors=vectors)
    gains: list[float] = []
    reached: list[float] = []

    class Watch(HotFlip):
        def run(self, sample: Sample, rng: Random) -> Any:
            (answer,) = yield Gradient([sample.text])
            assert sample.vocabulary is not None
            for gain, number, word in attack._flips(
                sample.text, set(range(len(sample.text))), answer, sample.vocabulary
            ):
                gains.append(gain)
                flipped = sample.example.with_field("text", str(sample.text.swap(number, word)))
                reached.append(1 - float(victim.predict([flipped])[0, sample.label]) - sample.score)

    list(Engine(Watch(), victim, name="watch").run(examples))
    assert len(gains) > 50
    assert np.corrcoef(gains, reached)[0, 1] > 0.2


def test_hotflip_keeps_to_close_neighbours_of_the_same_part_of_speech(
    victim: HFVictim, examples: list[Example], tmp_path: Path
) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("film 1 0\nb 1 0.5\nc 0.1 1\ngood 1 0.1\n", "utf-8")
    attack = HotFlip(vectors=str(path), threat=Threat(name="open", knowledge="gradient"))
    found = {
        word
        for record in Engine(attack, victim, name="hotflip").run(examples)
        if record.outcome == "success"
        for word in set(str(record.adversarial).split()) - set(str(record.original).split())
    }
    assert found <= {"b"}  # c is too far from film, good no noun
    assert HotFlip(vectors="x.txt").threat.candidates == "vectors:x.txt"
    assert HotFlip(vectors="x.txt", threat=attack.threat).threat == attack.threat
    with pytest.raises(UsageError, match="hotflip wants k of 1 or more"):
        HotFlip(k=0)


def test_hotflip_wants_gradients() -> None:
    with pytest.raises(UsageError, match="hf: victim"):
        list(Engine(HotFlip(), KeywordVictim(), name="x").run([Example(fields={"text": "good"}, label=1)]))


def test_a_trigger_is_learned_on_dev_and_costs_one_query(victim: HFVictim, examples: list[Example]) -> None:
    attack = UniversalTriggers(rounds=1, candidates=5)
    engine = Engine(attack, victim, name="triggers", dev=examples)
    assert set(engine.prepared) == {example.label for example in examples}
    assert all(len(words) == 3 for words in engine.prepared.values())
    assert engine.prepared == Engine(attack, victim, name="triggers", dev=examples).prepared
    for record in engine.run(examples):
        assert record.queries == 2
        assert str(record.adversarial).endswith(str(record.original))
        assert record.words_changed == 3


def test_a_learned_trigger_beats_the_one_it_starts_from(victim: HFVictim, examples: list[Example]) -> None:
    engine = Engine(UniversalTriggers(candidates=50), victim, name="triggers", dev=examples)

    def mean_score(words: Sequence[str], label: int) -> float:
        own = [f"{' '.join(words)} {example.input}" for example in examples if example.label == label]
        return float(1 - victim.predict(own)[:, label].mean())

    for label, words in engine.prepared.items():
        assert mean_score(words, label) >= mean_score(["the"] * 3, label)


def test_learning_wants_a_dev_split_and_the_right_requests(victim: HFVictim, examples: list[Example]) -> None:
    with pytest.raises(UsageError, match="learns from a dev split"):
        Engine(UniversalTriggers(), victim, name="triggers")

    class Confused(UniversalTriggers):
        def prepare(self, samples: Sequence[Sample], rng: Random) -> Any:
            yield Gradient([Text("a")])

    with pytest.raises(TypeError, match="must yield Together"):
        Engine(Confused(), victim, name="x", dev=examples)

    class Peeks(UniversalTriggers):
        def prepare(self, samples: Sequence[Sample], rng: Random) -> Any:
            yield Together(Gradient, [(samples[0], samples[0].text)])

    blind = Peeks(threat=replace(UniversalTriggers().threat, knowledge="score"))
    with pytest.raises(UsageError, match="no gradients"):
        Engine(blind, victim, name="x", dev=examples)


# --- embeddings in place of words


def vector(victim: HFVictim, word: str) -> Any:
    return victim.vocabulary.vectors[victim.vocabulary.words.index(word)]


def same(one: Any, other: Any) -> None:
    assert one.loss == pytest.approx(other.loss, abs=1e-5)
    np.testing.assert_allclose(one.gradient, other.gradient, atol=1e-5)


def test_the_gradient_at_a_words_own_embedding_is_that_of_the_text(victim: HFVictim) -> None:
    (text,) = victim.gradients(["the good film"], [1])
    (placed,) = victim.gradients(["the good film"], [1], [[(0, 4, vector(victim, "good"))]])
    same(placed, text)
    assert (placed.offsets, placed.fields) == (text.offsets, text.fields)


def test_the_gradient_at_another_words_embedding_is_that_of_the_other_text(victim: HFVictim) -> None:
    bad, the = vector(victim, "bad"), vector(victim, "the")
    inputs = ["the good film", "a b", ("good film", "film good"), "the bad film"]
    placed = [[(0, 0, bad), (0, 4, the)], [], [(1, 5, bad)], []]
    texts = ["bad the film", "a b", ("good film", "film bad"), "the bad film"]
    labels = [1, 0, 1, 0]
    together = victim.gradients(inputs, labels, placed)
    for found, expected in zip(together, victim.gradients(texts, labels), strict=True):
        same(found, expected)
    for found, item, label, vectors in zip(together, inputs, labels, placed, strict=True):
        same(found, victim.gradients([item], [label], [vectors])[0])


def test_an_embedding_where_nothing_is_read_changes_nothing(victim: HFVictim) -> None:
    (plain,) = victim.gradients(["the good film"], [1])
    for place in (3, 99):
        (found,) = victim.gradients(["the good film"], [1], [[(0, place, vector(victim, "bad"))]])
        same(found, plain)


def test_tokens_that_begin_with_their_space_take_embeddings(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2ForSequenceClassification

    folder = tiny_bert.save_bytes(tmp_path, causal=True)
    sizes = {"n_positions": 32, "n_embd": 16, "n_layer": 2, "n_head": 2, "bos_token_id": 0, "eos_token_id": 0}
    GPT2ForSequenceClassification(
        GPT2Config(vocab_size=300, pad_token_id=0, initializer_range=0.5, **sizes)
    ).save_pretrained(folder)
    decoder = HFVictim.from_folder(folder, VictimOptions(device="cpu"), name="bytes")
    (placed,) = decoder.gradients(["the film is good"], [1], [[(0, 12, vector(decoder, "bad"))]])
    same(placed, decoder.gradients(["the film is bad"], [1])[0])


class Places(HotFlip):
    """Asks for the gradient with the last word's embedding become that of `bad`, twice, and once as it is."""

    heard: list[Gradients] = []

    def run(self, sample: Sample, rng: Random) -> Any:
        assert sample.vocabulary is not None
        bad = sample.vocabulary.vectors[sample.vocabulary.words.index("bad")]
        last = {len(sample.text) - 1: bad}
        self.heard += yield Gradient([sample.text] * 3, [last, last, {}])
        return None


def test_the_engine_places_by_word_and_counts_each(victim: HFVictim, examples: list[Example]) -> None:
    Places.heard.clear()
    (record,) = Engine(Places(), victim, name="places").run(examples[:1])
    assert record.queries == 1 + 3
    placed, again, plain = Places.heard
    label = examples[0].label
    same(placed, victim.gradients(["the good bad"], [label])[0])
    same(again, placed)
    same(plain, victim.gradients([TEXTS[0]], [label])[0])
    assert plain.words == [-1, 0, 1, 2, -1]


@pytest.mark.parametrize("vectors", [[{}], [{7: np.zeros(16, np.float32)}, {}]])
def test_embeddings_that_fit_no_text_make_an_error(
    victim: HFVictim, examples: list[Example], vectors: list[dict[int, Any]]
) -> None:
    class Misplaces(HotFlip):
        def run(self, sample: Sample, rng: Random) -> Any:
            yield Gradient([sample.text] * 2, vectors)
            return None

    (record,) = Engine(Misplaces(), victim, name="misplaces").run(examples[:1])
    assert record.outcome == "error"


# --- gbda

QUICK = GBDA(
    threat=Threat(name="flips", knowledge="gradient", max_words_share=0.5),
    candidates="vocabulary",
    min_cosine=-1.0,
    iterations=15,
    texts=10,
)


def test_gbda_finds_successes_inside_its_threat(victim: HFVictim, examples: list[Example]) -> None:
    records = list(Engine(QUICK, victim, name="gbda").run(examples))
    assert not [record.error for record in records if record.error]
    broken = [record for record in records if record.outcome == "success"]
    assert len(broken) >= len(examples) // 2
    for record in broken:
        assert not violations(QUICK.threat, str(record.original), str(record.adversarial))
        assert set(str(record.adversarial).split()) <= {*victim.vocabulary.words, *str(record.original).split()}


def test_gbda_counts_the_clean_gradient_every_draw_and_every_text(victim: HFVictim, examples: list[Example]) -> None:
    for record in Engine(QUICK, victim, name="gbda").run(examples):
        if record.queries > 2:  # 2: no word of this text is free
            assert 0 < record.queries - 2 - QUICK.iterations * QUICK.samples <= QUICK.texts
    for budget in (2, 3, 5, 6, 61, 62, 63, 64):
        for record in Engine(QUICK, victim, name="gbda", max_queries=budget).run(examples):
            assert record.queries <= budget
            assert not record.error


def test_gbda_climbs(victim: HFVictim, examples: list[Example]) -> None:
    """The loss at the softened texts rises from the first steps to the last."""
    losses: list[list[float]] = []

    class Watch(GBDA):
        def run(self, sample: Sample, rng: Random) -> Any:
            steps, answer, mine = GBDA.run(self, sample, rng), None, []
            while True:
                try:
                    request = steps.send(answer)
                except StopIteration:
                    return None
                answer = yield request
                if isinstance(request, Gradient) and request.vectors is not None:
                    mine.append(float(np.mean([gradients.loss for gradients in answer])))
                    losses.append(mine) if len(mine) == 1 else None

    attack = Watch(threat=QUICK.threat, candidates="vocabulary", min_cosine=-1.0, texts=1, samples=8)
    list(Engine(attack, victim, name="watch").run(examples))
    rose = [np.mean(mine[-5:]) - np.mean(mine[:5]) for mine in losses]
    assert len(rose) >= 4
    assert np.mean(rose) > 0.1


def test_gbda_slopes_are_those_of_the_log_odds(victim: HFVictim) -> None:
    """By central differences, under fixed noise: the log-odds of the wrong class, plus the price the word's own share."""
    text, words, table = "the good film", ["good", "bad", "a"], victim.vocabulary.vectors
    rows = np.array([[victim.vocabulary.words.index(word) for word in words]])
    choices, price = Choices([1], [2], [words], rows), 0.3
    attack, logits, noise = GBDA(temperature=0.7), np.array([[1.0, 0.5, -0.2]]), np.array([0.1, 0.9, 0.4])

    def soft(values: Any) -> Any:
        weights = np.exp((values + noise) / attack.temperature)
        return weights / weights.sum()

    def at(values: Any) -> Gradients:
        placed = [[(0, 4, (soft(values)[0] @ table[rows[0]]).astype(np.float32))]]
        (found,) = victim.gradients([text], [1], placed)
        return Gradients(found.loss, found.gradient, [-1, 0, 1, 2, -1])

    slopes = attack._slopes([at(logits)], choices, soft(logits)[None], table, price)
    assert slopes.shape == (1, 1, 3)
    for i, step in enumerate(np.eye(3) * 1e-2):
        high, low = (np.log(np.expm1(at(v).loss)) + price * soft(v)[0, 0] for v in (logits + step, logits - step))
        assert slopes[0, 0, i] == pytest.approx((high - low) / 2e-2, abs=2e-3)
    full = replace(attack, kappa=-50.0)._slopes([at(logits)], choices, soft(logits)[None], table, price)
    own = soft(logits)[0]
    np.testing.assert_allclose(full[0, 0], own * (np.array([price, 0, 0]) - own[0] * price) / attack.temperature)


def test_gbda_leaves_words_alone_that_the_victim_cuts_off(victim: HFVictim) -> None:
    fields = {"premise": "a film " * 20, "hypothesis": "the good film " * 8}
    label = int(victim.predict([tuple(fields.values())])[0].argmax())
    attack = replace(QUICK, threat=replace(QUICK.threat, fields=("hypothesis",)), iterations=2)
    (record,) = Engine(attack, victim, name="gbda").run([Example(fields=fields, label=label)])
    assert not record.error
    assert record.queries > 2


def test_gbda_refuses_what_it_cannot_do() -> None:
    assert GBDA().threat.candidates == "neighbours"
    assert GBDA(candidates="vocabulary").threat == HotFlip().threat
    with pytest.raises(UsageError, match="did you mean 'vocabulary'"):
        GBDA(candidates="vocabulry")  # type: ignore[arg-type]
    for settings in ({"temperature": 0.0}, {"keep": 1.0}):
        with pytest.raises(UsageError, match="a temperature above 0 and a keep between 0 and 1"):
            GBDA(**settings)
    with pytest.raises(UsageError, match="of 1 or more, and no negative iterations"):
        GBDA(texts=0)
    with pytest.raises(UsageError, match="hf: victim"):
        list(Engine(GBDA(), KeywordVictim(), name="x").run([Example(fields={"text": "good"}, label=1)]))


# --- textbugger, white-box


def test_white_box_textbugger_visits_words_by_their_gradients() -> None:
    attack = TextBugger(ranking="gradient", candidates="none")
    sample = sample_of(attack, "one second longest word")
    steps = attack.run(sample, Random(0))
    request: Any = next(steps)
    assert isinstance(request, Gradient)
    gradient = np.zeros((6, 2), np.float32)
    gradient[[1, 3, 5]] = [[0.1, -0.2], [2.0, -2.0], [0.5, 0.5]]
    request = steps.send(
        [Gradients(0.1, gradient, [-1, 0, 1, 2, 2, 3])]
    )  # the third word is two tokens, of mean 1 and -1
    assert isinstance(request, Score)
    assert all(text.words[:2] + text.words[3:] == ["one", "second", "word"] for text in request.texts)


def test_the_size_of_a_words_gradient_is_that_of_its_tokens_mean() -> None:
    steps = gradient_sizes(Text("one two three"))
    next(steps)
    gradient = np.array([[9, 9], [1, -2], [3, 0], [-1, 0]], np.float32)
    with pytest.raises(StopIteration) as end:
        steps.send([Gradients(0.1, gradient, [-1, 0, 1, 1])])
    assert end.value.value == pytest.approx([3.0, 1.0, 0.0])


def test_white_box_textbugger_pays_one_query_for_its_order(victim: HFVictim, examples: list[Example]) -> None:
    white = list(Engine(TextBugger(ranking="gradient"), victim, name="white").run(examples))
    assert not [record.error for record in white if record.error]
    assert any(record.outcome == "success" for record in white)
    one_word = next(record for record in white if record.original == "bad")
    assert one_word.queries > 2  # the clean one, the gradient, and bugs


def test_white_box_textbugger_knows_gradients() -> None:
    assert TextBugger(ranking="gradient").threat == replace(
        TextBugger().threat, name="bugs_30_gradient", knowledge="gradient"
    )
    assert TextBugger(ranking="gradient", candidates="none").threat.name == "char_30_gradient"
    with pytest.raises(UsageError, match="did you mean 'gradient'"):
        TextBugger(ranking="gradients")  # type: ignore[arg-type]
